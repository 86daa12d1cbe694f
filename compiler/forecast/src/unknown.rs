//! What a decision depends on and nobody knows: members that the model of a machine lacks, and what an old snapshot does
//! not say.
//!
//! Takes what the simulator noted while a policy read, gives it names. A decision that read such a thing is not told.

use oomc_abi::fields::{self, Owner, Recipe};
use oomc_abi::members;
use oomc_abi::resolve::KernelView;
use oomc_compiler::hir::modelled::unmodelled;
use oomc_compiler::hir::{ExprKind, Policy};
use oomc_sim::machine::Machine;

/// A place in a structure of the kernel: its tag, and bytes from its start.
pub(crate) type Place = (&'static str, u64);

/// What a snapshot of schema 1 does not say.
const SWAP: &str = "how much swap the machine has, which a snapshot of schema 1 does not say";
const PARENTS: &str =
    "whose child a process is, or its number in a pid namespace, which a snapshot of schema 1 does not say";

/// What was read and is not known, each once, in words.
pub(crate) fn in_words(policy: &Policy, view: &KernelView, machine: &Machine, read: &[Place]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left: Vec<Place> = read.to_vec();
    for one in unmodelled(policy, view) {
        let step = |(tag, offset): &Place| {
            let same =
                |(of, at): &(String, u32)| of == tag && (0..8).contains(&(*offset as i64 - i64::from(*at)));
            one.steps.iter().any(same)
        };
        let before = left.len();
        left.retain(|place| !step(place));
        if left.len() < before {
            found.push(format!("`{}`, which {}", one.name, SILENT));
        }
    }
    for place in left {
        let text = match place.0 {
            members::EVENT => SWAP.to_owned(),
            members::TASK | "pid" if machine.unknown.parents => PARENTS.to_owned(),
            _ => match field_at(view, place) {
                Some(name) => format!("`{name}`, which {SILENT}"),
                None => format!("a member of `{}`, which {SILENT}", place.0),
            },
        };
        if !found.contains(&text) {
            found.push(text);
        }
    }
    if machine.unknown.swap && asks_for_the_total(policy) && !found.iter().any(|text| text == SWAP) {
        found.push(SWAP.to_owned());
    }
    found
}

const SILENT: &str = "only a running kernel knows";

/// Whether a policy asks for what the kernel scores against.
fn asks_for_the_total(policy: &Policy) -> bool {
    let is_total = |kind: &ExprKind| match kind {
        ExprKind::Field(_, field) => matches!(
            (field.row().owner, field.row().name),
            (Owner::Event, "total") | (Owner::Machine, "swap" | "swap_free")
        ),
        _ => false,
    };
    policy.exprs.values().any(|expr| is_total(&expr.kind))
}

/// Whether something is a field that is one member: a test that does not give it means 0.
pub(crate) fn is_field(view: &KernelView, place: Place) -> bool {
    field_at(view, place).is_some()
}

fn field_at(view: &KernelView, (tag, offset): Place) -> Option<&'static str> {
    let rows = fields::all().map(fields::FieldId::row);
    let mut named = rows.filter_map(|row| {
        let Recipe::Member { path, .. } = row.recipe else { return None };
        let from = match row.owner {
            Owner::Process => members::TASK,
            Owner::Cgroup => members::MEMCG,
            Owner::Event | Owner::Machine => members::EVENT,
        };
        let steps = view.path_steps(from, path).ok()?;
        let last = steps.last()?;
        (last.container == tag && u64::from(last.member.offset) == offset).then_some(row.name)
    });
    named.next()
}
