//! What the parser stumbled over: from the rules that could have stood there to a sentence.
//!
//! Takes pest's error and gives a diagnostic that says what was expected, and what to write instead. Sees the grammar's
//! rules; knows nothing of the tree.

use oomc_abi::amount;
use oomc_grammar::items::{self, Item};
use oomc_grammar::pest::error::{Error, ErrorVariant, InputLocation};
use oomc_grammar::{Rule, words};

use crate::diag::Diagnostic;
use crate::diag::suggest::nearest;
use crate::source::{Source, Span};
use crate::syntax::errors::{self, short};

/// The mistake that the parser came upon in an item.
pub(super) fn unexpected(source: &Source, item: &Item, error: &Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => item.range.start + at,
    };
    let rest = source.slice(Span::new(at..item.range.end));
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
        let hint = hint(positives, "", source.slice(Span::new(0..last)));
        return errors::clause_ends(&wanted, Span::new(start..last)).help(hint);
    }
    let hint = hint(positives, found, source.slice(Span::new(0..at)));
    errors::unexpected_token(&wanted, found, Span::new(at..at + found.len())).help(hint)
}

/// What to write instead, found from what could have stood there, what does, and the text before it.
fn hint(positives: &[Rule], found: &str, before: &str) -> String {
    let before = before.trim_end();
    let ends = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("");
    split_number(found, before)
        .or_else(|| slip(positives, found, ends))
        .or_else(|| mistyped(positives, found, ends))
        .unwrap_or_else(|| example(positives).to_owned())
}

/// A number that is apart from its unit.
fn split_number(found: &str, before: &str) -> Option<String> {
    let after_number = before
        .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .next()
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    if let Some(number) = after_number
        && (found == "%"
            || amount::BYTES.iter().chain(&amount::TIMES).any(|(unit, _)| unit.eq_ignore_ascii_case(found)))
    {
        return Some(format!("a number and its unit are one word: `{number}{found}`"));
    }
    None
}

/// A mistake that is known, because many make it. `ends` is the word before it.
fn slip(positives: &[Rule], found: &str, ends: &str) -> Option<String> {
    let has = |wanted: Rule| positives.contains(&wanted);
    if found == "where" && (has(Rule::direction) || has(Rule::comma) && has(Rule::now)) {
        return Some("`where` stands before `by`".to_owned());
    }
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
        return Some(slip.to_owned());
    }
    if found == "now" && has(Rule::EOI) {
        return Some("`now` stands before `reason`".to_owned());
    }
    if has(Rule::string) && !has(Rule::number) && found.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(format!("names of policies and rules stand in quotes: `\"{}\"`", short(found)));
    }
    None
}

/// A word that is almost another one, or stands where no such word can.
fn mistyped(positives: &[Rule], found: &str, ends: &str) -> Option<String> {
    let has = |wanted: Rule| positives.contains(&wanted);
    if words::of(Rule::unit).contains(&found)
        && let Some(word) = nearest(ends, words::of(Rule::rank).iter().copied())
        && word != ends
    {
        return Some(format!("did you mean `{word} {found}`?"));
    }
    let expected: Vec<&str> = positives.iter().flat_map(|wanted| words::of(*wanted)).copied().collect();
    let joints =
        [Rule::kw_where, Rule::kw_by, Rule::kw_then, Rule::kw_else].into_iter().flat_map(words::of).copied();
    let near = nearest(found, expected.iter().copied())
        .or_else(|| nearest(found, items::clause_words()).filter(|_| found.len() >= 3))
        .or_else(|| nearest(found, joints).filter(|_| found.len() >= 3));
    if let Some(word) = near.filter(|word| *word != found) {
        return Some(format!("did you mean `{word}`?"));
    }
    if ["then", "else"].contains(&found)
        && !has(Rule::number)
        && !has(Rule::kw_kill)
        && !has(Rule::close_paren)
    {
        return Some(format!("`{found}` belongs to an `if`: `if … then … else …`"));
    }
    if has(Rule::name) && !has(Rule::number) && words::reserved().contains(&found) {
        return Some(format!("`{found}` is a reserved word and cannot be a name"));
    }
    None
}

/// How that is written which must stand here.
fn example(positives: &[Rule]) -> &'static str {
    let has = |wanted: Rule| positives.contains(&wanted);
    if has(Rule::kw_in) && !has(Rule::plus) {
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
    }
}

/// The token that a text begins with.
pub(super) fn token(rest: &str) -> &str {
    let Some(first) = rest.chars().next() else { return "" };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = match first {
        '"' => rest.get(1..).and_then(|inside| inside.find('"')).map_or(rest.len(), |end| end + 2),
        c if word(c) => rest.find(|c: char| !word(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    };
    rest.get(..length).unwrap_or(rest)
}

/// What could stand there, for a reader: groups instead of every single token.
fn expectations(positives: &[Rule]) -> Vec<&'static str> {
    let mut list: Vec<&'static str> = Vec::new();
    for rule in positives {
        if let Some(text) = group(*rule, positives).or_else(|| called(*rule))
            && !list.contains(&text)
        {
            list.push(text);
        }
    }
    // The more can follow, the less a list of it helps: what must come is what a reader looks for.
    if list.len() > 4 {
        list.retain(|text| !matches!(*text, "an operator" | "the next clause" | "`or`"));
    }
    list
}

/// A group of rules that can stand there together.
fn group(rule: Rule, positives: &[Rule]) -> Option<&'static str> {
    let has = |rule: Rule| positives.contains(&rule);
    Some(match rule {
        Rule::kw_if
        | Rule::kw_notify
        | Rule::kw_count
        | Rule::kw_kill
        | Rule::kw_raise_limit
        | Rule::wait
        | Rule::defer
        | Rule::open_brace
            if has(Rule::kw_kill) && has(Rule::kw_if) =>
        {
            "an action"
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
        | Rule::fold
        | Rule::choice
        | Rule::bit_test
        | Rule::open_bracket
            if has(Rule::number) && has(Rule::open_paren) =>
        {
            "a value"
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
        | Rule::kw_has
        | Rule::dot
        | Rule::open_bracket
            if has(Rule::plus) || has(Rule::times) =>
        {
            "an operator"
        }
        _ => return None,
    })
}

/// What one rule is called; none if it helps nobody.
fn called(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::EOI => "the next clause",
        Rule::name => "a name",
        Rule::string => "a string",
        Rule::number => "a number",
        Rule::segment => "a field",
        Rule::expr => "a value",
        Rule::action => "an action",
        Rule::selection => "a selection",
        Rule::order => "`by`",
        Rule::filter => "`where`",
        Rule::within => "`in`",
        Rule::reason => "`reason`",
        Rule::up_to => "`up to`",
        Rule::equals | Rule::assign => "`=`",
        Rule::colon => "`:`",
        Rule::comma => "`,`",
        Rule::open_paren => "`(`",
        Rule::close_paren => "`)`",
        Rule::open_bracket => "`[`",
        Rule::close_bracket => "`]`",
        Rule::open_brace => "`{`",
        Rule::close_brace => "`}`",
        Rule::rank => "a ranking word such as `largest`",
        Rule::unit => "`process` or `cgroup`",
        Rule::direction => "`asc` or `desc`",
        Rule::path | Rule::anchor => "a cgroup",
        Rule::kw_then => "`then`",
        Rule::kw_else => "`else`",
        Rule::kw_or => "`or`",
        Rule::kw_kill => "`kill`",
        Rule::kw_to => "`to`",
        Rule::kw_in => "`in`",
        Rule::kw_where => "`where`",
        Rule::kw_by => "`by`",
        Rule::kw_up => "`up to`",
        Rule::kw_reason => "`reason`",
        Rule::now => "`now`",
        Rule::subtree => "`subtree`",
        Rule::bits => "bits such as `0x400`",
        Rule::bar => "`|`",
        Rule::kw_has => "`has`",
        Rule::kw_range | Rule::range => "`range`",
        Rule::kw_trust | Rule::trust => "`trust`",
        Rule::kw_counter => "`counter`",
        Rule::kw_per => "`per cgroup`",
        Rule::kw_after => "`after`",
        Rule::kw_until | Rule::until => "`until freed`",
        Rule::kw_freed => "`freed`",
        Rule::kw_at => "`at most`",
        Rule::kw_most => "`most`",
        Rule::stepwise => "`stepwise`",
        Rule::dots => "`..`",
        Rule::type_name => "a type: `count`, `bytes`, `percent`, `duration` or `bool`",
        Rule::truster => "`root`, `owner` or `any`",
        Rule::given | Rule::kw_given => "`given`",
        Rule::event | Rule::kw_on => "`on oom`",
        Rule::expectation | Rule::kw_expect => "`expect`",
        Rule::kw_oom => "`oom`",
        Rule::property => "a property",
        Rule::setting => "`param`",
        Rule::kw_candidates | Rule::expect_candidates => "`candidates`",
        _ => return None,
    })
}
