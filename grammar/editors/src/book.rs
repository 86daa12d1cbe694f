//! The colours of policies in the book.
//!
//! mdBook colours blocks by the object `hljs` of the script `theme/highlight.js`. This one knows one language, and reads it
//! by the expressions that TextMate's grammar has; blocks in other languages stay as they are.

use serde_json::{Value, json};

use crate::colour::Colour;
use crate::textmate;

/// What the styles that come with mdBook call something of this scope.
fn class(scope: &str) -> &'static str {
    let of = |colour: Colour| scope.starts_with(&format!("{}.oom", colour.names().scope));
    match scope {
        _ if of(Colour::Unit) || of(Colour::Type) => "hljs-type",
        _ if of(Colour::Constant) => "hljs-literal",
        _ if of(Colour::Operator) => "hljs-keyword",
        _ if scope.starts_with("keyword.operator") => "",
        _ if scope.starts_with("keyword") => "hljs-keyword",
        _ if scope.starts_with("comment") => "hljs-comment",
        _ if scope.starts_with("string") => "hljs-string",
        _ if scope.starts_with("constant.numeric") => "hljs-number",
        _ if scope.starts_with("variable.other.definition") => "hljs-title",
        _ => "",
    }
}

/// Each expression with the scopes and classes of what it reads: of all of it, or of its parts.
fn rows() -> Vec<Value> {
    let named = |scope: &str| json!([scope, class(scope)]);
    let row = |pattern: &Value| {
        let whole = pattern.get("name").and_then(Value::as_str).map(named);
        let captures = pattern.get("captures").and_then(Value::as_object);
        let parts = captures
            .into_iter()
            .flatten()
            .filter_map(|(at, part)| Some((at.clone(), named(part.get("name")?.as_str()?))));
        let parts: serde_json::Map<String, Value> =
            whole.map(|whole| ("0".to_owned(), whole)).into_iter().chain(parts).collect();
        json!([pattern.get("match"), parts])
    };
    textmate::patterns().iter().map(row).collect()
}

/// `theme/highlight.js`.
#[must_use]
pub fn script() -> String {
    let rows: Vec<String> = rows().iter().map(|row| format!("    {row},\n")).collect();
    format!("{HEAD}{}{REST}", rows.concat())
}

const HEAD: &str = "\
// Colours of policies in the book. Made from oom.pest; the test `editors` writes this.
'use strict'

var hljs = (() => {
  // An expression, and of each part that it reads the scope and the class.
  const rows = [
";

const REST: &str = r#"  ].map(([expression, parts]) => [new RegExp(expression, 'dy'), Object.entries(parts)])

  // Pieces of a line that have a scope: beginning, end, scope, class.
  function pieces(line) {
    const found = []
    let at = 0
    while (at < line.length) {
      let end = at + 1
      for (const [expression, parts] of rows) {
        expression.lastIndex = at
        const read = expression.exec(line)
        if (!read || expression.lastIndex === at) continue
        for (const [part, [scope, name]] of parts) found.push([...read.indices[part], scope, name])
        end = expression.lastIndex
        break
      }
      at = end
    }
    return found
  }

  function coloured(line) {
    const out = document.createDocumentFragment()
    let done = 0
    for (const [start, end, , name] of pieces(line)) {
      out.append(line.slice(done, start))
      const piece = document.createElement('span')
      piece.className = name
      piece.append(line.slice(start, end))
      out.append(name ? piece : piece.textContent)
      done = end
    }
    out.append(line.slice(done))
    return out
  }

  return {
    configure() {},
    highlightBlock(block) {
      if (!block.classList.contains('language-oom')) return
      const lines = block.textContent.split('\n')
      block.replaceChildren(...lines.flatMap((line, at) => (at ? ['\n', coloured(line)] : [coloured(line)])))
    },
    pieces,
  }
})()
"#;
