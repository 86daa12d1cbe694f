//! `.oomc.meta`: what the loader and readers of records want to know of an object without its source.
//!
//! | key | value |
//! |---|---|
//! | `page` | bytes of a page of the machines that it is for |
//! | `record` | format of its records |
//! | `param` | `NAME TYPE DEFAULT LEAST MOST` |
//! | `label` | `NUMBER NAME TYPE DEFAULT TRUST` |
//! | `state` | `NUMBER NAME WINDOW`; 0: for ever |
//! | `rule` | `NUMBER NAME` |
//! | `block`, `sample`, `budget` | what is watched: [`oomc_abi::watch`] |
//! | `message` | `NUMBER TEXT`; a value stands as `{TYPE}` |
//! | `select` | `SELECTION UNIT`: whether the candidates of a `kill` are processes or cgroups |
//! | `key` | `SELECTION TYPE TEXT`: keys of a `kill`, in their order |
//!
//! Numbers are in the unit of their type: bytes, parts per million, nanoseconds.

use oomc_abi::declared::PAGE;
use oomc_abi::{record, watch};

use super::{Error, Module};
use crate::hir::{ExprKind, Kill, Mode, Part, Ty, WatchBlock};

/// Lines `key=value`; the order is fixed.
pub(super) fn text(module: &Module<'_>) -> Result<String, Error> {
    let line = |key: &str, value: &str| format!("{key}={}\n", value.replace(['\n', '\r'], " "));
    let policy = module.policy;
    let mut out = [
        line("format", "1"),
        line("name", &policy.name),
        line("hash", module.hash),
        line("mode", if policy.mode == Mode::Audit { "audit" } else { "enforce" }),
        line("tool", env!("CARGO_PKG_VERSION")),
        line("edition", "1"),
        line("cost", &crate::hir::complexity::class(policy).text()),
        line(PAGE, &module.view.page_size().to_string()),
        line(record::FORMAT_KEY, &record::FORMAT.to_string()),
    ]
    .concat();
    for param in policy.params.values() {
        let (ty, default, least, most) = (ty(param.ty), param.default, param.least, param.most);
        out += &line("param", &format!("{} {ty} {default} {least} {most}", param.name));
    }
    for (number, label) in policy.labels.values().enumerate() {
        let (ty, default, trust) = (ty(label.ty), label.default, label.trust.spelling());
        out += &line("label", &format!("{number} {} {ty} {default} {trust}", label.name));
    }
    for (number, state) in policy.states.values().enumerate() {
        out += &line("state", &format!("{number} {} {}", state.name, state.resets.unwrap_or(0)));
    }
    for (number, rule) in policy.rules.iter().enumerate() {
        out += &line("rule", &format!("{number} {}", rule.name));
    }
    for (number, block) in (1..).zip(&policy.blocks) {
        out += &line(watch::BLOCK, &block_of(number, block).text());
    }
    for (number, sample) in (0..).zip(policy.samples.values()) {
        let row = sample.field.row();
        let (owner, field) = (row.owner, row.name.to_owned());
        out += &line(watch::SAMPLE, &watch::Sample { number, owner, field, course: sample.course }.text());
    }
    if let Some(budget) = policy.budget {
        out += &line(watch::BUDGET, &budget.text());
    }
    for (number, (_, message)) in policy.messages().enumerate() {
        let parts = message.parts.iter().map(|part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Value(value) => {
                let expr = policy.exprs.get(*value).ok_or(Error::Internal("a message shows no value"))?;
                Ok(format!("{{{}}}", ty(expr.ty)))
            }
        });
        out += &line("message", &format!("{number} {}", parts.collect::<Result<String, Error>>()?));
    }
    for (number, (_, kill)) in policy.kills().enumerate() {
        let unit = crate::hir::lower::owner(kill.selection.unit).name();
        out += &line("select", &format!("{number} {unit}"));
        for (ty, text) in keys(module, kill) {
            out += &line("key", &format!("{number} {ty} {text}"));
        }
    }
    Ok(out)
}

fn block_of(number: u64, block: &WatchBlock) -> watch::Block {
    let WatchBlock { event, lasting, cooldown, rules, .. } = block;
    watch::Block { number, event: *event, lasting: *lasting, cooldown: *cooldown, rules: rules.clone() }
}

/// The keys of a selection as written; of a ranking word, the field that it compares.
fn keys<'m>(module: &Module<'m>, kill: &'m Kill) -> impl Iterator<Item = (&'static str, String)> + use<'m> {
    let (policy, source) = (module.policy, module.source);
    kill.selection.keys.iter().filter_map(move |key| {
        let expr = policy.exprs.get(key.expr)?;
        let text = match &expr.kind {
            ExprKind::Field(_, field) => field.row().name.to_owned(),
            _ => source.slice(expr.span).split_whitespace().collect::<Vec<_>>().join(" "),
        };
        Some((ty(expr.ty), text))
    })
}

fn ty(ty: Ty) -> &'static str {
    match ty {
        Ty::Bytes => "bytes",
        Ty::Ratio => "ratio",
        Ty::Duration => "duration",
        Ty::Count => "count",
        Ty::Bool => "bool",
        Ty::Text => "text",
    }
}
