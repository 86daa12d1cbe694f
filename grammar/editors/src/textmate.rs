//! The grammar for TextMate, VS Code and whatever else reads these.
//!
//! It colours by regular expressions, a line at a time: a word whose neighbour stands in another line is not coloured if it
//! may be a name as well.

use serde_json::{Value, json};

use crate::colour::{self, Colour};
use crate::context::{Before, Behind, GOES_ON, NAMING, ROWS};

/// Expressions, each with the scope of what it reads or of its parts. The first one that reads something at a place holds.
pub(crate) fn patterns() -> Vec<Value> {
    let scope = |colour: Colour| format!("{}.oom", colour.names().scope);
    let mut patterns = vec![
        json!({ "name": "comment.line.number-sign.oom", "match": "#.*$" }),
        // A string ends with its line.
        json!({ "name": "string.quoted.double.oom", "match": "\"[^\"]*(?:\"|$)" }),
        json!({ "name": "constant.numeric.oom", "match": "\\b[0-9](?:[A-Za-z0-9_]|\\.[0-9])*%?" }),
        json!({
            "match": "(?<!\\.)\\.(?!\\.)\\s*([A-Za-z_]\\w*)",
            "captures": { "1": { "name": "variable.other.member.oom" } },
        }),
        json!({
            "match": format!("\\b({})\\s+([A-Za-z_]\\w*)", NAMING.join("|")),
            "captures": {
                "1": { "name": scope(Colour::Clause) },
                "2": { "name": "variable.other.definition.oom" },
            },
        }),
    ];
    // A word that may be a name, but not where a name and `=` follow.
    patterns.push(json!({
        "match": "\\b(define)\\s+([A-Za-z_]\\w*)(?=\\s*=(?!=))",
        "captures": {
            "1": { "name": scope(Colour::Clause) },
            "2": { "name": "variable.other.definition.oom" },
        },
    }));
    for (words, before, behind) in ROWS {
        for word in *words {
            if let Some(colour) = colour::of_word(word) {
                let pattern = format!("{}\\b{word}\\b{}", looks_back(*before), looks_ahead(*behind));
                patterns.push(json!({ "name": scope(colour), "match": pattern }));
            }
        }
    }
    for colour in Colour::ALL {
        let (words, _) = colour::words_of(colour);
        if !words.is_empty() {
            patterns
                .push(json!({ "name": scope(colour), "match": format!("\\b(?:{})\\b", words.join("|")) }));
        }
    }
    patterns.push(json!({ "name": "keyword.operator.oom", "match": "==|!=|<=|>=|\\?\\?|\\.\\.|[-+*/<>=|]" }));
    patterns.push(json!({ "name": "variable.other.oom", "match": "\\b[A-Za-z_]\\w*" }));
    patterns
}

/// `oom.tmLanguage.json`.
#[must_use]
pub fn grammar() -> String {
    let all = json!({
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "comment": "Made from oom.pest; the test `editors` writes this.",
        "name": "oom",
        "scopeName": "source.oom",
        "fileTypes": ["oom", "oomt"],
        "patterns": patterns(),
    });
    printed(&all)
}

fn printed(value: &Value) -> String {
    format!("{value:#}\n")
}

fn looks_back(before: Before) -> String {
    match before {
        Before::Anything => "(?<!\\.)".to_owned(),
        Before::Word(words) => format!("(?<=\\b(?:{})\\s+)", words.join("|")),
        Before::Colon => "(?<=:\\s*)".to_owned(),
        Before::Number => "(?<=[0-9]\\s+)".to_owned(),
    }
}

fn looks_ahead(behind: Behind) -> String {
    match behind {
        Behind::Anything => String::new(),
        Behind::Word(words) => format!("(?=\\s+(?:{})\\b)", words.join("|")),
        Behind::Value => format!("(?=\\s+(?!(?:{})\\b)[A-Za-z0-9_(-])", GOES_ON.join("|")),
        Behind::Text => "(?=\\s*\")".to_owned(),
        Behind::Brace => "(?=\\s*\\{)".to_owned(),
        Behind::PathOf => "(?=\\s+[A-Za-z_][\\w.]*\\s+of\\b)".to_owned(),
    }
}
