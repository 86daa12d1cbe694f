//! Reduces a BTF to some types and what they need.
//!
//! Structures are kept whole, with everything that lies inside them. Behind pointers the graph is followed
//! for some steps; a structure further away becomes a declaration. Numbers are given anew, in the old order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::write::Builder;
use super::{Btf, Kind, TypeId};

/// What to keep.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Types to start from, each with the number of pointers that are followed from it.
    pub roots: Vec<(TypeId, u32)>,
}

impl Wanted {
    /// Adds every type of this name. False: there is none.
    pub fn add(&mut self, btf: &Btf, name: &str, pointers: u32) -> bool {
        let before = self.roots.len();
        self.roots.extend(btf.by_name(name).map(|id| (id, pointers)));
        self.roots.len() > before
    }
}

/// The reduced BTF, as the bytes of a `.BTF` section.
#[must_use]
pub fn minimize(btf: &Btf, wanted: &Wanted) -> Vec<u8> {
    let steps = reach(btf, &wanted.roots);
    // A declaration stands for a named structure that is out of reach.
    let mut whole: BTreeSet<TypeId> = steps.keys().copied().collect();
    let mut declared = BTreeSet::new();
    for id in steps.keys() {
        for to in btf.get(*id).map(|ty| ty.kind.references()).unwrap_or_default() {
            out_of_reach(btf, to, &mut whole, &mut declared);
        }
    }

    let mut numbers = BTreeMap::new();
    let mut out = Builder::new();
    for id in whole.iter().chain(&declared).copied().collect::<BTreeSet<_>>() {
        numbers.insert(id, out.reserve());
    }
    for (id, number) in &numbers {
        let Some(ty) = btf.get(*id) else { continue };
        let mut kind = ty.kind;
        if !whole.contains(id) {
            kind = Kind::Fwd { union: matches!(kind, Kind::Union { .. }) };
        }
        kind.map_references(|to| numbers.get(&to).copied().unwrap_or(0));
        out.set(*number, ty.name, &kind);
    }
    out.finish()
}

/// Types within reach, each with the pointers that may still be followed from it.
fn reach(btf: &Btf, roots: &[(TypeId, u32)]) -> BTreeMap<TypeId, u32> {
    let mut steps: BTreeMap<TypeId, u32> = BTreeMap::new();
    let mut queue: VecDeque<(TypeId, u32)> = roots.iter().copied().collect();
    while let Some((id, left)) = queue.pop_front() {
        if id == 0 || steps.get(&id).is_some_and(|known| *known >= left) {
            continue;
        }
        let Some(ty) = btf.get(id) else { continue };
        steps.insert(id, left);
        match ty.kind {
            Kind::Ptr(to) => {
                if left > 0 {
                    queue.push_back((to, left - 1));
                }
            }
            kind => queue.extend(kind.references().into_iter().map(|to| (to, left))),
        }
    }
    steps
}

/// Keeps what a type that is out of reach needs so that it can be named: qualifiers stay, structures become
/// declarations, nameless structures and functions vanish (a pointer to `void` remains).
fn out_of_reach(btf: &Btf, id: TypeId, whole: &mut BTreeSet<TypeId>, declared: &mut BTreeSet<TypeId>) {
    if id == 0 || whole.contains(&id) {
        return;
    }
    let Some(ty) = btf.get(id) else { return };
    match ty.kind {
        Kind::Struct { .. } | Kind::Union { .. } => {
            if !ty.name.is_empty() {
                declared.insert(id);
            }
        }
        Kind::FuncProto { .. } => {}
        kind => {
            whole.insert(id);
            for to in kind.references() {
                out_of_reach(btf, to, whole, declared);
            }
        }
    }
}
