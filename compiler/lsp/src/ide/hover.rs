//! Hover: what a name or a word is.

use core::ops::Range;

use oomc_abi::amount::short;
use oomc_abi::availability;
use oomc_abi::fields::{FIELDS, Field, Measure, Owner};
use oomc_abi::raw::{self, Value};
use oomc_abi::{members, resolve::KernelView};
use oomc_compiler::hir::{Policy, complexity};
use oomc_compiler::resolve::uses::Meaning;
use oomc_compiler::source::Span;

use super::names::{self, Declared, Symbol};
use super::tokens::{Within, within, word};
use super::words;
use crate::analysis::{Analysis, Page, Side};

/// What to show at a byte, and which bytes it is about.
pub(crate) fn hover(analysis: &Analysis, page: &Page<'_>, at: usize) -> Option<(Range<usize>, String)> {
    let touched = |span: Span| span.range().start <= at && at <= span.range().end;
    if let Some((range, symbol)) = names::symbol(page, at) {
        return Some((range, of_symbol(analysis, page, &symbol)?));
    }
    let used = page.uses.iter().find(|one| touched(one.span));
    match used.map(|one| (one.span.range(), one.meaning)) {
        Some((range, Meaning::Field(field))) => return Some((range, of_field(field.row(), page.view))),
        Some((range, Meaning::Member(owner))) => {
            let path = page.text.get(range.clone())?;
            return Some((range, of_member(path, owner, page.view)?));
        }
        _ => {}
    }
    if within(page.text, at) != Within::Code {
        return None;
    }
    let range = word(page.text, at)?;
    let name = page.text.get(range.clone())?;
    let before = page.text.get(..range.start)?;
    if name == "rule"
        && let Some(rule) = names::rules(page.file).find(|rule| rule.span.range().start == range.start)
        && let Some(cost) = cost(page, rule.span)
    {
        return Some((range, format!("{}\n\n{cost}", of_word(name)?)));
    }
    // In a clause that is not understood, all that has such a name is shown.
    let member = before.ends_with('.');
    let rows: Vec<String> = FIELDS
        .iter()
        .filter(|row| row.name == name || row.name.rsplit('.').next() == Some(name) && member)
        .map(|row| of_field(row, page.view))
        .collect();
    match of_word(name).filter(|_| !member) {
        Some(text) => Some((range, text)),
        None if rows.is_empty() => None,
        None => Some((range, rows.join("\n\n---\n\n"))),
    }
}

/// A row of the table of fields, and whether the kernel that is compiled for has it.
pub(crate) fn of_field(field: &Field, view: &KernelView) -> String {
    let (owner, unit) = (field.owner.name(), field.unit.name());
    let mut text = format!("`{owner}.{}`: {unit}\n\n{}", field.name, field.doc);
    if let Some(base) = field.base {
        text.push_str(&format!("\n\nA percent beside it is taken of `{owner}.{base}`."));
    }
    if !field.missing.is_empty() {
        text.push_str(&format!("\n\nMissing when {}.", field.missing));
    }
    text.push_str(&format!("\n\nRead as in {}.", field.source));
    text.push_str(&match availability::lacks(view, field) {
        None => "\n\nThe kernel that is compiled for has it.".to_owned(),
        Some(lacks) => format!("\n\nThe kernel that is compiled for does not have it: {lacks}."),
    });
    text
}

/// A member of a kernel structure.
fn of_member(path: &str, owner: Owner, view: &KernelView) -> Option<String> {
    let container = match owner {
        Owner::Process => members::TASK,
        Owner::Cgroup => members::MEMCG,
        Owner::Event | Owner::Machine => members::EVENT,
    };
    let parts: Vec<String> = path.split('.').skip(1).map(|part| part.trim().to_owned()).collect();
    let found = raw::find(view, container, &parts).ok()?;
    let ty = match found.value {
        Value::Number { signed: true, .. } => "a number with a sign".to_owned(),
        Value::Number { large: true, .. } => "an unsigned number of 64 bits".to_owned(),
        Value::Number { .. } => "an unsigned number".to_owned(),
        Value::Bool => "yes or no".to_owned(),
        Value::Enum { tag } if tag.is_empty() => "an enumeration without a name".to_owned(),
        Value::Enum { tag } => {
            let names = view.enumerators(&tag);
            let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
            let more = if names.len() > shown.len() { ", …" } else { "" };
            format!("`enum {tag}`: {}{more}", shown.join(", "))
        }
        Value::Bits { bool: true, .. } => "one bit: yes or no".to_owned(),
        Value::Bits { .. } => "bits of a number".to_owned(),
        Value::Chars(bytes) => format!("a text of at most {bytes} bytes"),
        Value::Text => "a text".to_owned(),
    };
    Some(format!(
        "`{container}.{}`: {ty}\n\nA member of the kernel's own structure, as the kernel that is compiled for has it.",
        found.path
    ))
}

/// A word of the language.
fn of_word(word: &str) -> Option<String> {
    let meaning = words::meaning(word)?;
    let example = words::example(word).map(|example| format!("\n\n```oom\n{example}\n```"));
    Some(format!("**{word}**: {meaning}{}", example.unwrap_or_default()))
}

fn of_symbol(analysis: &Analysis, page: &Page<'_>, symbol: &Symbol) -> Option<String> {
    match symbol {
        Symbol::Declared(span) => {
            let (_, what, clause) = names::declared(page.policy_file().unwrap_or(page.file))
                .find(|(name, ..)| name.span == *span)?;
            let text = if page.side == Side::Policy { page.text } else { page.policy_text() };
            let written = text.get(clause.span.range()).unwrap_or_default();
            let mut shown = format!("```oom\n{written}\n```\n\n{}", meaning(what));
            let policy = page.checked.and_then(|checked| checked.policy());
            shown.extend(policy.and_then(|policy| value(policy, *span)).map(|value| format!("\n\n{value}")));
            Some(shown)
        }
        Symbol::Candidate(side, span) => {
            let page = analysis.page(*side)?;
            let name = page.text.get(span.range())?;
            let mut unit = "process";
            super::nodes::walk(page.file, &mut |node| {
                let (named, word) = match node {
                    super::nodes::Node::Selection(selection) => (
                        selection.name.as_ref(),
                        selection.unit.map_or("process", |(unit, _)| unit.spelling()),
                    ),
                    super::nodes::Node::Quantifier(quantifier, _) => {
                        (quantifier.name.as_ref(), quantifier.unit.spelling())
                    }
                    _ => return,
                };
                if named.is_some_and(|name| name.span == *span) {
                    unit = word;
                }
            });
            Some(format!("`{name}`: the {unit} that is asked, one candidate after the other"))
        }
        Symbol::Rule(name) => {
            let policy = analysis.page(Side::Policy)?;
            let rule =
                names::rules(policy.file).find(|rule| rule.name.is_some_and(|own| own.text == *name))?;
            let written = policy.text.get(rule.span.range()).unwrap_or_default();
            let cost = cost(&policy, rule.span).map(|cost| format!("\n\n{cost}")).unwrap_or_default();
            Some(format!("```oom\n{written}\n```{cost}"))
        }
    }
}

/// How the work of a rule grows; nothing if the policy has an error.
fn cost(page: &Page<'_>, rule: Span) -> Option<String> {
    let policy = page.checked?.policy()?;
    let rule = policy.rules.iter().find(|known| known.span == rule)?;
    let class = complexity::class_of(policy, rule.action);
    Some(format!("Cost of a decision: {}.", class.text()))
}

/// What a clause declares.
fn meaning(declared: Declared) -> &'static str {
    match declared {
        Declared::Constant => "A constant: known when the policy is built.",
        Declared::Definition => "A definition: a condition with a name.",
        Declared::Param => "A param: `oomc set` changes it while the policy runs.",
        Declared::Label => "A label: `oomc label` puts it on a cgroup, and those below inherit it.",
        Declared::State => "A counter of each cgroup: `count` counts it up.",
        Declared::Pick => "A pick: a cgroup that is chosen once for each event.",
    }
}

/// Type, default and bounds.
fn value(policy: &Policy, declared: Span) -> Option<String> {
    if let Some(param) = policy.params.values().find(|param| param.span == declared) {
        let unit = param.ty.measure();
        let [default, least, most] = [param.default, param.least, param.most].map(|value| short(unit, value));
        return Some(format!("Type: {}; {default} until it is set, from {least} to {most}.", unit.name()));
    }
    if let Some(label) = policy.labels.values().find(|label| label.span == declared) {
        let unit = label.ty.measure();
        let default = short(unit, label.default);
        let trust = label.trust.spelling();
        return Some(format!("Type: {}; {default} where nobody set it; trusts {trust}.", unit.name()));
    }
    let state = policy.states.values().find(|state| state.span == declared)?;
    Some(match state.resets {
        Some(time) => {
            format!("Type: number; begins anew {} after its first count.", short(Measure::Duration, time))
        }
        None => "Type: number; counts for as long as the cgroup is there.".to_owned(),
    })
}
