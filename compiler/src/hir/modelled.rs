//! Which members of kernel structures a policy asks for that no model of a machine has: only a running kernel knows
//! them, so `test`, `sim` and `plan` do not.
//!
//! Takes a checked policy; what the model has is asked of [`oomc_abi::model`].

use std::collections::HashSet;

use oomc_abi::members;
use oomc_abi::model::{self, Class};
use oomc_abi::resolve::KernelView;

use super::errors;
use super::{ExprKind, Policy, Raw};
use crate::diag::Sink;
use crate::source::Span;

/// A member that the model lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmodelled {
    /// As an author names it: `task.mm.owner.comm`.
    pub name: String,
    /// The structures that are read on the way to it, and the place in each: bytes from its start.
    pub steps: Vec<(String, u32)>,
    /// A test can give it.
    pub can_be_given: bool,
    /// Where it is asked for first.
    pub span: Span,
}

/// Each member that the policy asks for and the model lacks, once, in the order of the text.
#[must_use]
pub fn unmodelled(policy: &Policy, view: &KernelView) -> Vec<Unmodelled> {
    let mut asked: Vec<(Span, &Raw)> = policy
        .exprs
        .values()
        .filter_map(|expr| match expr.kind {
            ExprKind::Raw(_, raw) => Some((expr.span, policy.raws.get(raw)?)),
            _ => None,
        })
        .collect();
    asked.sort_by_key(|(span, _)| span.start);
    let mut seen = HashSet::new();
    asked.retain(|(_, raw)| seen.insert((raw.container, &raw.path)));
    let mut found: Vec<Unmodelled> = Vec::new();
    for (span, raw) in asked {
        let Some(one) = of(raw, view, span) else { continue };
        if !found.iter().any(|other| other.name == one.name) {
            found.push(one);
        }
    }
    found
}

/// Warns of each.
pub(crate) fn check(policy: &Policy, view: &KernelView, sink: &mut Sink) {
    for one in unmodelled(policy, view) {
        sink.push(errors::kernel::not_in_the_model(&one.name, one.can_be_given, one.span));
    }
}

fn of(raw: &Raw, view: &KernelView, span: Span) -> Option<Unmodelled> {
    let (word, class) = match raw.container {
        members::TASK => ("task", Class::Task),
        members::MEMCG => ("memcg", Class::Memcg),
        _ => ("oom.oc", Class::Event),
    };
    let place = model::place(view, class, &raw.path);
    if place.as_ref().is_ok_and(|place| place.filled) {
        return None;
    }
    let can_be_given = class != Class::Event && place.is_ok_and(|place| place.own);
    let mut container = raw.container.to_owned();
    let mut steps = Vec::new();
    for part in raw.path.split("->") {
        let Ok(member) = view.lookup(&container, part) else {
            // The last one may be a bit-field.
            steps.extend(view.bit_field(&container, part).map(|bits| (container.clone(), bits.offset)));
            break;
        };
        steps.push((container, member.offset));
        container = member.pointee.unwrap_or_default();
    }
    Some(Unmodelled { name: format!("{word}.{}", raw.path.replace("->", ".")), steps, can_be_given, span })
}
