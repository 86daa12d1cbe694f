//! The canonical form of every policy in the repository, and of each with its layout mangled: the same tokens
//! and comments, the same program, and no other form of its own.

use std::path::PathBuf;

use object::{Object as _, ObjectSection as _};
use oomc_compiler::expand::expand;
use oomc_compiler::format::{WIDTH, format};
use oomc_compiler::{KernelView, Source, compile, object as elf};
use oomc_grammar::items::{self, Item};
use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::iterators::Pairs;
use oomc_grammar::{OomParser, Rule};
use oomc_tests::{files, read, root, short};

/// Every policy in the repository, with its short name.
fn policies() -> Vec<(String, String)> {
    let is_policy = |path: &PathBuf| path.extension().is_some_and(|end| end == "oom");
    let found: Vec<_> = files(&root()).into_iter().filter(is_policy).collect();
    assert!(found.len() > 200, "only {} policies were found: the search is broken", found.len());
    found.iter().map(|path| (short(path), read(path))).collect()
}

/// The tokens of a clause and their places in it; none if it cannot be read.
fn clause<'a>(text: &'a str, item: &Item) -> Option<Vec<(usize, &'a str)>> {
    fn leaves<'a>(pairs: Pairs<'a, Rule>, found: &mut Vec<(usize, &'a str)>) {
        for pair in pairs {
            let (at, text) = (pair.as_span().start(), pair.as_str());
            let before = found.len();
            leaves(pair.into_inner(), found);
            if found.len() == before && !text.is_empty() {
                found.push((at, text));
            }
        }
    }
    if item.problem.is_some() {
        return None;
    }
    let mut found = Vec::new();
    leaves(OomParser::parse(Rule::item, text.get(item.range.clone())?).ok()?, &mut found);
    Some(found)
}

/// Tokens of each clause; what cannot be read is one token.
fn tokens(text: &str) -> Vec<Vec<&str>> {
    items::split(text)
        .iter()
        .map(|item| match clause(text, item) {
            Some(tokens) => tokens.into_iter().map(|(_, token)| token).collect(),
            None => vec![text.get(item.range.clone()).unwrap_or_default()],
        })
        .collect()
}

/// Comments outside of what cannot be read.
fn comments(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut gap = |range| {
        let lines = str::lines(text.get(range).unwrap_or_default());
        found
            .extend(lines.filter_map(|line| line.find('#').and_then(|at| line.get(at..))).map(str::trim_end));
    };
    for item in items::split(text) {
        for (token, written) in clause(text, &item).unwrap_or_default() {
            gap(at..item.range.start + token);
            at = item.range.start + token + written.len();
        }
        gap(at..item.range.start.max(at));
        at = item.range.end;
    }
    gap(at..text.len());
    found
}

/// A clause with such a character stays as it is, whatever its layout.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A control character in a comment: such a file stays as it is.
fn is_hidden(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Bare rules with a name. Their own name is the number of their line, which is a matter of layout.
fn named(text: &str) -> String {
    let mut out = text.to_owned();
    for (number, item) in items::split(text).iter().enumerate().rev() {
        let parsed = text.get(item.range.clone()).map(|clause| OomParser::parse(Rule::item, clause));
        if let Some(Ok(mut pairs)) = parsed
            && item.problem.is_none()
            && pairs
                .next()
                .and_then(|item| item.into_inner().next())
                .is_some_and(|it| it.as_rule() == Rule::bare)
        {
            out.insert_str(item.range.start, &format!("rule \"clause {number}\": "));
        }
    }
    out
}

/// What of an object does not depend on the text's layout: every section but the text itself, the digest and the
/// types with their lines; of those, all but the lines; of the metadata, all but the text's hash and how keys were
/// written.
fn program(text: &str, view: &KernelView) -> Option<Vec<String>> {
    let object = compile(&Source::new("policy.oom", text), view).object?;
    let file = object::File::parse(object.as_slice()).unwrap_or_else(|error| panic!("{error}"));
    let mut parts = Vec::new();
    for section in file.sections() {
        let (name, data) = (section.name().unwrap_or("?"), section.data().unwrap_or_default());
        match name {
            ".BTF" | ".BTF.ext" | ".oomc.source" | ".oomc.digest" => {}
            ".oomc.meta" => {
                let lines = String::from_utf8_lossy(data).into_owned();
                // A key stands there as it was written: `key=NUMBER TYPE TEXT`.
                let words = |line: &str| if line.starts_with("key=") { 2 } else { usize::MAX };
                let kept = |line: &str| line.split(' ').take(words(line)).collect::<Vec<_>>().join(" ");
                // A bare rule of a block has no name but its line.
                let unnumbered = |line: String| match line.rsplit_once(" line ") {
                    Some((rule, _)) if line.starts_with("rule=") => rule.to_owned(),
                    _ => line,
                };
                let kept = |line: &str| unnumbered(kept(line));
                parts.extend(lines.lines().filter(|line| !line.starts_with("hash=")).map(kept));
            }
            // The policy's name, with the hash of its text behind an `@`.
            ".struct_ops.link" => {
                let end = data.iter().position(|byte| *byte == b'@').unwrap_or(data.len());
                parts.push(format!("{name}: {:?}", data.get(..end)));
            }
            _ => parts.push(format!("{name}: {data:?}")),
        }
    }
    let types = elf::dump_btf(&object).unwrap_or_else(|error| panic!("{error}"));
    parts.extend(types.split("\n\n").filter(|part| !part.starts_with("lines of")).map(str::to_owned));
    Some(parts)
}

/// What must hold of any text; gives its canonical form.
fn checked(name: &str, text: &str) -> String {
    let formatted = format(text).text;
    if is_hidden(text) {
        assert_eq!(formatted, text, "{name} holds control characters");
        return formatted;
    }
    assert_eq!(format(&formatted).text, formatted, "{name} has two canonical forms");
    assert_eq!(tokens(&formatted), tokens(text), "{name} has other tokens now");
    assert_eq!(comments(&formatted), comments(text), "{name} has other comments now");
    assert!(!formatted.contains("\n\n\n") || format(text).kept > 0, "{name} has two blank lines in a row");
    formatted
}

#[test]
fn every_policy_has_one_canonical_form_and_the_same_program_in_it() {
    let view = KernelView::embedded();
    let mut compiled = 0;
    for (name, text) in policies() {
        checked(&name, &text);
        let text = named(&text);
        let before = program(&text, &view);
        compiled += usize::from(before.is_some());
        assert!(before == program(&format(&text).text, &view), "{name} is another program now");
    }
    assert!(compiled > 100, "only {compiled} policies were compiled");
}

#[test]
fn defaults_written_out_are_the_same_policy() {
    let view = KernelView::embedded();
    for (name, text) in policies() {
        let expanded = checked(&name, &expand(&text));
        assert_eq!(checked(&name, &expand(&expanded)), expanded, "{name}: there is more to write out");
        if name.starts_with("tests/cases/hir/")
            || name.starts_with("stdlib/")
            || name.starts_with("examples/")
        {
            let text = named(&text);
            let expanded = format(&expand(&text)).text;
            assert!(
                program(&text, &view) == program(&expanded, &view),
                "{name}: another program of\n{expanded}"
            );
        }
    }
}

#[test]
fn what_people_copy_is_in_canonical_form() {
    for (name, text) in policies() {
        if name.starts_with("examples/") || name.starts_with("stdlib/") {
            assert!(format(&text).text == text, "{name}: run `oomc fmt {name}`");
        }
    }
}

/// A generator of numbers below a bound; the same ones in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices.get(self.below(choices.len())).copied().unwrap_or_default()
    }
}

/// The same clauses with other white space between their tokens, and with comments if `remarks`.
fn mangled(text: &str, random: &mut Random, remarks: bool) -> String {
    let mut out = String::new();
    let gap = |out: &mut String, random: &mut Random, space: bool| {
        for _ in 0..=random.below(3) {
            out.push_str(random.one_of(&[" ", "\t", "\n", "\r\n", "  \n   ", " "]));
            if remarks && random.below(6) == 0 {
                out.push_str(random.one_of(&["# x\n", "#\n\n\n", "# \"y\" { \t\r\n", "#= z # {\n"]));
            }
        }
        // Without blank lines nothing of the layout is left.
        if !remarks && space {
            let line = out.trim_end().len();
            out.truncate(line);
            out.push_str(random.one_of(&[" ", "\n", "\r\n\t"]));
        }
    };
    for clause in tokens(text) {
        // What cannot be read may end with its line only.
        out.push('\n');
        for (number, token) in clause.iter().enumerate() {
            if number > 0 {
                gap(&mut out, random, true);
            }
            out.push_str(token);
        }
        if remarks {
            out.push('\n');
            gap(&mut out, random, false);
        }
    }
    out
}

#[test]
fn any_layout_has_the_same_canonical_form() {
    let view = KernelView::embedded();
    let mut random = Random(1);
    for (number, (name, text)) in policies().into_iter().enumerate() {
        if is_hidden(&text) || text.contains(is_invisible) {
            continue;
        }
        let whole = named(&text);
        let canonical = checked(&name, &mangled(&whole, &mut random, false));
        for _ in 0..3 {
            let other = mangled(&whole, &mut random, false);
            assert_eq!(checked(&name, &other), canonical, "{name}: of\n{other}");
            checked(&name, &mangled(&whole, &mut random, true));
        }
        // No line is too long that could be broken between two of its tokens.
        for line in canonical.lines().filter(|line| line.chars().count() > WIDTH) {
            let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
            assert!(longest > WIDTH / 3 || format(&canonical).kept > 0, "{name}: {line}");
        }
        // Each takes a while, and that a form means the same is shown for all of them above.
        if number % 5 != 0 {
            continue;
        }
        let other = mangled(&whole, &mut random, true);
        let program = |text: &str| program(text, &view);
        assert!(program(&other) == program(&format(&other).text), "{name}: another program of\n{other}");
    }
}

#[test]
fn no_text_is_too_strange() {
    let mut random = Random(2);
    let all: Vec<(String, String)> = policies();
    let pieces: Vec<&str> = all.iter().flat_map(|(_, text)| tokens(text)).flatten().collect();
    let strange =
        ["\"", "#", "{", "}", "(", "]", "\u{1f4a5}", "\u{0}", "\r", "\n\n\n", "\u{feff}", ";", "\u{a0}"];
    for round in 0..20_000 {
        let mut text = String::new();
        for _ in 0..random.below(30) {
            let choices: &[&str] = if random.below(4) == 0 { &strange } else { &pieces };
            let piece = random.one_of(choices);
            text.push_str(piece);
            text.push_str(random.one_of(&[" ", "\n", "", "\t"]));
        }
        let once = format(&text).text;
        assert_eq!(format(&once).text, once, "round {round}: {text:?}");
    }
}

#[test]
fn a_clause_that_would_become_too_long_stays() {
    // Deep in blocks, white space is most of a text.
    let text = format!("rule \"x\": {}{}{}", "{".repeat(60), "wait ".repeat(600), "}".repeat(60));
    let formatted = format(&text);
    assert_eq!((formatted.text.trim_end(), formatted.kept), (text.as_str(), 1));
}
