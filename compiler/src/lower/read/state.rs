//! What is kept about cgroups between events: labels, which an administrator puts on them, and counters.
//!
//! A label is an entry of a hash map under the cgroup's id and the label's number, and holds for everything below.
//! Counters lie in the cgroup's own storage and are gone with it. There are two copies of each: the one of
//! audit mode counts by itself, and starts anew whenever the mode is switched. What is found by looking again and again
//! is written by whoever asks.

use oomc_abi::helpers;
use oomc_abi::kfuncs;
use oomc_abi::maps::{self, Tally};
use oomc_abi::members;
use oomc_abi::target::{Event, Target};

use super::Read;
use crate::hir::{ExprId, LabelId, Policy, SampleId, StateId};
use crate::ir::{
    BinOp, Block, Cond, Function, InstData, MapData, MapKind, MapRef, Operand, Size, Type, Value,
};
use crate::lower::emit::{Cell, EPOCH, Order, Walks, imm, shared_map};

/// The maps, as far as the policy needs them.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Maps {
    labels: Option<MapRef>,
    counters: Option<MapRef>,
    samples: Option<MapRef>,
}

/// What cgroups without a label of their own inherit: the serial number of the cgroup above them, and the value.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Inherited {
    pub(super) parent: Cell,
    pub(super) value: Cell,
}

/// Words of a counter.
const COUNT: i32 = 0;
const SINCE: i32 = 1;
const WORDS: i32 = 2;

impl Maps {
    pub(in crate::lower) fn new(func: &mut Function, policy: &Policy, target: Target) -> Self {
        let labels = (!policy.labels.is_empty()).then(|| {
            shared_map(
                func,
                MapData {
                    name: maps::LABELS.into(),
                    kind: MapKind::Hash,
                    key: vec!["cgroup".into(), "label".into()],
                    value: vec!["value".into()],
                    value_bytes: 0,
                    max_entries: maps::MAX_LABELS,
                },
            )
        });
        let counters = (!policy.states.is_empty()).then(|| {
            let mut value = vec![maps::EPOCH.to_owned()];
            for tally in Tally::BOTH {
                for state in policy.states.values() {
                    value.extend([tally.count(&state.name), tally.since(&state.name)]);
                }
            }
            shared_map(
                func,
                MapData {
                    name: maps::COUNTERS.into(),
                    kind: MapKind::CgroupStorage,
                    key: Vec::new(),
                    value,
                    value_bytes: 0,
                    max_entries: 0,
                },
            )
        });
        let asked = target.row().event == Event::Question && !policy.samples.is_empty();
        let samples = asked.then(|| {
            shared_map(
                func,
                MapData {
                    name: maps::SAMPLES.into(),
                    kind: MapKind::Hash,
                    key: vec!["id".into(), "sample".into()],
                    value: vec!["value".into()],
                    value_bytes: 0,
                    max_entries: maps::MAX_SAMPLES,
                },
            )
        });
        Self { labels, counters, samples }
    }
}

/// Whether a cgroup's storage is made where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Storage {
    /// Where there is none, nothing was counted.
    AsItIs,
    /// Where there can be none, the counter is missing: what it bounds would not be bounded.
    Made,
}

impl Read<'_> {
    /// A label of a referenced memcg, inherited from the nearest ancestor that has one.
    pub(in crate::lower) fn label_of(&mut self, memcg: Value, label: LabelId) -> Value {
        let (Some(map), Some(declared)) = (self.state.labels, self.policy.labels.get(label)) else {
            return self.broken("a label was not declared");
        };
        let Some(inherited) = self.inherited.get(&label).copied() else {
            return self.broken("a label has no cells");
        };
        let (found, key) = (self.cell(), self.area(16));
        let number = self.int(i64::from(label.as_u32()));
        self.put(key.word(1), number);
        let join = self.b.create_block();
        let parent = self.own_or_inherited(memcg, map, key, inherited, found, join);
        let default = self.int(declared.default);
        self.put(found, default);
        self.with_rcu(|s| {
            let css = s.css_of(memcg);
            s.walk_css(css, Order::Up, &[], |s, walk| {
                let id = s.css_id(walk.item);
                s.put(key, id);
                let (map, key) = (s.map_addr(map), s.area_addr(key));
                let entry = s.helper(helpers::MAP_LOOKUP_ELEM, &[map, key]);
                s.leave_if(Cond::Eq, entry, imm(0), walk.next);
                let value = s.load(Size::B8, entry, 0);
                s.put(found, value);
                s.b.jump(walk.done, &[]);
            });
        });
        self.put(inherited.parent, parent);
        let value = self.get(found);
        self.put(inherited.value, value);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
        self.get(found)
    }

    /// Goes to `join` with a cgroup's own label, or with what it inherits where one beside it was just asked, which
    /// inherits the same. Continues with its parent's serial number otherwise; 0: it has none.
    fn own_or_inherited(
        &mut self,
        memcg: Value,
        map: MapRef,
        key: Cell,
        inherited: Inherited,
        found: Cell,
        join: Block,
    ) -> Value {
        let css = self.node_of(memcg);
        let (own, none, known) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let other = self.b.create_block();
        let serial = self.b.block_param(other, Type::I64);
        let id = self.css_id(css);
        self.put(key, id);
        let (map, key) = (self.map_addr(map), self.area_addr(key));
        let entry = self.helper(helpers::MAP_LOOKUP_ELEM, &[map, key]);
        self.b.branch(Cond::Ne, entry, imm(0), own, none);
        self.b.switch_to(own);
        let value = self.load(Size::B8, entry, 0);
        self.put(found, value);
        self.b.jump(join, &[]);
        self.b.switch_to(none);
        let (below, root) = (self.b.create_block(), self.b.create_block());
        let css = self.node_of(memcg);
        let parent = self.pointer(css, members::CSS_PARENT);
        self.b.branch(Cond::Ne, parent, imm(0), below, root);
        self.b.switch_to(root);
        let nobody = self.int(0);
        self.b.jump(other, &[nobody]);
        self.b.switch_to(below);
        let above = self.field(parent, members::CSS_SERIAL);
        let last = self.get(inherited.parent);
        self.leave_if(Cond::Eq, above, Operand::Value(last), known);
        self.b.jump(other, &[above]);
        self.b.switch_to(known);
        let value = self.get(inherited.value);
        self.put(found, value);
        self.b.jump(join, &[]);
        self.b.switch_to(other);
        serial
    }

    /// Before anything is asked of an event: what was inherited at the last one counts no more.
    pub(in crate::lower) fn forget_labels(&mut self) {
        for label in self.policy.labels.keys() {
            if let Some(inherited) = self.inherited.get(&label).copied() {
                self.put_imm(inherited.parent, 0);
            }
        }
    }

    /// What whoever asks has found of a cgroup or a process, by its id; goes to `missing` if nothing.
    pub(in crate::lower) fn sample(&mut self, sample: SampleId, of: ExprId, missing: Block) -> Value {
        let Some(map) = self.state.samples else {
            return self.broken("a policy without samples asks for one");
        };
        let id = self.expr(of, missing);
        let key = self.area(16);
        self.put(key, id);
        let number = self.int(i64::from(sample.as_u32()));
        self.put(key.word(1), number);
        let (map, key) = (self.map_addr(map), self.area_addr(key));
        let entry = self.helper(helpers::MAP_LOOKUP_ELEM, &[map, key]);
        self.leave_if(Cond::Eq, entry, imm(0), missing);
        self.load(Size::B8, entry, 0)
    }

    /// A counter of a referenced memcg.
    pub(in crate::lower) fn counter_of(
        &mut self,
        memcg: Value,
        state: StateId,
        storage: Storage,
        missing: Block,
    ) -> Value {
        let (found, lost) = (self.cell(), self.cell());
        self.put_imm(found, 0);
        self.put_imm(lost, 1);
        self.with_storage(memcg, storage, |s, value, done| {
            s.put_imm(lost, 0);
            if let Some(value) = value {
                let (audit, fresh, real) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
                let mode = s.audit();
                s.b.branch(Cond::Ne, mode, imm(0), audit, real);
                s.b.switch_to(audit);
                let (epoch, now) = (s.load(Size::B8, value, 0), s.config(EPOCH));
                s.b.branch(Cond::Eq, epoch, Operand::Value(now), fresh, done);
                for (block, copy) in [(fresh, true), (real, false)] {
                    s.b.switch_to(block);
                    let at = s.counter_at(state, copy);
                    s.within_window(value, at, state, done);
                    let count = s.load(Size::B8, value, (at + COUNT) * 8);
                    s.put(found, count);
                    s.b.jump(done, &[]);
                }
            } else {
                s.b.jump(done, &[]);
            }
        });
        self.missing_if(lost, missing);
        self.get(found)
    }

    /// One more in a counter of the OOM'ing cgroup; nothing where it cannot have a counter.
    pub(in crate::lower) fn count_one(&mut self, state: StateId) {
        let domain = self.domain;
        self.with_storage(domain, Storage::Made, |s, value, done| {
            let Some(value) = value else { return s.b.jump(done, &[]) };
            let (audit, real) = (s.b.create_block(), s.b.create_block());
            let (stale, fresh) = (s.b.create_block(), s.b.create_block());
            let mode = s.audit();
            s.b.branch(Cond::Ne, mode, imm(0), audit, real);
            s.b.switch_to(audit);
            let (epoch, now) = (s.load(Size::B8, value, 0), s.config(EPOCH));
            s.b.branch(Cond::Eq, epoch, Operand::Value(now), fresh, stale);
            // The mode was switched since: all counters of this copy begin anew.
            s.b.switch_to(stale);
            let now = s.config(EPOCH);
            s.set(value, 0, Operand::Value(now));
            for state in s.policy.states.keys() {
                let at = s.counter_at(state, true);
                s.set(value, at + COUNT, Operand::Imm(0));
            }
            s.b.jump(fresh, &[]);
            for (block, copy) in [(fresh, true), (real, false)] {
                s.b.switch_to(block);
                let at = s.counter_at(state, copy);
                let (first, more) = (s.b.create_block(), s.b.create_block());
                s.within_window(value, at, state, first);
                let count = s.load(Size::B8, value, (at + COUNT) * 8);
                s.b.branch(Cond::Sgt, count, imm(0), more, first);
                s.b.switch_to(first);
                let now = s.globals.now;
                let now = s.get(now);
                s.set(value, at + SINCE, Operand::Value(now));
                s.set(value, at + COUNT, Operand::Imm(1));
                s.b.jump(done, &[]);
                s.b.switch_to(more);
                let count = s.load(Size::B8, value, (at + COUNT) * 8);
                let one = s.int(1);
                let count = s.add_sat(count, one);
                s.set(value, at + COUNT, Operand::Value(count));
                s.b.jump(done, &[]);
            }
        });
    }

    fn set(&mut self, value: Value, word: i32, operand: Operand) {
        self.b.effect(InstData::Store { size: Size::B8, ptr: value, offset: word * 8, value: operand });
    }

    /// The first word of a counter.
    fn counter_at(&self, state: StateId, audit: bool) -> i32 {
        let states = self.policy.states.len() as i32;
        1 + WORDS * (state.as_u32() as i32 + if audit { states } else { 0 })
    }

    /// Leaves to `over` if the counter's window is over.
    fn within_window(&mut self, value: Value, at: i32, state: StateId, over: Block) {
        let Some(state) = self.policy.states.get(state) else {
            self.broken("a counter was not declared");
            return;
        };
        let Some(window) = state.resets else { return };
        let since = self.load(Size::B8, value, (at + SINCE) * 8);
        let now = self.globals.now;
        let now = self.get(now);
        let passed = self.bin(BinOp::Sub, now, since);
        let window = self.int(window);
        self.leave_if(Cond::Sge, passed, Operand::Value(window), over);
    }

    /// Runs a part with a cgroup's storage, or with none where there is none and none is made; not at all where
    /// the cgroup is gone or its storage cannot be made. The part ends each path with a jump to the block.
    ///
    /// In an RCU section: outside of it the kernel may allocate with GFP_KERNEL while `oom_lock` is held.
    fn with_storage(
        &mut self,
        memcg: Value,
        storage: Storage,
        part: impl Fn(&mut Self, Option<Value>, Block),
    ) {
        let Some(map) = self.state.counters else {
            self.broken("a policy without counters asks for one");
            return;
        };
        let id = self.read(memcg, oomc_abi::members::MEMCG_ID);
        let gone = self.b.create_block();
        let cgroup = self.call_ptr(kfuncs::CGROUP_FROM_ID, &[id]);
        self.leave_if(Cond::Eq, cgroup, imm(0), gone);
        self.with_rcu(|s| {
            let (there, none, done) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
            let (map, initial) = (s.map_addr(map), s.null());
            let flags = s.int(match storage {
                Storage::AsItIs => 0,
                Storage::Made => i64::from(helpers::STORAGE_CREATE),
            });
            let value = s.helper(helpers::CGRP_STORAGE_GET, &[map, cgroup, initial, flags]);
            s.b.branch(Cond::Ne, value, imm(0), there, none);
            s.b.switch_to(there);
            part(s, Some(value), done);
            s.b.switch_to(none);
            match storage {
                Storage::AsItIs => part(s, None, done),
                Storage::Made => s.b.jump(done, &[]),
            }
            s.b.switch_to(done);
        });
        self.call(kfuncs::CGROUP_RELEASE, &[cgroup]);
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
    }
}

impl Cell {
    /// Another word of the same area.
    pub(in crate::lower) fn word(self, at: u32) -> Self {
        Self(self.0 + at * 8)
    }
}
