//! Splits a file into items before it is parsed.
//!
//! Every clause begins with a reserved word, and pest has no recovery of its own: parsing one clause at a
//! time makes one broken clause cost one diagnostic. The same scan finds what would trouble the parser or
//! lead it astray: characters that no token has, strings without an end, nesting deeper than [`MAX_DEPTH`]
//! (the parser recurses), and words that the language reserves for later parts of it.
//!
//! One pass, linear, and it never fails: every token of the text belongs to exactly one item.

use core::ops::Range;

/// Parentheses, brackets, blocks, `if` inside `if`, quantifiers and prefix operators, together.
pub const MAX_DEPTH: usize = 64;

/// The longest clause, in bytes: what the parser sees at once.
pub const MAX_CLAUSE: usize = 64 << 10;

/// A stretch of text that the parser sees at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// From its first to its last token.
    pub range: Range<usize>,
    /// The first thing in it that makes parsing pointless.
    pub problem: Option<Problem>,
    /// The name that the clause declares: where the clause cannot be understood, uses of the name are no
    /// mistakes of their own.
    pub declares: Option<Range<usize>>,
}

/// Something that the scan stumbled over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// Where.
    pub range: Range<usize>,
}

/// What the scan stumbled over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A character that no token has.
    Character(char),
    /// A control character, also inside of a string or a comment.
    Control(char),
    /// A string that its line ends before it does.
    OpenString,
    /// More than [`MAX_DEPTH`].
    Depth,
    /// More than [`MAX_CLAUSE`].
    Length,
    /// The text does not begin with the word of a clause.
    NoClause,
    /// A word of a part of the language that is not there yet; a key of [`LATER`].
    Later(&'static str),
}

/// Words of later parts of the language.
pub static LATER: &[&str] = &["import", "raise_limit of"];

/// Words that begin a clause wherever they stand.
const HARD: &[&str] = &[
    "policy", "mode", "const", "param", "label", "state", "never", "avoid", "prefer", "pick", "rule",
    "default", "test", "on", "budget", "import",
];

/// A word that begins a clause only where a name and `=` follow: elsewhere it may be a name itself.
const NAMING: &[&str] = &["define"];

/// Words that begin a clause, or an action inside of one.
const SOFT: &[&str] = &["if", "kill", "raise_limit", "reclaim", "wait", "defer", "notify", "count"];

/// Words that something must follow: a clause does not end here.
const OPEN: &[&str] = &[
    "if", "then", "else", "or", "and", "not", "where", "by", "in", "of", "to", "never", "default", "reason",
    "rule", "const", "define", "policy", "mode", "param", "label", "state", "avoid", "prefer", "pick",
    "test", "until", "on", "budget", "cooldown", "reclaim", "grace",
];

/// Words with which a clause can begin, for a suggestion.
pub fn clause_words() -> impl Iterator<Item = &'static str> {
    HARD.iter().chain(NAMING).chain(SOFT).copied()
}

/// Words with which an action can begin.
pub fn action_words() -> impl Iterator<Item = &'static str> {
    SOFT.iter().copied()
}

/// A character that nobody sees, or that turns the direction of what stands behind it: what is read is not what is
/// there.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a joiner stands where writing systems need one: beside a letter or picture that is not ASCII.
fn joins(text: &str, at: usize, c: char) -> bool {
    let foreign = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !is_hidden(c));
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at + c.len_utf8()..).and_then(|text| text.chars().next());
    matches!(c, '\u{200c}' | '\u{200d}') && foreign(before) && foreign(after)
}

/// Splits a text.
#[must_use]
pub fn split(text: &str) -> Vec<Item> {
    let mut scan = Scan::default();
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        at += scan.token(at, rest);
    }
    scan.items
}

/// The last token, as far as the next one cares.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last<'a> {
    #[default]
    Nothing,
    Word(&'a str),
    /// A number, a string, a closing bracket.
    End,
    Sign(char),
}

struct Frame {
    close: char,
    /// A value by condition: `(if … then … else …)`.
    chooses: bool,
    /// `if`s that each stand inside the one before.
    ifs: usize,
}

#[derive(Default)]
struct Scan<'a> {
    items: Vec<Item>,
    last: Last<'a>,
    frames: Vec<Frame>,
    ifs: usize,
    /// Sum of `ifs` of all frames.
    outer_ifs: usize,
    prefixes: usize,
    /// Quantifiers of the present action, which may each stand in the condition of the one before.
    quantifiers: usize,
    /// The current item's first word.
    head: &'a str,
    /// A `rule` whose colon has not come yet.
    before_colon: bool,
    /// An `on` whose block has not begun yet.
    before_block: bool,
}

impl<'a> Scan<'a> {
    /// Takes the token at `at`, or white space, and gives its length.
    fn token(&mut self, at: usize, rest: &'a str) -> usize {
        let Some(first) = rest.chars().next() else { return 1 };
        let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
        match first {
            ' ' | '\t' | '\r' | '\n' => until(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')),
            '#' => {
                let length = until(|c| c == '\n');
                self.controls(at, rest.get(..length).unwrap_or(rest));
                length
            }
            '"' => self.string(at, rest),
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = until(|c| !c.is_ascii_alphanumeric() && c != '_');
                let (word, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
                self.word(at, word, behind);
                length
            }
            '0'..='9' => {
                let length = number(rest);
                self.extend(at, length);
                self.end();
                length
            }
            _ => self.sign(at, rest, first),
        }
    }

    fn string(&mut self, at: usize, rest: &'a str) -> usize {
        let inside = rest.get(1..).unwrap_or("");
        let stop = inside.find(['"', '\n']).unwrap_or(inside.len());
        let closed = inside.get(stop..).is_some_and(|tail| tail.starts_with('"'));
        let mut length = 1 + stop + usize::from(closed);
        if !closed {
            length = rest.get(..length).unwrap_or(rest).trim_end().len();
        }
        self.extend(at, length);
        if closed {
            self.controls(at, rest.get(..length).unwrap_or(rest));
        } else {
            self.problem(ProblemKind::OpenString, at..at + length);
        }
        self.end();
        length
    }

    fn word(&mut self, at: usize, word: &'a str, behind: &str) {
        let member = self.last == Last::Sign('.');
        if !member {
            self.close_parentheses(word);
            if self.begins(word, behind) || (NAMING.contains(&word) && names(behind)) {
                self.begin(at, word);
            } else if self.frames.is_empty() && heads_a_test(word, behind) {
                // A mistyped word must not make a clause of each line of the test.
                self.begin(at, "test");
                self.problem(ProblemKind::NoClause, at..at + word.len());
            }
            // The colon was forgotten: what comes next may begin a clause again.
            if SOFT.contains(&word) {
                self.before_colon = false;
            }
            if SOFT.contains(&word) && self.last != Last::Word("sum") {
                self.quantifiers = 0;
            }
            if matches!(word, "process" | "cgroup")
                && matches!(self.last, Last::Word("any" | "every" | "count" | "of"))
            {
                self.quantifiers += 1;
            }
            if word == "if" {
                let nested = matches!(self.last, Last::Word("then" | "else" | "or"));
                let ifs = if nested { self.ifs + 1 } else { 1 };
                self.ifs = ifs;
            }
        }
        self.extend(at, word.len());
        let range = at..at + word.len();
        if !member {
            let later = match (self.last, word) {
                (Last::Word("raise_limit"), "of") => Some("raise_limit of"),
                _ => LATER.iter().copied().find(|later| *later == word),
            };
            if let Some(later) = later {
                self.problem(ProblemKind::Later(later), range.clone());
            }
        }
        if matches!(self.last, Last::Word("const" | "define" | "param" | "label" | "state" | "pick"))
            && let Some(item) = self.items.last_mut()
            && item.declares.is_none()
        {
            item.declares = Some(range.clone());
        }
        self.prefixes = if word == "not" { self.prefixes + 1 } else { 0 };
        self.last = Last::Word(word);
        self.depth(range);
    }

    /// What begins an action cannot stand in parentheses: they were not closed. A value by condition has the words of
    /// `if`, but none of an action.
    fn close_parentheses(&mut self, word: &str) {
        if !matches!(word, "then" | "else" | "if" | "kill" | "raise_limit" | "wait" | "defer") {
            return;
        }
        if word == "if"
            && self.last == Last::Sign('(')
            && let Some(frame) = self.frames.last_mut()
        {
            frame.chooses = true;
            return;
        }
        let stays = |frame: &Frame| frame.close == '}' || (frame.chooses && matches!(word, "then" | "else"));
        while self.frames.last().is_some_and(|frame| !stays(frame)) {
            self.pop();
        }
    }

    /// Whether a word begins a new item here.
    fn begins(&self, word: &str, behind: &str) -> bool {
        let nested = !self.frames.is_empty();
        // The brace of a test was forgotten: its words begin nothing all the same.
        if self.head == "test" && !nested {
            let event = word == "on" && is_event(behind);
            let described = matches!(self.last, Last::Word("expect" | "by" | "given"));
            if event || described && (SOFT.contains(&word) || word == "rule") {
                return false;
            }
        }
        if HARD.contains(&word) {
            // In a test, these are words of the machine that it describes.
            return match (nested, self.head) {
                (true, "test") => {
                    matches!(word, "rule" | "never" | "test" | "policy") && self.last != Last::Word("by")
                }
                // What is done on an event are rules.
                (true, "on") => word != "rule",
                _ => true,
            };
        }
        SOFT.contains(&word) && !nested && !self.before_colon && !self.open()
    }

    /// Something must follow the last token.
    fn open(&self) -> bool {
        match self.last {
            Last::Nothing | Last::End => false,
            Last::Word(word) => OPEN.contains(&word),
            Last::Sign(_) => true,
        }
    }

    fn begin(&mut self, at: usize, head: &'a str) {
        self.items.push(Item { range: at..at, problem: None, declares: None });
        self.frames.clear();
        self.ifs = 0;
        self.outer_ifs = 0;
        self.prefixes = 0;
        self.quantifiers = 0;
        self.head = head;
        self.before_colon = head == "rule";
        self.before_block = head == "on";
        self.last = Last::Nothing;
    }

    /// Adds a token to the current item. Text before the first clause is an item that cannot be parsed.
    fn extend(&mut self, at: usize, length: usize) {
        if self.items.is_empty() {
            self.begin(at, "");
            self.problem(ProblemKind::NoClause, at..at + length);
        }
        let mut long = false;
        if let Some(item) = self.items.last_mut() {
            item.range.end = at + length;
            long = item.range.len() > MAX_CLAUSE;
        }
        if long {
            // A token that is too long itself, a word or a string, is marked at its beginning.
            let mark = if length <= 16 { length } else { 1 };
            self.problem(ProblemKind::Length, at..at + mark);
        }
    }

    fn problem(&mut self, kind: ProblemKind, range: Range<usize>) {
        if let Some(item) = self.items.last_mut()
            && item.problem.is_none()
        {
            item.problem = Some(Problem { kind, range });
        }
    }

    /// Control characters hide text from a reader, in comments too.
    fn controls(&mut self, at: usize, text: &str) {
        if let Some((offset, found)) = text.char_indices().find(|(at, c)| {
            c.is_control() && !matches!(c, '\t' | '\r') || is_hidden(*c) && !joins(text, *at, *c)
        }) {
            let range = at + offset..at + offset + found.len_utf8();
            if self.items.is_empty() {
                self.extend(range.start, range.len());
            }
            if let Some(item) = self.items.last_mut()
                && !matches!(item.problem, Some(Problem { kind: ProblemKind::Control(_), .. }))
            {
                item.problem = Some(Problem { kind: ProblemKind::Control(found), range });
            }
        }
    }

    fn end(&mut self) {
        self.prefixes = 0;
        self.last = Last::End;
    }

    fn sign(&mut self, at: usize, rest: &'a str, first: char) -> usize {
        let range = at..at + first.len_utf8();
        match first {
            '(' | '[' | '{' => {
                let apart = first == '{' && self.frames.is_empty() && !self.open() && !self.before_colon;
                if apart && self.head != "test" && !self.before_block {
                    self.begin(at, "{");
                }
                self.before_block &= first != '{';
                self.extend(at, 1);
                let close = match first {
                    '(' => ')',
                    '[' => ']',
                    _ => '}',
                };
                self.outer_ifs += self.ifs;
                self.frames.push(Frame { close, chooses: false, ifs: self.ifs });
                self.ifs = 0;
                self.last = Last::Sign(first);
                self.depth(range);
                1
            }
            ')' | ']' | '}' => {
                self.extend(at, 1);
                if self.frames.last().is_some_and(|frame| frame.close == first) {
                    self.pop();
                }
                self.end();
                1
            }
            '?' if rest.starts_with("??") => {
                self.extend(at, 2);
                self.last = Last::Sign('?');
                2
            }
            '|' if !rest.starts_with("||") => {
                self.extend(at, 1);
                self.last = Last::Sign('|');
                1
            }
            '.' | ',' | ':' | '=' | '<' | '>' | '+' | '*' | '/' | '%' => {
                self.extend(at, 1);
                self.before_colon &= first != ':';
                self.prefixes = 0;
                self.last = Last::Sign(first);
                1
            }
            '-' => {
                self.extend(at, 1);
                self.prefixes += 1;
                self.last = Last::Sign('-');
                self.depth(range);
                1
            }
            '!' if rest.starts_with("!=") => {
                self.extend(at, 2);
                self.last = Last::Sign('=');
                2
            }
            _ => {
                self.extend(at, first.len_utf8());
                let kind = if first.is_control() {
                    ProblemKind::Control(first)
                } else {
                    ProblemKind::Character(first)
                };
                // A control character is the better explanation of a text that is no clause.
                if let Some(item) = self.items.last_mut()
                    && item.problem.as_ref().is_some_and(|problem| problem.kind == ProblemKind::NoClause)
                {
                    item.problem = None;
                }
                self.problem(kind, range);
                self.end();
                first.len_utf8()
            }
        }
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.ifs = frame.ifs;
            self.outer_ifs -= frame.ifs;
        }
    }

    fn depth(&mut self, range: Range<usize>) {
        if self.frames.len() + self.outer_ifs + self.ifs + self.prefixes + self.quantifiers > MAX_DEPTH {
            self.problem(ProblemKind::Depth, range);
        }
    }
}

/// Whether a name and a `=` follow.
fn names(behind: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = next_token(behind);
    let rest = name.trim_start_matches(is_letter);
    let assigned = next_token(rest).strip_prefix('=');
    name.len() < behind.len()
        && rest.len() < name.len()
        && assigned.is_some_and(|rest| !rest.starts_with('='))
}

/// The text from its next token on.
fn next_token(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix('#') {
        rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    rest
}

/// Whether a word, with what follows it, is written as the head of a test: `tets "name" {`.
fn heads_a_test(word: &str, behind: &str) -> bool {
    // Asked of every word of a text, so what rules out most of them comes first.
    let Some(inside) = behind.trim_start().strip_prefix('"') else { return false };
    let line = inside.split('\n').next().unwrap_or(inside);
    let Some(name) = line.find('"') else { return false };
    let opens = inside.get(name + 1..).is_some_and(|behind| behind.trim_start().starts_with('{'));
    opens && !crate::words::reserved().contains(&word) && !crate::words::all().contains(&word)
}

/// `on oom`, `on system oom`: something that happens in a test.
fn is_event(behind: &str) -> bool {
    let mut words = behind.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    words.find(|word| *word != "system") == Some("oom")
}

/// Length of a number with its unit: the same characters as the grammar's rule.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let fraction = *byte == b'.' && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || *byte == b'_' || fraction) {
            break;
        }
        length += 1;
    }
    length + usize::from(bytes.get(length) == Some(&b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        split(text).iter().filter_map(|item| text.get(item.range.clone())).collect()
    }

    fn problems(text: &str) -> Vec<(ProblemKind, &str)> {
        split(text)
            .into_iter()
            .filter_map(|item| item.problem)
            .filter_map(|problem| Some((problem.kind, text.get(problem.range)?)))
            .collect()
    }

    #[test]
    fn the_headline_is_one_item() {
        let text = "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree";
        assert_eq!(texts(&format!("\n{text} # why\n")), [text]);
        assert_eq!(problems(text), []);
    }

    #[test]
    fn clauses_begin_at_their_words() {
        let text = "policy \"a\" const b = 1 never kill process where pid == b \
                    rule \"x\": wait or kill largest in subtree if dying then defer default defer";
        assert_eq!(
            texts(text),
            [
                "policy \"a\"",
                "const b = 1",
                "never kill process where pid == b",
                "rule \"x\": wait or kill largest in subtree",
                "if dying then defer",
                "default defer",
            ]
        );
    }

    #[test]
    fn a_broken_clause_ends_where_the_next_begins() {
        assert_eq!(
            texts("if (a > b then wait\nkill largest in subtree"),
            ["if (a > b then wait", "kill largest in subtree"]
        );
        assert_eq!(
            texts("rule \"a\": { kill x\nrule \"b\": wait"),
            ["rule \"a\": { kill x", "rule \"b\": wait"]
        );
        assert_eq!(texts("rule \"a\" kill x in y\nwait"), ["rule \"a\" kill x in y", "wait"]);
        assert_eq!(texts("if a > b\nkill x"), ["if a > b", "kill x"]);
    }

    #[test]
    fn what_ends_like_an_operator_does_not_swallow_the_next_clause() {
        assert_eq!(texts("label a: count = 1 trust any\nkill x in y").len(), 2);
        assert_eq!(texts("rule \"a\": { count grown notify \"x\" }\ncount grown").len(), 2);
        assert_eq!(texts("kill x in y by count process in it").len(), 1);
        assert_eq!(texts("if a > count process in it then wait").len(), 1);
    }

    #[test]
    fn a_block_of_rules_is_one_item() {
        let text = "on pressure full avg10 > 60% for 30s cooldown 15s { rule \"a\": reclaim 1MiB \
                    kill largest in subtree grace 5s if a then { wait } }";
        assert_eq!(
            texts(&format!("budget 3 kills per 10m {text} wait")),
            ["budget 3 kills per 10m", text, "wait"]
        );
        assert_eq!(problems(text), []);
        let unclosed = "on limit { kill x\nnever kill process where a\non usage > 3% { wait }";
        assert_eq!(texts(unclosed).len(), 3);
        assert_eq!(texts("on limit { wait }\n{ wait }"), ["on limit { wait }", "{ wait }"]);
    }

    #[test]
    fn members_are_no_words() {
        assert_eq!(texts("if cgroup.count > task.kill then wait"), ["if cgroup.count > task.kill then wait"]);
        assert_eq!(problems("if cgroup.count > 3 then wait"), []);
    }

    #[test]
    fn troubles_are_found_once_per_item() {
        assert_eq!(
            problems("kill \"ab\nwait ; ; @"),
            [(ProblemKind::OpenString, "\"ab"), (ProblemKind::Character(';'), ";")]
        );
        assert_eq!(problems("\0\0\0"), [(ProblemKind::Control('\0'), "\0")]);
        assert_eq!(problems("wait # a\u{7}b"), [(ProblemKind::Control('\u{7}'), "\u{7}")]);
        assert_eq!(problems("kil largest"), [(ProblemKind::NoClause, "kil")]);
        assert_eq!(problems("\u{feff}wait"), []);
    }

    #[test]
    fn later_words_are_named() {
        assert_eq!(problems("import \"a\""), [(ProblemKind::Later("import"), "import")]);
        assert_eq!(problems("raise_limit of c by 3"), [(ProblemKind::Later("raise_limit of"), "of")]);
        let text = "test \"a\" { given { \"/job\" { limit 1GiB } } on oom in \"/job\" \
                    expect kill process \"/job#1\" by rule \"x\" } wait";
        assert_eq!(problems(text), []);
        assert_eq!(texts(text).len(), 2);
        let declares: Vec<_> = split("state grown: counter")
            .into_iter()
            .filter_map(|item| item.declares)
            .map(|at| (at.start, at.end))
            .collect();
        assert_eq!(declares, [(6, 11)]);
    }

    #[test]
    fn words_that_the_scan_knows_are_reserved() {
        use pest::Parser as _;
        let later = LATER.iter().copied().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
        let reserved = |word: &&str| !NAMING.contains(word);
        for word in clause_words().chain(OPEN.iter().copied()).chain(later).filter(reserved) {
            assert!(crate::OomParser::parse(crate::Rule::reserved, word).is_ok(), "{word}");
        }
    }

    /// Words with which a part of the grammar can begin: of its first element, or of each alternative's.
    fn first_words(body: &str) -> Vec<&'static str> {
        let body = body.strip_prefix("SOI ~").unwrap_or(body).trim();
        let list = body.strip_prefix('(').and_then(|rest| rest.split(')').next()).unwrap_or(body);
        let ends = |part: &str| part.trim().split([' ', '~']).next().unwrap_or_default().to_owned();
        let heads: Vec<String> = if body.starts_with('(') || !body.contains('~') {
            list.split('|').map(ends).collect()
        } else {
            vec![ends(body)]
        };
        let of_rule = |head: String| {
            let rule = crate::Rule::all_rules().iter().find(|rule| format!("{rule:?}") == head);
            let words = rule.map(|rule| crate::words::of(*rule)).unwrap_or_default();
            let inside = crate::words::bodies().find(|(name, _)| *name == head && words.is_empty());
            words
                .iter()
                .copied()
                .chain(inside.map(|(_, body)| first_words(body)).unwrap_or_default())
                .collect::<Vec<_>>()
        };
        heads.into_iter().flat_map(of_rule).collect()
    }

    #[test]
    fn clauses_begin_with_the_words_that_the_grammar_begins_them_with() {
        let body = |name: &str| crate::words::bodies().find(|(rule, _)| *rule == name).map(|(_, body)| body);
        let known = |wanted: Vec<&'static str>, list: &[&'static str]| {
            let later: Vec<&str> = list.iter().copied().filter(|word| !wanted.contains(word)).collect();
            assert!(later.iter().all(|word| LATER.contains(word)), "{later:?} begin nothing");
            let missing: Vec<&str> = wanted.iter().copied().filter(|word| !list.contains(word)).collect();
            assert_eq!(missing, [""; 0]);
        };
        let actions = first_words(body("simple").unwrap());
        assert_eq!(actions, ["if", "kill", "raise_limit", "reclaim", "wait", "defer", "notify", "count"]);
        let mut clauses = first_words(body("item").unwrap());
        clauses.retain(|word| !actions.contains(word));
        assert_eq!(clauses.len(), 16, "{clauses:?}");
        known(clauses, &[HARD, NAMING].concat());
        known(actions, SOFT);
    }

    #[test]
    fn depth_is_counted_however_it_is_made() {
        for open in ["(", "not ", "- ", "[", "a then if ", "any process in it where "] {
            let fits = format!("if {} 1", open.repeat(60));
            assert_eq!(problems(&fits), [], "{open}");
            let deep = format!("if {} 1", open.repeat(70));
            assert_eq!(problems(&deep).first().map(|(kind, _)| *kind), Some(ProblemKind::Depth), "{open}");
        }
        assert_eq!(problems(&"if a then wait else ".repeat(70)).len(), 1);
        assert_eq!(problems(&"if a then wait ".repeat(70)), []);
        assert_eq!(problems(&format!("{{ {} }}", "if a then { wait } ".repeat(70))), []);
    }
}
