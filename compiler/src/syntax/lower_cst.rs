//! Parse trees to the AST: the only file that sees the grammar's rules.
//!
//! Takes the items of a file, parses each, and turns what pest found, or did not find, into clauses or
//! diagnostics. An item with a mistake costs one diagnostic and is left out.

use oomc_abi::amount;
use oomc_grammar::items::{self, Item, Problem, ProblemKind};
use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::error::{Error, ErrorVariant, InputLocation};
use oomc_grammar::pest::iterators::{Pair, Pairs};
use oomc_grammar::precedence::pratt;
use oomc_grammar::{OomParser, Rule};

use super::ast::{
    Action, ActionKind, Binary, Clause, ClauseKind, Expr, ExprKind, File, Given, GivenKind, Key, Name,
    Outcome, Path, Place, Property, Protection, Quant, Quantifier, Rank, Selection, Step, StepKind, Test,
    Text, Unit, Until,
};
use super::literal;
use crate::diag::suggest::nearest;
use crate::diag::{Diagnostic, Sink, codes};
use crate::source::{Source, Span};

/// Operators in one expression, and actions in one `or`, that hang on each other. The tree is walked
/// recursively, so its depth is bounded here.
pub const MAX_CHAIN: usize = 256;

/// Parses a file.
pub(crate) fn parse(source: &Source, sink: &mut Sink) -> File {
    let mut file = File::default();
    for item in items::split(&source.text) {
        if sink.is_full() {
            sink.push(Diagnostic::new(codes::TOO_MANY_ERRORS, "more clauses follow"));
            break;
        }
        match clause(source, &item, sink) {
            Some(clause) => file.clauses.push(clause),
            None => file.lost.extend(item.declares.map(|declares| {
                let span = Span::new(declares);
                Name { text: source.slice(span).to_owned(), span }
            })),
        }
    }
    file
}

/// A part of the text as an expression: a value in the braces of a message.
pub(crate) fn parse_expr(source: &Source, span: Span, sink: &mut Sink) -> Option<Expr> {
    let range = span.range();
    let text = source.text.get(range.clone()).unwrap_or("");
    let item = Item { range: range.clone(), problem: None, declares: None };
    let refuse = |help: &str| {
        Diagnostic::new(codes::MESSAGE, "what stands in the braces is no value")
            .label(span, "not a value")
            .help(help.to_owned())
    };
    // The depth of what the parser sees was bounded for the clause, not for a string in it.
    let opened = text.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'-')).count();
    if text.trim().is_empty() || opened + text.matches("not").count() > items::MAX_DEPTH {
        sink.push(refuse("name a value: `{cgroup.usage}`"));
        return None;
    }
    match OomParser::parse(Rule::braced, text) {
        Ok(mut pairs) => {
            let pair = pairs.next().and_then(|braced| inner(braced).next())?;
            Cst { base: item.range.start, sink }.expr(pair)
        }
        Err(error) => {
            let found = unexpected(source, &item, &error);
            sink.push(refuse(&format!("{found}")));
            None
        }
    }
}

/// The clause of an item, or a diagnostic.
fn clause(source: &Source, item: &Item, sink: &mut Sink) -> Option<Clause> {
    let text = source.text.get(item.range.clone())?;
    if let Some(problem) = &item.problem {
        sink.push(trouble(source, problem));
        return None;
    }
    match OomParser::parse(Rule::item, text) {
        Ok(pairs) => lowered(item, pairs, sink),
        Err(error) => {
            sink.push(unexpected(source, item, &error));
            // A line that begins with a mistyped word is most often a clause of its own: what stands
            // before it is whole, and is checked.
            let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = error.location;
            let before = text.get(..at)?;
            let whole = before.trim_end();
            let begins_a_line = before.get(whole.len()..).is_some_and(|space| space.contains('\n'));
            let found = token(text.get(at..)?);
            let unit = amount::BYTES.iter().chain(&amount::TIMES).any(|(unit, _)| *unit == found);
            if !begins_a_line || unit || !found.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return None;
            }
            lowered(item, OomParser::parse(Rule::item, whole).ok()?, sink)
        }
    }
}

/// The clause of an item's parse tree.
fn lowered(item: &Item, mut pairs: Pairs<'_, Rule>, sink: &mut Sink) -> Option<Clause> {
    let errors = sink.error_count();
    let pair = pairs.next().and_then(|item| inner(item).next());
    let clause = pair.and_then(|pair| Cst { base: item.range.start, sink }.clause(pair));
    if clause.is_none() && sink.error_count() == errors {
        sink.push(crate::diag::front_end_failed("a parse tree has not the shape of its grammar"));
    }
    clause
}

/// The parse trees of a file as indented text.
#[must_use]
pub fn dump(source: &Source) -> String {
    fn pair(out: &mut String, depth: usize, tree: &Pair<'_, Rule>) {
        let name = format!("{:?}", tree.as_rule());
        let mut children = tree.clone().into_inner().peekable();
        let text = if children.peek().is_none() { format!(" {:?}", tree.as_str()) } else { String::new() };
        out.push_str(&format!("{:width$}{name}{text}\n", "", width = depth * 2));
        for child in children {
            pair(out, depth + 1, &child);
        }
    }
    let mut out = String::new();
    for item in items::split(&source.text) {
        let text = source.text.get(item.range.clone()).unwrap_or("");
        match (&item.problem, OomParser::parse(Rule::item, if item.problem.is_none() { text } else { "" })) {
            (None, Ok(pairs)) => pairs.for_each(|tree| pair(&mut out, 0, &tree)),
            _ => out.push_str(&format!("error {text:?}\n")),
        }
    }
    out
}

// What the scan stumbled over

fn trouble(source: &Source, problem: &Problem) -> Diagnostic {
    let span = Span::new(problem.range.clone());
    let text = source.slice(span);
    match problem.kind {
        ProblemKind::Character(found) => {
            let help = match found {
                ';' => "nothing ends a clause: leave it out",
                '&' => "write `and`",
                '|' => "write `or`",
                '!' => "write `not`",
                '\'' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' => {
                    "strings stand in straight double quotes: `\"sshd\"`"
                }
                '\u{a0}' => "this is a space that only looks like one: write an ordinary space",
                _ => "leave it out",
            };
            let shown =
                if found.is_whitespace() { found.escape_unicode().to_string() } else { found.to_string() };
            Diagnostic::new(codes::CHARACTER, format!("`{shown}` means nothing here"))
                .label(span, "unknown character")
                .help(help)
        }
        ProblemKind::Control(found) => Diagnostic::new(
            codes::CHARACTER,
            format!("the text holds the control character U+{:04X}", found as u32),
        )
        .label(span, "invisible here")
        .help("a policy is plain text: remove the character, or give the right file"),
        ProblemKind::OpenString => Diagnostic::new(codes::OPEN_STRING, "the string has no end on its line")
            .label(span, "begins here")
            .help("close it with `\"`; a string stands on one line"),
        ProblemKind::Depth => Diagnostic::new(
            codes::DEPTH,
            format!("more than {} things stand inside each other here", items::MAX_DEPTH),
        )
        .label(span, "one too deep")
        .help("name parts of it with `const`, or split the rule"),
        ProblemKind::Length => Diagnostic::new(
            codes::LONG_CLAUSE,
            format!("the clause is longer than {} bytes", items::MAX_CLAUSE),
        )
        .label(span, "here it becomes too long")
        .help("split the rule; is a quote, a bracket or a `#` missing before?"),
        ProblemKind::NoClause => {
            let diagnostic =
                Diagnostic::new(codes::SYNTAX, format!("expected a clause, found `{}`", short(text)))
                    .label(span, "no clause begins so");
            match nearest(text, items::clause_words()) {
                _ if text == "/" => diagnostic.help("a comment begins with `#`"),
                Some(word) => diagnostic.help(format!("did you mean `{word}`?")),
                None => diagnostic.help(
                    "a clause begins with a word such as `rule`, `if`, `kill`, `raise_limit` or `never`",
                ),
            }
        }
        ProblemKind::Later(word) => not_yet(word, span),
    }
}

/// A construct of a later part of the language.
fn not_yet(word: &str, span: Span) -> Diagnostic {
    let instead = match word {
        "raise_limit of" => "`raise_limit` raises the cgroup whose limit was hit",
        "on" => "a policy acts when the kernel runs out of memory",
        "cooldown" | "budget" => "count with a `state` that resets, and compare it in `if`",
        "growth" | "rate" => "compare the value itself",
        "import" => "copy the clauses into this file",
        _ => "leave it out",
    };
    let construct = format!("`{word}`");
    Diagnostic::new(codes::NOT_YET, format!("{construct} is not yet part of the language"))
        .label(span, "reserved for a later version")
        .help(instead)
}

// What the parser stumbled over

fn unexpected(source: &Source, item: &Item, error: &Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => item.range.start + at,
    };
    let rest = source.text.get(at..item.range.end).unwrap_or("");
    let found = token(rest);
    let positives: &[Rule] = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => &[],
    };
    let expected = expectations(positives);
    let wanted = match expected.as_slice() {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    };
    if found.is_empty() {
        let last = source.text.get(..at).map_or(0, |text| text.trim_end().len());
        let start =
            source.text.get(..last).and_then(|text| text.char_indices().next_back()).map_or(0, |(i, _)| i);
        let diagnostic = Diagnostic::new(codes::SYNTAX, format!("expected {wanted}, but the clause ends"))
            .label(Span::new(start..last), format!("expected {wanted} after this"));
        return with_hint(diagnostic, positives, "", source.text.get(..last).unwrap_or(""));
    }
    let span = Span::new(at..at + found.len());
    let diagnostic = Diagnostic::new(codes::SYNTAX, format!("expected {wanted}, found `{}`", short(found)))
        .label(span, format!("expected {wanted}"));
    with_hint(diagnostic, positives, found, source.text.get(..at).unwrap_or(""))
}

fn with_hint(diagnostic: Diagnostic, positives: &[Rule], found: &str, before: &str) -> Diagnostic {
    let before = before.trim_end();
    let after_number = before
        .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .next()
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    if let Some(number) = after_number
        && (found == "%"
            || amount::BYTES.iter().chain(&amount::TIMES).any(|(unit, _)| unit.eq_ignore_ascii_case(found)))
    {
        return diagnostic.help(format!("a number and its unit are one word: `{number}{found}`"));
    }
    let has = |wanted: Rule| positives.contains(&wanted);
    if found == "where" && (has(Rule::direction) || has(Rule::comma) && has(Rule::now)) {
        return diagnostic.help("`where` stands before `by`");
    }
    let ends = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("");
    let slip = match found {
        "not" if has(Rule::plus) => Some("write `not` before: `not (comm in [\"sshd\"])`"),
        "is" | "eq" | "equals" | "like" if has(Rule::plus) => Some("write `==`"),
        "by" if ends == "raise_limit" => Some("leave `by` out: `raise_limit 10%`"),
        "to" if ends == "raise_limit" => Some("say by how much, and how far: `raise_limit 10% up to 2GiB`"),
        "," if has(Rule::EOI) || has(Rule::kw_else) || has(Rule::close_brace) => {
            Some("several actions stand in a block without commas: `{ raise_limit 10% wait }`")
        }
        "." if has(Rule::number) => Some("a number begins with a digit: `0.5GiB`"),
        "/" | "-" if has(Rule::EOI) => Some("a comment begins with `#`"),
        _ => None,
    };
    if let Some(slip) = slip {
        return diagnostic.help(slip);
    }
    if found == "now" && has(Rule::EOI) {
        return diagnostic.help("`now` stands before `reason`");
    }
    if has(Rule::string) && !has(Rule::number) && found.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return diagnostic
            .help(format!("names of policies and rules stand in quotes: `\"{}\"`", short(found)));
    }
    if ["process", "cgroup"].contains(&found)
        && let Some(word) = nearest(ends, ["largest", "smallest", "youngest", "oldest", "worst", "all"])
        && word != ends
    {
        return diagnostic.help(format!("did you mean `{word} {found}`?"));
    }
    let words: Vec<&str> =
        positives.iter().filter_map(|wanted| keyword(*wanted)).flatten().copied().collect();
    let near = nearest(found, words.iter().copied())
        .or_else(|| nearest(found, items::clause_words()).filter(|_| found.len() >= 3))
        .or_else(|| nearest(found, ["where", "by", "then", "else"]).filter(|_| found.len() >= 3));
    if let Some(word) = near.filter(|word| *word != found) {
        return diagnostic.help(format!("did you mean `{word}`?"));
    }
    if ["then", "else"].contains(&found)
        && !has(Rule::number)
        && !has(Rule::kw_kill)
        && !has(Rule::close_paren)
    {
        return diagnostic.help(format!("`{found}` belongs to an `if`: `if … then … else …`"));
    }
    if has(Rule::name)
        && (items::clause_words().any(|word| word == found) || reserved(found))
        && !has(Rule::number)
    {
        return diagnostic.help(format!("`{found}` is a reserved word and cannot be a name"));
    }
    diagnostic.help(if has(Rule::kw_in) && !has(Rule::plus) {
        "a selection names its place: `kill largest in subtree`"
    } else if has(Rule::colon) {
        "a rule's name ends with a colon: `rule \"name\": …`"
    } else if has(Rule::equals) {
        "a constant is declared so: `const floor = 64MiB`"
    } else if has(Rule::kw_then) {
        "write `then` between the condition and the action"
    } else if has(Rule::close_paren) {
        "close the parenthesis with `)`"
    } else if has(Rule::close_bracket) {
        "close the list with `]`"
    } else if has(Rule::number) || has(Rule::expr) {
        "a value is a field such as `cgroup.usage`, a number with its unit, a string or a constant"
    } else if has(Rule::close_brace) {
        "close the block with `}`"
    } else if has(Rule::subtree) {
        "candidates are looked for in `subtree`, in `cgroup` or in `attached`"
    } else if has(Rule::action) || has(Rule::kw_kill) && has(Rule::kw_if) {
        "an action is `kill`, `raise_limit`, `wait`, `defer`, an `if` or a block in `{ }`"
    } else if has(Rule::kw_kill) {
        "protections are written so: `never kill process where …`"
    } else if has(Rule::selection) {
        "name what to kill: `kill largest in subtree`"
    } else if has(Rule::string) {
        "write a string in quotes: `\"limit already raised\"`"
    } else if has(Rule::EOI) {
        "leave it out, or begin a clause with a word such as `rule`, `if`, `kill` or `never`"
    } else {
        "the page of this code shows an example: `oomc explain E0101`"
    })
}

/// Words that are reserved and begin no clause.
fn reserved(found: &str) -> bool {
    [
        "process", "cgroup", "subtree", "largest", "smallest", "youngest", "oldest", "worst", "all", "true",
        "false",
    ]
    .contains(&found)
}

/// The token that a text begins with.
fn token(rest: &str) -> &str {
    let Some(first) = rest.chars().next() else { return "" };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = match first {
        '"' => rest.get(1..).and_then(|inside| inside.find('"')).map_or(rest.len(), |end| end + 2),
        c if word(c) => rest.find(|c: char| !word(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    };
    rest.get(..length).unwrap_or(rest)
}

/// At most a line's worth of a token.
fn short(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(39).chain(['…']).collect() }
}

/// The words that a rule of the grammar stands for.
fn keyword(rule: Rule) -> Option<&'static [&'static str]> {
    Some(match rule {
        Rule::kw_policy => &["policy"],
        Rule::kw_mode => &["mode"],
        Rule::kw_const => &["const"],
        Rule::kw_never => &["never"],
        Rule::kw_default => &["default"],
        Rule::kw_rule => &["rule"],
        Rule::kw_if => &["if"],
        Rule::kw_then => &["then"],
        Rule::kw_else => &["else"],
        Rule::kw_or | Rule::or => &["or"],
        Rule::kw_kill => &["kill"],
        Rule::kw_raise_limit => &["raise_limit"],
        Rule::kw_up => &["up"],
        Rule::kw_to => &["to"],
        Rule::kw_reason => &["reason"],
        Rule::kw_in | Rule::within_list => &["in"],
        Rule::kw_where => &["where"],
        Rule::kw_by => &["by"],
        Rule::kw_param => &["param"],
        Rule::kw_range => &["range"],
        Rule::kw_label => &["label"],
        Rule::kw_trust => &["trust"],
        Rule::kw_state => &["state"],
        Rule::kw_counter => &["counter"],
        Rule::kw_per => &["per"],
        Rule::kw_resets => &["resets"],
        Rule::kw_after => &["after"],
        Rule::kw_pick => &["pick"],
        Rule::kw_test => &["test"],
        Rule::kw_given => &["given"],
        Rule::kw_expect => &["expect"],
        Rule::kw_nobody => &["nobody"],
        Rule::kw_candidates => &["candidates"],
        Rule::kw_oom => &["oom"],
        Rule::kw_until => &["until"],
        Rule::kw_freed => &["freed"],
        Rule::kw_at => &["at"],
        Rule::kw_most => &["most"],
        Rule::kw_notify => &["notify"],
        Rule::kw_count => &["count"],
        Rule::kw_children => &["children"],
        Rule::kw_leaves => &["leaves"],
        Rule::kw_sum => &["sum"],
        Rule::class => &["avoid", "prefer"],
        Rule::quant => &["any", "every", "count"],
        Rule::type_name => &["count", "bytes", "percent", "duration", "bool"],
        Rule::truster => &["root", "owner", "any"],
        Rule::stepwise => &["stepwise"],
        Rule::wait => &["wait"],
        Rule::defer => &["defer"],
        Rule::now => &["now"],
        Rule::rank => &["largest", "smallest", "youngest", "oldest", "worst", "all"],
        Rule::unit => &["process", "cgroup"],
        Rule::anchor => &["cgroup"],
        Rule::direction => &["asc", "desc"],
        Rule::subtree => &["subtree"],
        Rule::boolean => &["true", "false"],
        Rule::not => &["not"],
        Rule::and => &["and"],
        Rule::of => &["of"],
        _ => return None,
    })
}

/// What could stand there, for a reader: groups instead of every single token.
fn expectations(positives: &[Rule]) -> Vec<&'static str> {
    let has = |rule: Rule| positives.contains(&rule);
    let mut list: Vec<&'static str> = Vec::new();
    let mut add = |text: &'static str| {
        if !list.contains(&text) {
            list.push(text);
        }
    };
    let action = has(Rule::kw_kill) && has(Rule::kw_if);
    let value = has(Rule::number) && has(Rule::open_paren);
    let operator = has(Rule::plus) || has(Rule::times);
    for rule in positives {
        match rule {
            Rule::kw_if
            | Rule::kw_notify
            | Rule::kw_count
            | Rule::kw_kill
            | Rule::kw_raise_limit
            | Rule::wait
            | Rule::defer
            | Rule::open_brace
                if action =>
            {
                add("an action");
            }
            Rule::number
            | Rule::string
            | Rule::boolean
            | Rule::open_paren
            | Rule::not
            | Rule::minus
            | Rule::anchor
            | Rule::name
            | Rule::path
            | Rule::primary
            | Rule::expr
            | Rule::list
            | Rule::quant
            | Rule::kw_sum
            | Rule::open_bracket
                if value =>
            {
                add("a value");
            }
            Rule::plus
            | Rule::minus_from
            | Rule::times
            | Rule::divided
            | Rule::equal
            | Rule::not_equal
            | Rule::below
            | Rule::at_most
            | Rule::above
            | Rule::at_least
            | Rule::assign
            | Rule::within_list
            | Rule::and
            | Rule::or
            | Rule::of
            | Rule::otherwise
            | Rule::dot
            | Rule::open_bracket
                if operator =>
            {
                add("an operator");
            }
            Rule::EOI => add("the next clause"),
            Rule::name => add("a name"),
            Rule::string => add("a string"),
            Rule::number => add("a number"),
            Rule::segment => add("a field"),
            Rule::expr => add("a value"),
            Rule::action => add("an action"),
            Rule::selection => add("a selection"),
            Rule::order => add("`by`"),
            Rule::filter => add("`where`"),
            Rule::within => add("`in`"),
            Rule::reason => add("`reason`"),
            Rule::up_to => add("`up to`"),
            Rule::equals | Rule::assign => add("`=`"),
            Rule::colon => add("`:`"),
            Rule::comma => add("`,`"),
            Rule::dot => {}
            Rule::open_paren => add("`(`"),
            Rule::close_paren => add("`)`"),
            Rule::open_bracket => add("`[`"),
            Rule::close_bracket => add("`]`"),
            Rule::open_brace => add("`{`"),
            Rule::close_brace => add("`}`"),
            Rule::rank => add("a ranking word such as `largest`"),
            Rule::unit => add("`process` or `cgroup`"),
            Rule::direction => add("`asc` or `desc`"),
            Rule::path | Rule::anchor => add("a cgroup"),
            Rule::kw_then => add("`then`"),
            Rule::kw_else => add("`else`"),
            Rule::kw_or => add("`or`"),
            Rule::kw_kill => add("`kill`"),
            Rule::kw_to => add("`to`"),
            Rule::kw_in => add("`in`"),
            Rule::kw_where => add("`where`"),
            Rule::kw_by => add("`by`"),
            Rule::kw_up => add("`up to`"),
            Rule::kw_reason => add("`reason`"),
            Rule::now => add("`now`"),
            Rule::subtree => add("`subtree`"),
            Rule::kw_range | Rule::range => add("`range`"),
            Rule::kw_trust | Rule::trust => add("`trust`"),
            Rule::kw_counter => add("`counter`"),
            Rule::kw_per => add("`per cgroup`"),
            Rule::kw_after => add("`after`"),
            Rule::kw_until | Rule::until => add("`until freed`"),
            Rule::kw_freed => add("`freed`"),
            Rule::kw_at => add("`at most`"),
            Rule::kw_most => add("`most`"),
            Rule::stepwise => add("`stepwise`"),
            Rule::dots => add("`..`"),
            Rule::type_name => add("a type: `count`, `bytes`, `percent`, `duration` or `bool`"),
            Rule::truster => add("`root`, `owner` or `any`"),
            Rule::given | Rule::kw_given => add("`given`"),
            Rule::event | Rule::kw_on => add("`on oom`"),
            Rule::expectation | Rule::kw_expect => add("`expect`"),
            Rule::kw_oom => add("`oom`"),
            Rule::property => add("a property"),
            Rule::setting => add("`param`"),
            Rule::kw_candidates | Rule::expect_candidates => add("`candidates`"),
            _ => {}
        }
    }
    // The more can follow, the less a list of it helps: what must come is what a reader looks for.
    if list.len() > 4 {
        list.retain(|text| !matches!(*text, "an operator" | "the next clause" | "`or`"));
    }
    list
}

// What the parser found

/// The parts of a tree that carry meaning.
fn inner(pair: Pair<'_, Rule>) -> impl Iterator<Item = Pair<'_, Rule>> {
    pair.into_inner().filter(|pair| {
        !matches!(
            pair.as_rule(),
            Rule::EOI
                | Rule::equals
                | Rule::colon
                | Rule::comma
                | Rule::dot
                | Rule::open_paren
                | Rule::close_paren
                | Rule::open_bracket
                | Rule::close_bracket
                | Rule::open_brace
                | Rule::close_brace
                | Rule::kw_policy
                | Rule::kw_mode
                | Rule::kw_const
                | Rule::kw_never
                | Rule::kw_default
                | Rule::kw_rule
                | Rule::kw_if
                | Rule::kw_then
                | Rule::kw_else
                | Rule::kw_or
                | Rule::kw_kill
                | Rule::kw_raise_limit
                | Rule::kw_up
                | Rule::kw_to
                | Rule::kw_reason
                | Rule::kw_in
                | Rule::kw_where
                | Rule::kw_by
                | Rule::kw_param
                | Rule::kw_range
                | Rule::kw_label
                | Rule::kw_trust
                | Rule::kw_state
                | Rule::kw_counter
                | Rule::kw_per
                | Rule::kw_resets
                | Rule::kw_after
                | Rule::kw_pick
                | Rule::kw_test
                | Rule::kw_given
                | Rule::kw_on
                | Rule::kw_oom
                | Rule::kw_expect
                | Rule::kw_nobody
                | Rule::kw_candidates
                | Rule::kw_until
                | Rule::kw_freed
                | Rule::kw_at
                | Rule::kw_most
                | Rule::kw_notify
                | Rule::kw_count
                | Rule::kw_children
                | Rule::kw_leaves
                | Rule::kw_sum
                | Rule::dots
        )
    })
}

struct Cst<'a> {
    /// Where the item begins in the file.
    base: usize,
    sink: &'a mut Sink,
}

/// An expression with the depth of its tree.
type Deep = (Expr, usize);

impl Cst<'_> {
    /// From the first to the last token: pest counts white space and comments behind it in.
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let mut last = pair.clone();
        while let Some(child) = last.clone().into_inner().next_back() {
            last = child;
        }
        Span::new(self.base + pair.as_span().start()..self.base + last.as_span().end())
    }

    fn clause(&mut self, pair: Pair<'_, Rule>) -> Option<Clause> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut parts = inner(pair);
        let kind = match rule {
            Rule::policy => ClauseKind::Policy(self.text(&parts.next()?)),
            Rule::mode => ClauseKind::Mode(self.name(&parts.next()?)),
            Rule::constant => {
                ClauseKind::Const { name: self.name(&parts.next()?), value: self.expr(parts.next()?)? }
            }
            Rule::param => ClauseKind::Param {
                name: self.name(&parts.next()?),
                value: self.expr(parts.next()?)?,
                range: match parts.next() {
                    Some(range) => {
                        let mut ends = inner(range);
                        Some((self.expr(ends.next()?)?, self.expr(ends.next()?)?))
                    }
                    None => None,
                },
            },
            Rule::label => ClauseKind::Label {
                name: self.name(&parts.next()?),
                ty: self.name(&parts.next()?),
                value: self.expr(parts.next()?)?,
                trust: match parts.next() {
                    Some(trust) => Some(self.name(&inner(trust).next()?)),
                    None => None,
                },
            },
            Rule::state => {
                let name = self.name(&parts.next()?);
                let resets = match parts.find(|part| part.as_rule() == Rule::resets) {
                    Some(resets) => Some(self.expr(inner(resets).next()?)?),
                    None => None,
                };
                ClauseKind::State { name, resets }
            }
            Rule::never => ClauseKind::Never(self.protection(parts)?),
            Rule::preference => {
                let prefer = parts.next()?.as_str() == "prefer";
                ClauseKind::Preference { prefer, of: self.protection(parts)? }
            }
            Rule::pick => ClauseKind::Pick {
                name: self.name(&parts.next()?),
                selection: Box::new(self.selection(parts.next()?)?),
            },
            Rule::test => ClauseKind::Test(self.test(parts)?),
            Rule::named => ClauseKind::Rule {
                name: Some(self.text(&parts.next()?)),
                action: self.action(parts.next()?)?,
            },
            Rule::bare => ClauseKind::Rule { name: None, action: self.action(parts.next()?)? },
            Rule::default => ClauseKind::Default(self.action(parts.next()?)?),
            _ => return None,
        };
        Some(Clause { kind, span })
    }

    fn name(&self, pair: &Pair<'_, Rule>) -> Name {
        Name { text: pair.as_str().to_owned(), span: self.span(pair) }
    }

    fn text(&self, pair: &Pair<'_, Rule>) -> Text {
        Text { text: unquoted(pair.as_str()).to_owned(), span: self.span(pair) }
    }

    fn protection<'p>(&mut self, parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Protection> {
        let mut never = Protection { rank: None, unit: None, path: None, place: None, condition: None };
        for part in parts {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::rank => never.rank = Some((rank(part.as_str())?, span)),
                Rule::unit => never.unit = Some((unit(part.as_str())?, span)),
                Rule::string => never.path = Some(self.text(&part)),
                Rule::within => never.place = Some(self.place(inner(part).next()?)?),
                Rule::filter => never.condition = Some(self.expr(inner(part).next()?)?),
                _ => return None,
            }
        }
        Some(never)
    }

    fn test<'p>(&mut self, mut parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Test> {
        let name = self.text(&parts.next()?);
        let mut steps = Vec::new();
        for part in parts {
            let span = self.span(&part);
            let rule = part.as_rule();
            let mut parts = inner(part);
            let kind = match rule {
                Rule::given => {
                    let mut objects = Vec::new();
                    for part in parts {
                        objects.push(match part.as_rule() {
                            Rule::setting => {
                                let mut parts = inner(part);
                                let name = self.name(&parts.next()?);
                                GivenKind::Param(name, self.literal(parts)??)
                            }
                            _ => GivenKind::Object(self.given(part)?),
                        });
                    }
                    StepKind::Given(objects)
                }
                Rule::event => {
                    let (mut system, mut cgroup, mut properties) = (false, None, Vec::new());
                    for part in parts {
                        match part.as_rule() {
                            Rule::system => system = true,
                            Rule::circumstances => properties = self.properties(inner(part))?,
                            _ => cgroup = Some(self.text(&part)),
                        }
                    }
                    StepKind::Event { system, cgroup, properties }
                }
                Rule::passes => StepKind::After(self.primary(parts.next()?)?.0),
                Rule::expectation => {
                    let outcome = self.outcome(parts.next()?)?;
                    let rule = match parts.next() {
                        Some(by) => Some(self.text(&inner(by).find(|part| part.as_rule() == Rule::string)?)),
                        None => None,
                    };
                    StepKind::Expect { outcome, rule }
                }
                _ => return None,
            };
            steps.push(Step { kind, span });
        }
        Some(Test { name, steps })
    }

    fn given(&mut self, object: Pair<'_, Rule>) -> Option<Given> {
        let span = self.span(&object);
        let mut parts = inner(object);
        let path = self.text(&parts.next()?);
        let properties = self.properties(parts)?;
        Some(Given { path, properties, span })
    }

    fn properties<'p>(&mut self, pairs: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Vec<Property>> {
        let mut properties = Vec::new();
        for property in pairs {
            let mut parts = inner(property);
            let name = self.path(parts.next()?)?;
            properties.push(Property { name, value: self.literal(parts)? });
        }
        Some(properties)
    }

    /// A value, which may have a sign; inside, none if there is none.
    fn literal<'p>(&mut self, mut parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Option<Expr>> {
        Some(match parts.next() {
            Some(minus) if minus.as_rule() == Rule::minus => {
                let (value, _) = self.primary(parts.next()?)?;
                let span = self.span(&minus).to(value.span);
                Some(Expr { kind: ExprKind::Minus(Box::new(value)), span })
            }
            Some(value) => Some(self.primary(value)?.0),
            None => None,
        })
    }

    fn outcome(&mut self, pair: Pair<'_, Rule>) -> Option<Outcome> {
        let rule = pair.as_rule();
        let mut parts = inner(pair);
        Some(match rule {
            Rule::expect_nobody => Outcome::KillNobody,
            Rule::expect_kill => {
                let (mut of, mut victims) = (None, Vec::new());
                for part in parts {
                    match part.as_rule() {
                        Rule::unit => of = Some((unit(part.as_str())?, self.span(&part))),
                        _ => victims.push(self.text(&part)),
                    }
                }
                Outcome::Kill(of, victims)
            }
            Rule::expect_raise => {
                Outcome::RaiseLimit(self.text(&parts.next()?), self.primary(parts.next()?)?.0)
            }
            Rule::expect_candidates => Outcome::Candidates(parts.map(|part| self.text(&part)).collect()),
            Rule::expect_freed => Outcome::Freed(self.primary(parts.next()?)?.0),
            Rule::reason => Outcome::Reason(self.text(&parts.next()?)),
            Rule::notice => Outcome::Notify(self.text(&parts.next()?)),
            Rule::wait => Outcome::Wait,
            Rule::defer => Outcome::Defer,
            _ => return None,
        })
    }

    fn action(&mut self, pair: Pair<'_, Rule>) -> Option<Action> {
        let span = self.span(&pair);
        let mut actions = Vec::new();
        for part in inner(pair) {
            actions.push(self.simple(part)?);
        }
        if actions.len() > MAX_CHAIN {
            self.sink.push(
                Diagnostic::new(codes::DEPTH, format!("more than {MAX_CHAIN} actions are joined by `or`"))
                    .label(span, "too many for one rule")
                    .help("write rules below each other: the next one runs when this one made no progress"),
            );
            return None;
        }
        if actions.len() == 1 {
            return actions.pop();
        }
        Some(Action { kind: ActionKind::Or(actions), span })
    }

    fn simple(&mut self, pair: Pair<'_, Rule>) -> Option<Action> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut parts = inner(pair);
        let kind = match rule {
            Rule::conditional => ActionKind::If {
                condition: self.expr(parts.next()?)?,
                then: Box::new(self.action(parts.next()?)?),
                otherwise: match parts.next() {
                    Some(otherwise) => Some(Box::new(self.action(otherwise)?)),
                    None => None,
                },
            },
            Rule::block => {
                let mut actions = Vec::new();
                for part in parts {
                    actions.push(self.action(part)?);
                }
                ActionKind::Block(actions)
            }
            Rule::kill => {
                let selection = Box::new(self.selection(parts.next()?)?);
                let (mut now, mut until, mut reason) = (false, None, None);
                for part in parts {
                    match part.as_rule() {
                        Rule::now => now = true,
                        Rule::until => {
                            let mut parts = inner(part);
                            let freed = self.expr(parts.next()?)?;
                            let at_most = self.primary(parts.next()?)?.0;
                            until = Some(Box::new(Until { freed, at_most }));
                        }
                        Rule::reason => reason = Some(self.text(&inner(part).next()?)),
                        _ => return None,
                    }
                }
                ActionKind::Kill { selection, now, until, reason }
            }
            Rule::raise_limit => ActionKind::RaiseLimit {
                amount: self.expr(parts.next()?)?,
                up_to: match parts.next() {
                    Some(up_to) => Some(self.expr(inner(up_to).next()?)?),
                    None => None,
                },
            },
            Rule::wait => ActionKind::Wait,
            Rule::defer => ActionKind::Defer,
            Rule::notice => ActionKind::Notify(self.text(&parts.next()?)),
            Rule::tally => ActionKind::Count(self.name(&parts.next()?)),
            _ => return None,
        };
        Some(Action { kind, span })
    }

    fn selection(&mut self, pair: Pair<'_, Rule>) -> Option<Selection> {
        let span = self.span(&pair);
        let (mut rank_word, mut unit_word, mut name, mut place) = (None, None, None, None);
        let (mut stepwise, mut filter, mut keys) = (None, None, Vec::new());
        for part in inner(pair) {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::rank => rank_word = Some((rank(part.as_str())?, span)),
                Rule::unit => unit_word = Some((unit(part.as_str())?, span)),
                Rule::name => name = Some(self.name(&part)),
                Rule::within => place = Some(self.place(inner(part).next()?)?),
                Rule::stepwise => stepwise = Some(span),
                Rule::filter => filter = Some(self.expr(inner(part).next()?)?),
                Rule::order => {
                    for key in inner(part) {
                        let mut parts = inner(key);
                        let value = self.expr(parts.next()?)?;
                        let descending = parts.next().map(|direction| direction.as_str() == "desc");
                        keys.push(Key { value, descending });
                    }
                }
                _ => return None,
            }
        }
        Some(Selection {
            rank: rank_word,
            unit: unit_word,
            name,
            place: place?,
            stepwise,
            filter,
            keys,
            span,
        })
    }

    fn place(&mut self, pair: Pair<'_, Rule>) -> Option<Place> {
        let (span, rule) = (self.span(&pair), pair.as_rule());
        if rule == Rule::path {
            return Some(Place::Cgroup(self.path(pair)?));
        }
        let of = match inner(pair).find(|part| part.as_rule() == Rule::path) {
            Some(path) => Some(self.path(path)?),
            None => None,
        };
        Some(match rule {
            Rule::descent => Place::Subtree(span, of),
            Rule::children => Place::Children(span, of?),
            Rule::leaves => Place::Leaves(span, of?),
            _ => return None,
        })
    }

    fn path(&mut self, pair: Pair<'_, Rule>) -> Option<Path> {
        let span = self.span(&pair);
        let mut path = Path { segments: Vec::new(), indices: Vec::new(), span };
        for part in inner(pair) {
            match part.as_rule() {
                Rule::number => {
                    let of = path.segments.len().checked_sub(1)?;
                    path.indices.push((of, self.number(&part)?));
                }
                _ => path.segments.push(self.name(&part)),
            }
        }
        Some(path)
    }

    /// A number with its unit, or a diagnostic.
    fn number(&mut self, pair: &Pair<'_, Rule>) -> Option<literal::Literal> {
        match literal::parse(pair.as_str()) {
            Ok(literal) => Some(literal),
            Err(refused) => {
                self.sink.push(
                    Diagnostic::new(refused.code, refused.message)
                        .label(self.span(pair), "this number")
                        .help(refused.help),
                );
                None
            }
        }
    }

    fn quantifier(&mut self, pair: Pair<'_, Rule>) -> Option<Quantifier> {
        let (mut quant, mut of, mut name, mut place, mut filter) = (None, None, None, None, None);
        for part in inner(pair) {
            match part.as_rule() {
                Rule::quant => {
                    quant = Some(match part.as_str() {
                        "any" => Quant::Any,
                        "every" => Quant::Every,
                        _ => Quant::Count,
                    });
                }
                Rule::path => quant = Some(Quant::Sum(self.path(part)?)),
                Rule::unit => of = Some(unit(part.as_str())?),
                Rule::name => name = Some(self.name(&part)),
                Rule::within => place = Some(self.place(inner(part).next()?)?),
                Rule::filter => filter = Some(self.expr(inner(part).next()?)?),
                Rule::of => {}
                _ => return None,
            }
        }
        Some(Quantifier { quant: quant?, unit: of?, name, place: place?, filter })
    }

    fn expr(&mut self, pair: Pair<'_, Rule>) -> Option<Expr> {
        self.deep(pair).map(|(expr, _)| expr)
    }

    /// The Pratt parser takes three closures, and all of them report: the sink is shared between them.
    fn deep(&mut self, pair: Pair<'_, Rule>) -> Option<Deep> {
        let cst = core::cell::RefCell::new(self);
        pratt()
            .map_primary(|primary| cst.borrow_mut().primary(primary))
            .map_prefix(|op, operand: Option<Deep>| {
                let (operand, depth) = operand?;
                let span = cst.borrow().span(&op).to(operand.span);
                let operand = Box::new(operand);
                let kind = match op.as_rule() {
                    Rule::not => ExprKind::Not(operand),
                    _ => ExprKind::Minus(operand),
                };
                Some((Expr { kind, span }, depth + 1))
            })
            .map_infix(|left: Option<Deep>, op, right: Option<Deep>| {
                cst.borrow_mut().infix(left?, &op, right?)
            })
            .parse(pair.into_inner())
    }

    fn primary(&mut self, pair: Pair<'_, Rule>) -> Option<Deep> {
        let span = self.span(&pair);
        let (kind, depth) = match pair.as_rule() {
            Rule::number => (self.number(&pair).map_or(ExprKind::Broken, ExprKind::Number), 0),
            Rule::string => (ExprKind::Text(unquoted(pair.as_str()).to_owned()), 0),
            Rule::boolean => (ExprKind::Bool(pair.as_str() == "true"), 0),
            Rule::path => (ExprKind::Path(self.path(pair)?), 0),
            Rule::quantifier | Rule::sum => {
                let quantifier = Box::new(self.quantifier(pair)?);
                (ExprKind::Quantifier(quantifier), 1)
            }
            Rule::paren => {
                let (expr, depth) = self.deep(inner(pair).next()?)?;
                (ExprKind::Paren(Box::new(expr)), depth + 1)
            }
            Rule::list => {
                let mut items = Vec::new();
                let mut deepest = 0;
                for part in inner(pair) {
                    let (item, depth) = self.deep(part)?;
                    deepest = deepest.max(depth);
                    items.push(item);
                }
                (ExprKind::List(items), deepest + 1)
            }
            _ => return None,
        };
        Some((Expr { kind, span }, depth))
    }

    fn infix(
        &mut self,
        (left, left_depth): Deep,
        op: &Pair<'_, Rule>,
        (right, right_depth): Deep,
    ) -> Option<Deep> {
        let span = left.span.to(right.span);
        let op_span = self.span(op);
        let broken = Some((Expr { kind: ExprKind::Broken, span }, 0));
        let binary = match op.as_rule() {
            Rule::or => Binary::Or,
            Rule::and => Binary::And,
            Rule::equal => Binary::Eq,
            Rule::not_equal => Binary::Ne,
            Rule::below => Binary::Lt,
            Rule::at_most => Binary::Le,
            Rule::above => Binary::Gt,
            Rule::at_least => Binary::Ge,
            Rule::within_list => Binary::In,
            Rule::plus => Binary::Add,
            Rule::minus_from => Binary::Sub,
            Rule::times => Binary::Mul,
            Rule::divided => Binary::Div,
            Rule::of => Binary::Of,
            Rule::otherwise => Binary::Default,
            Rule::assign => {
                self.sink.push(
                    Diagnostic::new(codes::ASSIGN, "`=` does not compare")
                        .label(op_span, "not a comparison")
                        .help("write `==`"),
                );
                return broken;
            }
            _ => return None,
        };
        if !matches!(
            binary,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Of | Binary::Default
        ) {
            for operand in [&left, &right] {
                if let ExprKind::Quantifier(quantifier) = &operand.kind
                    && quantifier.filter.is_some()
                {
                    self.sink.push(
                        Diagnostic::new(
                            codes::BARE_QUANTIFIER,
                            format!("where does the `where` of `{}` end?", quantifier.quant.spelling()),
                        )
                        .label(operand.span, "its condition takes everything up to here")
                        .help(format!(
                            "put it in parentheses: `({} … where …)`",
                            quantifier.quant.spelling()
                        )),
                    );
                    return broken;
                }
            }
        }
        let chained = matches!(left.kind, ExprKind::Binary(first, ..) if first.compares());
        if binary.compares() && chained {
            self.sink.push(
                Diagnostic::new(codes::CHAINED, "comparisons cannot be chained")
                    .label(op_span, "the left side is a comparison already")
                    .help("write each comparison out: `a < b and b < c`"),
            );
            return broken;
        }
        let depth = left_depth.max(right_depth) + 1;
        if depth > MAX_CHAIN {
            self.sink.push(
                Diagnostic::new(
                    codes::DEPTH,
                    format!("more than {MAX_CHAIN} operators hang on each other here"),
                )
                .label(op_span, "one too many")
                .help("use `in [ … ]` for many values, or name parts of it with `const`"),
            );
            return None;
        }
        Some((Expr { kind: ExprKind::Binary(binary, Box::new(left), Box::new(right)), span }, depth))
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn rank(word: &str) -> Option<Rank> {
    Some(match word {
        "largest" => Rank::Largest,
        "smallest" => Rank::Smallest,
        "youngest" => Rank::Youngest,
        "oldest" => Rank::Oldest,
        "worst" => Rank::Worst,
        "all" => Rank::All,
        _ => return None,
    })
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "process" => Unit::Process,
        "cgroup" => Unit::Cgroup,
        _ => return None,
    })
}
