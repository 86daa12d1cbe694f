//! What editors colour and read, against the parser of the language.
//!
//! Every policy and every file of tests in the repository that the language's own parser reads is given to each of them:
//! tree-sitter must read it without an error, and TextMate, Vim and tree-sitter's queries must colour each word of the
//! language as one, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "the libraries read no files and start no programs; this test does"
)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use giallo::{HighlightOptions, Registry, ThemeVariant};
use oomc_editors::colour::{self, Colour};
use oomc_grammar::{OomParser, Rule, items, words};
use pest::Parser as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tree_sitter::{Query, QueryCursor, StreamingIterator as _};

/// What is seen of a piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A word of the language.
    Word(Colour),
    /// A name, or what stands behind a dot.
    Name,
    Number,
    Text,
    Comment,
}

/// A text, and what stands in it by the language's own parser.
struct Sample {
    path: PathBuf,
    text: String,
    seen: Vec<(Range<usize>, Seen)>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Files below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, endings, found);
        } else if path.extension().is_some_and(|end| endings.iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
}

/// The texts that the language's parser reads.
fn samples() -> Vec<Sample> {
    let mut paths = Vec::new();
    for folder in ["examples", "stdlib", "tests", "packaging"] {
        files(&root().join(folder), &["oom", "oomt"], &mut paths);
    }
    paths.sort();
    let samples: Vec<Sample> = paths
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            let seen = seen(&text)?;
            Some(Sample { path, text, seen })
        })
        .collect();
    assert!(samples.len() > 400, "only {} texts: the search is broken", samples.len());
    samples
}

/// What the language's parser sees; nothing if it refuses the text.
fn seen(text: &str) -> Option<Vec<(Range<usize>, Seen)>> {
    let mut seen = Vec::new();
    for item in items::split(text) {
        let part = text.get(item.range.clone()).filter(|_| item.problem.is_none())?;
        for pair in OomParser::parse(Rule::item, part).ok()?.flatten() {
            let what = match pair.as_rule() {
                Rule::name | Rule::segment => Seen::Name,
                Rule::number => Seen::Number,
                Rule::string => Seen::Text,
                // A name or a number, which are not told apart.
                Rule::bits if pair.as_str().starts_with(|first: char| first.is_ascii_digit()) => Seen::Number,
                Rule::bits => Seen::Name,
                rule => match colour::of(rule) {
                    Some(colour) => Seen::Word(colour),
                    None => continue,
                },
            };
            let span = pair.as_span();
            seen.push((item.range.start + span.start()..item.range.start + span.end(), what));
        }
    }
    (!seen.is_empty()).then_some(seen)
}

/// Compares what an editor sees at the beginning of each piece with what the language's parser sees there.
///
/// `by_words` is for an editor that knows words and no grammar.
fn compare(editor: &str, by_words: bool, sees: impl Fn(&Sample) -> Vec<Option<Seen>>) {
    let mut problems = Vec::new();
    let mut count = 0;
    for sample in samples() {
        for ((range, truth), seen) in sample.seen.iter().zip(sees(&sample)) {
            count += 1;
            let word = &sample.text[range.clone()];
            let truth = match truth {
                Seen::Word(_) if by_words => Seen::Word(colour::of_word(word).unwrap()),
                truth => *truth,
            };
            if seen != Some(truth) && !(by_words && beside_another_line(&sample.text, range, truth)) {
                let line = sample.text[..range.start].lines().count().max(1);
                let path = sample.path.strip_prefix(root()).unwrap().display();
                problems.push(format!("{path}:{line}: `{word}` is {truth:?}, {editor} sees {seen:?}"));
            }
        }
    }
    assert!(count > 10_000, "only {count} words");
    assert!(
        problems.is_empty(),
        "{} of {count}\n{}",
        problems.len(),
        problems.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n")
    );
}

/// A word that may be a name as well and whose neighbour stands in another line: who reads by lines cannot know it.
fn beside_another_line(text: &str, range: &Range<usize>, truth: Seen) -> bool {
    let word = &text[range.clone()];
    let alone = text[..range.start].trim_end_matches([' ', '\t', '\r']).ends_with('\n')
        || text[range.end..].trim_start_matches([' ', '\t', '\r']).starts_with(['\n', '#']);
    alone && !words::reserved().contains(&word) && matches!(truth, Seen::Word(_) | Seen::Name)
}

#[test]
fn the_files_are_made_from_the_grammar() {
    let mut problems = Vec::new();
    for (name, text) in oomc_editors::files() {
        let path = root().join(name);
        if std::env::var_os("OOMC_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != text {
            problems.push(format!("{name} is not what the grammar gives; OOMC_BLESS=1 writes it"));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The parser is made by a program that is not part of the gate.
#[test]
fn the_parser_is_of_this_grammar() {
    let folder = root().join("grammar/tree-sitter");
    let digest: String = Sha256::digest(fs::read(folder.join("grammar.js")).unwrap())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let recorded = fs::read_to_string(folder.join("src/grammar.sha256")).unwrap_or_default();
    assert_eq!(recorded.trim(), digest, "`cargo xtask tree-sitter` makes the parser anew");
}

/// Each word of the language has one colour, and a word that may be a name has its neighbours.
#[test]
fn every_word_has_a_colour() {
    let colourless: Vec<&str> =
        words::all().into_iter().filter(|word| colour::of_word(word).is_none()).collect();
    assert_eq!(colourless, [""; 0]);
    let mut known: Vec<&str> = oomc_editors::words_beside_names().collect();
    known.extend(["define"]);
    known.sort_unstable();
    let names: Vec<&str> =
        words::all().into_iter().filter(|word| !words::reserved().contains(word)).collect();
    assert_eq!(known, names);
}

#[test]
fn tree_sitter_reads_every_policy() {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&oomc_tree_sitter::language()).unwrap();
    let mut problems = Vec::new();
    for sample in samples() {
        let tree = parser.parse(&sample.text, None).unwrap();
        if tree.root_node().has_error() {
            let path = sample.path.strip_prefix(root()).unwrap().display();
            problems.push(format!("{path}: {}", tree.root_node().to_sexp()));
        }
    }
    assert!(problems.is_empty(), "{}\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn tree_sitter_refuses_what_is_wrong() {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&oomc_tree_sitter::language()).unwrap();
    for text in ["kill largest", "rule \"a\" kill in subtree", "const = 4", "kill in subtree where rss >"] {
        assert!(parser.parse(text, None).unwrap().root_node().has_error(), "{text}");
    }
}

#[test]
fn an_or_joins_conditions_or_actions() {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&oomc_tree_sitter::language()).unwrap();
    let mut shape = |text: &str| parser.parse(text, None).unwrap().root_node().to_sexp();
    let condition = shape("kill in subtree where rss > 1MiB or swap > 1MiB");
    assert!(condition.contains("(filter (binary left: (binary"), "{condition}");
    let actions = shape("kill in subtree where rss > 1MiB or wait");
    assert!(actions.contains("(wait)") && !actions.contains("ERROR"), "{actions}");
}

#[test]
fn tree_sitter_colours_the_words_of_the_language() {
    let language = oomc_tree_sitter::language();
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&language).unwrap();
    let query = fs::read_to_string(root().join("grammar/tree-sitter/queries/highlights.scm")).unwrap();
    let query = Query::new(&language, &query).unwrap();
    let kinds: Vec<Option<Seen>> = query
        .capture_names()
        .iter()
        .map(|name| {
            let word = Colour::ALL.into_iter().find(|colour| colour.names().capture == *name);
            word.map(Seen::Word).or(match *name {
                "variable" | "property" => Some(Seen::Name),
                "number" => Some(Seen::Number),
                "string" => Some(Seen::Text),
                "comment" => Some(Seen::Comment),
                _ => None,
            })
        })
        .collect();
    let trees = std::cell::RefCell::new(parser);
    compare("tree-sitter", false, |sample| {
        let tree = trees.borrow_mut().parse(&sample.text, None).unwrap();
        let mut found: BTreeMap<usize, Option<Seen>> = BTreeMap::new();
        let mut cursor = QueryCursor::new();
        let mut captures = cursor.captures(&query, tree.root_node(), sample.text.as_bytes());
        while let Some((found_here, at)) = captures.next() {
            let capture = found_here.captures()[*at];
            found.insert(capture.node.start_byte(), kinds[capture.index as usize]);
        }
        sample.seen.iter().map(|(range, _)| found.get(&range.start).copied().flatten()).collect()
    });
}

/// What the extension for VS Code names is there, and its lock names no place from which packages come.
#[test]
fn the_extension_is_whole() {
    let folder = root().join("grammar/vscode");
    let json = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let package = json("package.json");
    let named = ["/main", "/contributes/languages/0/configuration", "/contributes/grammars/0/path"];
    for pointer in named {
        let path = package.pointer(pointer).and_then(Value::as_str).unwrap();
        assert!(folder.join(path).exists(), "{path}");
    }
    let program = fs::read_to_string(folder.join("extension.js")).unwrap();
    for name in
        package.pointer("/contributes/configuration/properties").and_then(Value::as_object).unwrap().keys()
    {
        let own = name.strip_prefix("oomc.").unwrap();
        assert!(program.contains(&format!("settings.get('{own}')")), "nothing reads {name}");
    }
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let node = package.pointer("/engines/node").and_then(Value::as_str).unwrap().trim_start_matches(">=");
    assert!(readme.contains(&format!("Node {node} or later")), "the README names Node {node}");
    let lock = json("package-lock.json");
    for (name, package) in lock["packages"].as_object().unwrap() {
        assert!(package.get("resolved").is_none(), "{name}");
    }
    let brackets = json("language-configuration.json");
    assert_eq!(brackets["comments"]["lineComment"], "#");
}

/// Scopes of TextMate's, each with what it says.
fn scopes() -> Vec<(String, Seen)> {
    let words = Colour::ALL.map(|colour| (colour.names().scope.to_owned(), Seen::Word(colour)));
    let others = [
        ("variable", Seen::Name),
        ("constant.numeric", Seen::Number),
        ("string", Seen::Text),
        ("comment", Seen::Comment),
    ];
    words.into_iter().chain(others.map(|(scope, seen)| (scope.to_owned(), seen))).collect()
}

#[test]
fn textmate_colours_the_words_of_the_language() {
    // A theme with one colour for each scope, by which the scope is known again.
    let scopes = scopes();
    let rules = scopes.iter().enumerate().map(|(at, (scope, _))| {
        serde_json::json!({ "scope": [scope], "settings": { "foreground": format!("#0000{:02x}", at + 1) } })
    });
    let theme = serde_json::json!({
        "name": "scopes", "type": "dark",
        "colors": { "editor.foreground": "#ffffff", "editor.background": "#000000" },
        "tokenColors": rules.collect::<Vec<_>>(),
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scopes.json");
    fs::write(&file, theme.to_string()).unwrap();
    let mut registry = Registry::default();
    registry.add_grammar_from_path(root().join("grammar/vscode/syntaxes/oom.tmLanguage.json")).unwrap();
    registry.add_theme_from_path(&file).unwrap();
    registry.link_grammars();
    let options = HighlightOptions::new("oom", ThemeVariant::Single("scopes"));
    compare("TextMate", true, |sample| {
        let code = registry.highlight(&sample.text, &options).unwrap();
        let mut starts = Vec::new();
        let mut lines = sample.text.split_inclusive('\n');
        let mut line_start = 0;
        for tokens in &code.tokens {
            let mut at = line_start;
            for token in tokens {
                let ThemeVariant::Single(style) = token.style else { panic!("the theme is one") };
                let hex = style.foreground.as_hex();
                let index =
                    usize::from_str_radix(hex.trim_start_matches('#').get(4..6).unwrap(), 16).unwrap();
                let seen = scopes.get(index.wrapping_sub(1)).map(|(_, seen)| *seen);
                starts.push((at..at + token.text.len(), seen));
                at += token.text.len();
            }
            line_start += lines.next().map_or(0, str::len);
        }
        let seen_at =
            |at: usize| starts.iter().find(|(range, _)| range.contains(&at)).and_then(|(_, seen)| *seen);
        sample.seen.iter().map(|(range, _)| seen_at(range.start)).collect()
    });
}

/// Vim writes the group at each place that it is asked about.
const VIM: &str = r#"
set nomore
let out = []
for entry in readfile('places')
  let [file, places] = split(entry, "\t")
  execute 'edit! ' . fnameescape(file)
  set filetype=
  unlet! b:current_syntax
  syntax clear
  runtime syntax/oom.vim
  syntax sync fromstart
  let names = []
  for place in split(places, ',')
    let [line, column] = split(place, ':')
    call add(names, synIDattr(synID(line, column, 0), 'name'))
  endfor
  call add(out, join(names, ','))
endfor
if v:errmsg != ''
  call writefile(['error: ' . v:errmsg], 'groups')
  cquit
endif
call writefile(out, 'groups')
qall!
"#;

#[test]
fn vim_colours_the_words_of_the_language() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vim");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let place = |text: &str, at: usize| {
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        format!("{line}:{}", at - before.rfind('\n').map_or(0, |end| end + 1) + 1)
    };
    let samples = samples();
    let lines = samples.iter().map(|sample| {
        let places: Vec<String> =
            sample.seen.iter().map(|(range, _)| place(&sample.text, range.start)).collect();
        format!("{}\t{}\n", sample.path.display(), places.join(","))
    });
    fs::write(folder.join("places"), lines.collect::<String>()).unwrap();
    fs::write(folder.join("script.vim"), VIM).unwrap();
    let runtime = format!("set runtimepath^={}", root().join("grammar/vim").display());
    // Who has no Neovim has Vim; an editor that waits for a key is ended.
    let mut command = Command::new("timeout");
    if in_path("nvim") {
        command.args(["120", "nvim", "--headless"]);
    } else {
        command.args(["120", "vim", "-e", "-s", "--not-a-term"]);
    }
    command.args(["-n", "-u", "NONE", "-i", "NONE", "--cmd", "set nocompatible", "--cmd", &runtime]);
    command.args(["-S", "script.vim"]).current_dir(&folder).stdin(std::process::Stdio::null());
    for variable in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env(variable, &folder);
    }
    let output = command.output().unwrap();
    let groups = fs::read_to_string(folder.join("groups")).unwrap_or_default();
    assert!(
        output.status.success(),
        "{groups}{} (Debian package neovim)",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen = |group: &str| {
        let group = group.strip_prefix("oom")?;
        let word = Colour::ALL.into_iter().find(|colour| colour.names().vim.0 == group);
        word.map(Seen::Word).or(match group {
            "" | "Definition" | "Member" => Some(Seen::Name),
            "Number" => Some(Seen::Number),
            "String" => Some(Seen::Text),
            "Comment" => Some(Seen::Comment),
            _ => None,
        })
    };
    let groups: BTreeMap<&Path, &str> =
        samples.iter().map(|sample| sample.path.as_path()).zip(groups.lines()).collect();
    compare("Vim", true, |sample| {
        // A name has no group of its own.
        groups[sample.path.as_path()]
            .split(',')
            .map(|group| if group.is_empty() { Some(Seen::Name) } else { seen(group) })
            .collect()
    });
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// The script runs in a browser (Debian package chromium-headless-shell), as in the book.
#[test]
fn the_book_colours_the_words_of_the_language() {
    if !in_path("chromium-headless-shell") {
        eprintln!("skipped: there is no chromium-headless-shell (the Debian package of that name)");
        return;
    }
    let scopes = scopes();
    let samples = samples();
    let page = serde_json::json!(
        samples
            .iter()
            .map(|sample| {
                let places =
                    sample.seen.iter().map(|(range, _)| sample.text[..range.start].encode_utf16().count());
                (&sample.text, places.collect::<Vec<_>>())
            })
            .collect::<Vec<_>>()
    );
    // A script ends at the first end tag, wherever that stands.
    let page = page.to_string().replace('<', "\\u003c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book_colours");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(root().join("book/theme/highlight.js"), folder.join("highlight.js")).unwrap();
    let html = format!(
        "<!DOCTYPE html><html><meta charset=\"utf-8\"><body><script src=\"highlight.js\"></script><script>
        const seen = {page}.map(([text, places]) => {{
            const all = []
            let start = 0
            for (const line of text.split('\\n')) {{
                for (const [from, to, scope] of hljs.pieces(line)) all.push([start + from, start + to, scope])
                start += line.length + 1
            }}
            return places.map((at) => all.find(([from, to]) => from <= at && at < to)?.[2] ?? '')
        }})
        document.body.textContent = JSON.stringify(seen)
        </script></body></html>"
    );
    fs::write(folder.join("page.html"), html).unwrap();
    let dom = oomc_tests::browser::dom(&folder.join("page.html")).unwrap();
    let (start, end) = (dom.find("<body>").unwrap() + 6, dom.find("</body>").unwrap());
    let told: Vec<Vec<String>> = serde_json::from_str(&dom[start..end]).unwrap();
    let told: BTreeMap<&Path, &Vec<String>> =
        samples.iter().map(|sample| sample.path.as_path()).zip(&told).collect();
    compare("the book", true, |sample| {
        let seen_as = |scope: &String| {
            let known = scopes.iter().filter(|(known, _)| scope.starts_with(known));
            known.max_by_key(|(known, _)| known.len()).map(|(_, seen)| *seen)
        };
        told[sample.path.as_path()].iter().map(seen_as).collect()
    });
}
