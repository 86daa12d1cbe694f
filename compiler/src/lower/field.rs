//! Fields: how each recipe of the table becomes loads, calls and walks.
//!
//! A field of a candidate is read where it is asked. A field of one of the event's cgroups is read before
//! the candidates are walked and kept in the scratch value: it is the same for all of them, and some
//! readings start a walk or need a reference.

use std::collections::BTreeSet;

use oomc_abi::consts::{PAGE_COUNTER_MAX, PAGE_SIZE, PF_EXITING, SIGNAL_GROUP_EXIT, TASK_COMM_LEN};
use oomc_abi::fields::{FieldId, MmTerm, Owner, Recipe, Scale, StatTerm, Unit};
use oomc_abi::members::{self, Member};
use oomc_abi::{helpers, hooks, kfuncs};

use super::state::Storage;
use super::walk::Order;
use super::{Lower, imm};
use crate::hir::{Anchor, ExprId, ExprKind, LabelId, Pattern, StateId, Subject};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Type, Value};

const PAGE_SHIFT: i32 = PAGE_SIZE.trailing_zeros() as i32;

/// Bytes kept of a cgroup's name: `NAME_MAX` and the NUL.
const NAME_SIZE: u32 = oomc_abi::consts::NAME_MAX as u32 + 1;

/// What a subject can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Item {
    /// A field of the table.
    Field(FieldId),
    /// A label of the policy.
    Label(LabelId),
    /// A counter of the policy.
    Counter(StateId),
}

impl Item {
    fn is_member(self) -> bool {
        matches!(self, Self::Field(field) if matches!(field.row().recipe, Recipe::Member { .. }))
    }

    fn is_statistic(self) -> bool {
        matches!(self, Self::Field(field) if matches!(field.row().recipe, Recipe::Stat(_)))
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Field(field) if field.row().unit == Unit::Text)
    }

    /// Whether a cgroup that is there can be without it.
    fn may_miss(self) -> bool {
        match self {
            Self::Field(field) => self.is_text() || !field.row().missing.is_empty(),
            Self::Label(_) => false,
            Self::Counter(_) => true,
        }
    }
}

impl Lower<'_> {
    /// The number that a subject has for an item.
    pub(super) fn subject_item(&mut self, subject: Subject, item: Item, missing: Block) -> Value {
        match subject {
            Subject::Candidate(binder) => {
                let object = self.candidates.get(&binder).copied().unwrap_or(self.domain);
                match item {
                    Item::Field(field) => self.read_field(object, field, missing),
                    Item::Label(label) => self.label_of(object, label),
                    Item::Counter(state) => self.counter_of(object, state, Storage::AsItIs, missing),
                }
            }
            Subject::Home(_) | Subject::Pick(_) | Subject::Event => {
                debug_assert!(false, "refused by hir::later");
                self.int(0)
            }
            Subject::Anchor(anchor) => {
                if self.read_in_place(anchor, item) {
                    let domain = self.domain;
                    return self.read_anchor_item(anchor, domain, item, missing);
                }
                match self.prefetched.get(&(anchor, item)).copied() {
                    Some(fetched) => {
                        if let Some(flag) = fetched.missing {
                            let flag = self.get(flag);
                            self.leave_if(Cond::Ne, flag, imm(0), missing);
                        }
                        self.get(fetched.value)
                    }
                    None => {
                        debug_assert!(false, "{anchor:?}.{item:?} was not prefetched");
                        self.int(0)
                    }
                }
            }
        }
    }

    /// Whether an item of the event is read where it is asked.
    fn read_in_place(&self, anchor: Anchor, item: Item) -> bool {
        anchor == Anchor::Cgroup && (!self.in_walk || item.is_member())
    }

    /// Reads the fields of the event's cgroups that these expressions need into the scratch value.
    pub(super) fn prefetch(&mut self, exprs: &[ExprId]) {
        let mut wanted = BTreeSet::new();
        for expr in exprs {
            self.anchors_of(*expr, &mut wanted);
        }
        for anchor in [Anchor::Cgroup, Anchor::Parent, Anchor::Attached] {
            let items: Vec<Item> = wanted
                .iter()
                .filter(|(at, item)| *at == anchor as u8 && !self.read_in_place(anchor, *item))
                .map(|(_, item)| *item)
                .collect();
            if !items.is_empty() {
                self.prefetch_anchor(anchor, &items);
            }
        }
    }

    fn anchors_of(&self, expr: ExprId, wanted: &mut BTreeSet<(u8, Item)>) {
        match self.policy.exprs.get(expr).map(|expr| &expr.kind) {
            Some(ExprKind::Field(Subject::Anchor(anchor), field)) => {
                wanted.insert((*anchor as u8, Item::Field(*field)));
            }
            Some(ExprKind::Label(Subject::Anchor(anchor), label)) => {
                wanted.insert((*anchor as u8, Item::Label(*label)));
            }
            Some(ExprKind::Counter(Subject::Anchor(anchor), state)) => {
                wanted.insert((*anchor as u8, Item::Counter(*state)));
            }
            Some(kind) => kind.operands().into_iter().for_each(|operand| self.anchors_of(operand, wanted)),
            None => {}
        }
    }

    fn prefetch_anchor(&mut self, anchor: Anchor, items: &[Item]) {
        if anchor == Anchor::Cgroup {
            for item in items {
                let domain = self.domain;
                self.prefetch_item(anchor, domain, *item);
            }
            return;
        }
        // Until it is read, each is missing: the cgroup may be gone.
        for item in items {
            let fetched = self.fetched(anchor, *item);
            if let Some(flag) = fetched.missing {
                self.put_imm(flag, 1);
            }
        }
        let (found, gone) = (self.b.create_block(), self.b.create_block());
        let id = self.anchor_id(anchor);
        let memcg = self.memcg_by_id(id, gone);
        self.b.jump(found, &[]);
        self.b.switch_to(found);
        // The event's flush covers the OOM domain only.
        if items.iter().any(|item| item.is_statistic()) {
            self.call(kfuncs::MEM_CGROUP_FLUSH_STATS, &[memcg]);
        }
        for item in items {
            self.prefetch_item(anchor, memcg, *item);
        }
        self.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
    }

    /// The cells of an item of the event.
    fn fetched(&mut self, anchor: Anchor, item: Item) -> super::scratch::Fetched {
        if let Some(fetched) = self.prefetched.get(&(anchor, item)) {
            return *fetched;
        }
        let size = if item.is_text() { NAME_SIZE } else { 8 };
        let may_miss = anchor != Anchor::Cgroup || item.may_miss();
        let fetched = self.lasting(|s| super::scratch::Fetched {
            value: s.area(size),
            missing: may_miss.then(|| s.cell()),
        });
        self.prefetched.insert((anchor, item), fetched);
        fetched
    }

    fn prefetch_item(&mut self, anchor: Anchor, memcg: Value, item: Item) {
        let fetched = self.fetched(anchor, item);
        let (missing, join) = (self.b.create_block(), self.b.create_block());
        if item.is_text() {
            let area = self.area_addr(fetched.value);
            self.read_name(memcg, area, missing);
        } else {
            let value = self.read_anchor_item(anchor, memcg, item, missing);
            self.put(fetched.value, value);
        }
        if let Some(flag) = fetched.missing {
            self.put_imm(flag, 0);
        }
        self.b.jump(join, &[]);
        self.b.switch_to(missing);
        if let Some(flag) = fetched.missing {
            self.put_imm(flag, 1);
        }
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// The id of one of the event's cgroups.
    pub(super) fn anchor_id(&mut self, anchor: Anchor) -> Value {
        match anchor {
            Anchor::Cgroup => self.cgroup_id(self.domain),
            Anchor::Parent => {
                let (root, below, join) =
                    (self.b.create_block(), self.b.create_block(), self.b.create_block());
                let id = self.b.block_param(join, Type::I64);
                let parent = self.pointer(self.domain, members::MEMCG_PARENT);
                self.b.branch(Cond::Eq, parent, imm(0), root, below);
                self.b.switch_to(root);
                let own = self.cgroup_id(self.domain);
                self.b.jump(join, &[own]);
                self.b.switch_to(below);
                let above = self.css_id(parent);
                self.b.jump(join, &[above]);
                self.b.switch_to(join);
                id
            }
            Anchor::Attached => self.attached_id(),
        }
    }

    fn cgroup_id(&mut self, memcg: Value) -> Value {
        self.read(memcg, members::MEMCG_ID)
    }

    /// The id of the cgroup that a css belongs to.
    pub(super) fn css_id(&mut self, css: Value) -> Value {
        self.read(css, members::CSS_CGROUP_ID)
    }

    /// The second argument is a link or the cgroup itself, by the kernel's attach mechanism. The loader
    /// turns the test into a constant, so the verifier never looks at the other reading.
    fn attached_id(&mut self) -> Value {
        if self.outline.inside {
            return self.noted(oomc_abi::record::at::ATTACHED);
        }
        let link = self.link;
        let (direct, by_link, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let id = self.b.block_param(join, Type::I64);
        let generic = self.b.enumerator(members::ATTACH_TYPES, hooks::OOM.generic_attach);
        let generic = self.b.value(InstData::EnumExists(generic), Type::I64);
        self.b.branch(Cond::Ne, generic, imm(0), direct, by_link);
        self.b.switch_to(direct);
        let own = self.read(link, members::CGROUP_ID);
        self.b.jump(join, &[own]);
        self.b.switch_to(by_link);
        let own = self.read(link, members::LINK_CGROUP_ID);
        self.b.jump(join, &[own]);
        self.b.switch_to(join);
        id
    }

    /// A reference on the memcg of the cgroup with this id; `gone` if there is none any more.
    pub(super) fn memcg_by_id(&mut self, id: Value, gone: Block) -> Value {
        let cgroup = self.call_ptr(kfuncs::CGROUP_FROM_ID, &[id]);
        self.leave_if(Cond::Eq, cgroup, imm(0), gone);
        let css = self.member_addr(cgroup, members::CGROUP_SELF);
        let memcg = self.call_ptr(kfuncs::GET_MEM_CGROUP, &[css]);
        self.call(kfuncs::CGROUP_RELEASE, &[cgroup]);
        self.leave_if(Cond::Eq, memcg, imm(0), gone);
        memcg
    }

    /// A number at the end of a member's path through pointers.
    pub(super) fn read(&mut self, object: Value, member: Member) -> Value {
        self.read_path(object, member.container, member.path)
    }

    fn read_path(&mut self, object: Value, container: &str, path: &str) -> Value {
        let (pointers, last) = match path.rsplit_once("->") {
            Some((pointers, last)) => (Some(pointers), last),
            None => (None, path),
        };
        let mut object = object;
        let mut container = container.to_owned();
        for step in pointers.into_iter().flat_map(|pointers| pointers.split("->")) {
            let pointee = self.view.member(&container, step).and_then(|member| member.pointee);
            object = self.pointer_at(object, &container, step);
            // Whether the kernel has the path was checked with the policy.
            container = pointee.unwrap_or_default();
        }
        self.field_at(object, &container, last)
    }

    /// An item of a memcg of the event, which may be the root.
    fn read_anchor_item(&mut self, anchor: Anchor, memcg: Value, item: Item, missing: Block) -> Value {
        match item {
            Item::Field(field) => self.read_anchor_field(memcg, field, missing),
            Item::Label(label) => self.label_of(memcg, label),
            // The OOM'ing cgroup's counters are the ones that a policy counts: they bound what it does.
            Item::Counter(state) => {
                let storage = if anchor == Anchor::Cgroup { Storage::Made } else { Storage::AsItIs };
                self.counter_of(memcg, state, storage, missing)
            }
        }
    }

    /// A field of a memcg of the event, which may be the root.
    fn read_anchor_field(&mut self, memcg: Value, field: FieldId, missing: Block) -> Value {
        let Recipe::Usage(terms) = field.row().recipe else {
            return self.read_field(memcg, field, missing);
        };
        let (root, below, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let usage = self.b.block_param(join, Type::I64);
        let parent = self.pointer(memcg, members::MEMCG_PARENT);
        self.b.branch(Cond::Eq, parent, imm(0), root, below);
        self.b.switch_to(below);
        let counted = self.read_field(memcg, field, missing);
        self.b.jump(join, &[counted]);
        // The root has no counter of its own.
        self.b.switch_to(root);
        self.call(kfuncs::MEM_CGROUP_FLUSH_STATS, &[memcg]);
        let sum = self.statistics(memcg, terms, missing);
        self.b.jump(join, &[sum]);
        self.b.switch_to(join);
        usage
    }

    /// A number of an object: a task, or a referenced memcg below the root.
    pub(super) fn read_field(&mut self, object: Value, field: FieldId, missing: Block) -> Value {
        let row = field.row();
        let container = match row.owner {
            Owner::Process => members::TASK,
            Owner::Cgroup => members::MEMCG,
            Owner::Event => members::EVENT,
        };
        match row.recipe {
            Recipe::Member { path, scale } => {
                let value = self.read_path(object, container, path);
                self.scaled(value, scale)
            }
            Recipe::Usage(_) => {
                let pages = self.field(object, members::MEMCG_USAGE);
                self.bin_imm(BinOp::Shl, pages, PAGE_SHIFT)
            }
            Recipe::Mm(terms) => self.process_memory(object, terms, missing),
            Recipe::Badness(terms) => self.badness(object, terms, missing),
            Recipe::Stat(terms) => self.statistics(object, terms, missing),
            Recipe::Limit => self.effective_limit(object, missing),
            Recipe::NrProcesses => self.nr_processes(object, missing),
            Recipe::IsLeaf => self.is_leaf(object),
            Recipe::Dying => self.dying_value(object),
            Recipe::Age => {
                let now = self.get(self.globals.now);
                let start = self.field(object, members::TASK_START);
                self.bin(BinOp::Sub, now, start)
            }
            Recipe::UsageLess(_)
            | Recipe::VmEvents(_)
            | Recipe::MemoryEvents(_)
            | Recipe::Pressure { .. }
            | Recipe::SwapLimit
            | Recipe::Path
            | Recipe::Scope
            | Recipe::Word { .. } => {
                debug_assert!(false, "refused by hir::later");
                self.int(0)
            }
            Recipe::Comm | Recipe::Name => {
                debug_assert!(false, "a string is no number");
                self.int(0)
            }
        }
    }

    fn scaled(&mut self, value: Value, scale: Scale) -> Value {
        match scale {
            Scale::One => value,
            // A counter of pages is at most PAGE_COUNTER_MAX: the product fits.
            Scale::Pages => self.bin_imm(BinOp::Shl, value, PAGE_SHIFT),
        }
    }

    fn process_memory(&mut self, task: Value, terms: &[MmTerm], missing: Block) -> Value {
        let (has, hasnt, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let mm = self.pointer(task, members::TASK_MM);
        self.b.branch(Cond::Ne, mm, imm(0), has, hasnt);
        self.b.switch_to(hasnt);
        // A leader without memory: either its threads still have it, or all of it is gone.
        let live = self.read(task, members::TASK_LIVE);
        self.leave_if(Cond::Sgt, live, imm(0), missing);
        let zero = self.int(0);
        self.b.jump(join, &[zero]);
        self.b.switch_to(has);
        let (pages, bytes): (Vec<_>, Vec<_>) = terms.iter().partition(|term| term.scale == Scale::Pages);
        let mut sum = None;
        for term in pages {
            sum = Some(self.add_counter(mm, term, sum));
        }
        sum = sum.map(|pages| self.bin_imm(BinOp::Shl, pages, PAGE_SHIFT));
        for term in bytes {
            sum = Some(self.add_counter(mm, term, sum));
        }
        let sum = match sum {
            Some(sum) => sum,
            None => self.int(0),
        };
        self.b.jump(join, &[sum]);
        self.b.switch_to(join);
        result
    }

    /// `oom_badness()` without its exclusions, which are those of every kill.
    fn badness(&mut self, task: Value, terms: &[MmTerm], missing: Block) -> Value {
        let bytes = self.process_memory(task, terms, missing);
        let pages = self.bin_imm(BinOp::Ushr, bytes, PAGE_SHIFT);
        let total = self.field(self.oc, members::OC_TOTAL);
        let thousandth = self.bin_imm(BinOp::Udiv, total, 1000);
        let adj = self.read(task, members::TASK_OOM_SCORE_ADJ);
        // At most the domain's memory in pages: the product fits.
        let moved = self.bin(BinOp::Mul, adj, thousandth);
        self.bin(BinOp::Add, pages, moved)
    }

    fn add_counter(&mut self, mm: Value, term: &MmTerm, sum: Option<Value>) -> Value {
        let counter = self.field_at(mm, members::MM, term.path);
        let counter = self.at_least_zero(counter);
        match sum {
            Some(sum) => self.bin(BinOp::Add, sum, counter),
            None => counter,
        }
    }

    /// The sum of statistics of a referenced memcg, at least 0; missing if the kernel lacks one.
    pub(super) fn statistics(&mut self, memcg: Value, terms: &[StatTerm], missing: Block) -> Value {
        let mut sum = None;
        for term in terms {
            let index = self.enumerator_at(term.enumeration, term.enumerator);
            let value = self.call_int(kfuncs::MEM_CGROUP_PAGE_STATE, &[memcg, index]);
            self.leave_if(Cond::Eq, value, imm(-1), missing);
            sum = Some(match (sum, term.negative) {
                (None, _) => value,
                (Some(sum), false) => self.bin(BinOp::Add, sum, value),
                (Some(sum), true) => self.bin(BinOp::Sub, sum, value),
            });
        }
        match sum {
            // The counters are read one after the other: a difference can be short of 0 for a moment.
            Some(sum) if terms.iter().any(|term| term.negative) => self.at_least_zero(sum),
            Some(sum) => sum,
            None => self.int(0),
        }
    }

    /// The smallest `memory.max` up to the root, at most the machine's memory.
    fn effective_limit(&mut self, memcg: Value, missing: Block) -> Value {
        let smallest = self.cell();
        let unlimited = self.int(PAGE_COUNTER_MAX);
        self.put(smallest, unlimited);
        self.with_rcu(|s| {
            let css = s.css_of(memcg);
            s.walk_css(css, Order::Up, &[], |s, walk| {
                let above = s.cast_memcg(walk.item);
                let max = s.field(above, members::MEMCG_MAX);
                let so_far = s.get(smallest);
                s.leave_if(Cond::Uge, max, Operand::Value(so_far), walk.next);
                s.put(smallest, max);
                s.b.jump(walk.next, &[]);
            });
        });
        let pages = self.get(smallest);
        let limit = self.bin_imm(BinOp::Shl, pages, PAGE_SHIFT);
        let total = self.get(self.globals.total_memory);
        let (known, unknown, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        self.b.branch(Cond::Ne, total, imm(0), known, unknown);
        self.b.switch_to(known);
        let clamped = self.min(limit, total);
        self.b.jump(join, &[clamped]);
        self.b.switch_to(unknown);
        let unlimited = self.int(PAGE_COUNTER_MAX);
        self.leave_if(Cond::Uge, pages, Operand::Value(unlimited), missing);
        self.b.jump(join, &[limit]);
        self.b.switch_to(join);
        result
    }

    /// Reads the machine's memory once per event; 0 where the kernel does not show it.
    ///
    /// A kernel without the symbol gives the address 0, which is a fault like any other: no branch is needed
    /// that the verifier, who knows the address, would find dead.
    pub(super) fn read_total_memory(&mut self) {
        let cell = self.globals.total_memory;
        let ksym = self.b.ksym(members::TOTAL_PAGES);
        let (area, size) = (self.area_addr(cell), self.int(8));
        let pages = self.b.value(InstData::KsymAddr(ksym), Type::Ptr);
        // On a fault the helper zeroes the cell: unknown.
        self.helper(helpers::PROBE_READ_KERNEL, &[area, size, pages]);
        let pages = self.get(cell);
        let bytes = self.bin_imm(BinOp::Shl, pages, PAGE_SHIFT);
        self.put(cell, bytes);
    }

    fn nr_processes(&mut self, memcg: Value, missing: Block) -> Value {
        let (count, failed) = (self.cell(), self.cell());
        self.put_imm(count, 0);
        self.put_imm(failed, 0);
        self.each_process_below(memcg, failed, |s, _, next, _| {
            s.bump(count);
            s.b.jump(next, &[]);
        });
        let failed = self.get(failed);
        self.leave_if(Cond::Ne, failed, imm(0), missing);
        self.get(count)
    }

    /// 1 if no descendant in the memory controller's tree is online.
    fn is_leaf(&mut self, memcg: Value) -> Value {
        let leaf = self.cell();
        self.put_imm(leaf, 1);
        let own = self.cell();
        let serial = self.field(memcg, members::MEMCG_SERIAL);
        self.put(own, serial);
        self.with_rcu(|s| {
            let css = s.css_of(memcg);
            s.walk_css(css, Order::Pre, &[], |s, walk| {
                let serial = s.field(walk.item, members::CSS_SERIAL);
                let own = s.get(own);
                s.leave_if(Cond::Eq, serial, Operand::Value(own), walk.next);
                s.skip_offline(walk.item, walk.next);
                s.put_imm(leaf, 0);
                s.b.jump(walk.done, &[]);
            });
        });
        self.get(leaf)
    }

    fn dying_value(&mut self, task: Value) -> Value {
        let (yes, no, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        self.dying(task, yes, no);
        for (block, value) in [(yes, 1), (no, 0)] {
            self.b.switch_to(block);
            let value = self.int(value);
            self.b.jump(join, &[value]);
        }
        self.b.switch_to(join);
        result
    }

    /// Chosen by an OOM killer, or exiting as a whole. Ends the block.
    pub(super) fn dying(&mut self, task: Value, yes: Block, no: Block) {
        let signal = self.pointer(task, members::TASK_SIGNAL);
        let victim = self.pointer(signal, members::SIGNAL_OOM_MM);
        self.leave_if(Cond::Ne, victim, imm(0), yes);
        let flags = self.field(signal, members::SIGNAL_FLAGS);
        self.leave_if(Cond::Test, flags, imm(SIGNAL_GROUP_EXIT), yes);
        // A leader that exits alone is not the process: other threads may go on.
        let exiting = self.b.create_block();
        let flags = self.field(task, members::TASK_FLAGS);
        self.b.branch(Cond::Test, flags, imm(PF_EXITING), exiting, no);
        self.b.switch_to(exiting);
        let live = self.field(signal, members::SIGNAL_LIVE);
        self.b.branch(Cond::Eq, live, imm(0), yes, no);
    }

    /// Whether a string is one of the literals. Ends the block.
    pub(super) fn matches(
        &mut self,
        field: ExprId,
        patterns: &[Pattern],
        yes: Block,
        no: Block,
        unknown: Block,
    ) {
        let Some(ExprKind::Field(subject, field)) =
            self.policy.exprs.get(field).map(|field| field.kind.clone())
        else {
            return self.b.jump(unknown, &[]);
        };
        let (object, fetched) = match subject {
            Subject::Candidate(binder) => (self.candidates.get(&binder).copied(), None),
            Subject::Anchor(anchor) if self.read_in_place(anchor, Item::Field(field)) => {
                (Some(self.domain), None)
            }
            Subject::Anchor(anchor) => (None, self.prefetched.get(&(anchor, Item::Field(field))).copied()),
            Subject::Home(_) | Subject::Pick(_) | Subject::Event => (None, None),
        };
        let comm = field.row().recipe == Recipe::Comm;
        let size = if comm { TASK_COMM_LEN as u32 } else { NAME_SIZE };
        let area = fetched.map_or_else(|| self.area(size), |fetched| fetched.value);
        match (object, fetched.and_then(|fetched| fetched.missing)) {
            (Some(task), _) if comm => {
                // The other side changes a comm under a lock that we cannot take: copy first, then compare.
                let from = self.member_addr(task, members::TASK_COMM);
                let (to, size) = (self.area_addr(area), self.int(TASK_COMM_LEN as i64));
                let result = self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from]);
                self.missing_if_negative(result, unknown);
            }
            (Some(memcg), _) => {
                let to = self.area_addr(area);
                self.read_name(memcg, to, unknown);
            }
            (None, Some(missing)) => {
                let missing = self.get(missing);
                self.leave_if(Cond::Ne, missing, imm(0), unknown);
            }
            (None, None) => {}
        }
        for literal in patterns.iter().map(Pattern::text) {
            let (text, bytes) = (self.area_addr(area), self.int(i64::from(size)));
            let literal = self.string(literal);
            let order = self.helper(helpers::STRNCMP, &[text, bytes, literal]);
            self.leave_if(Cond::Eq, order, imm(0), yes);
        }
        self.b.jump(no, &[]);
    }

    /// Where the text of a field lies, in the kernel or in the scratch value: to be copied, not to be read.
    pub(super) fn text_addr(&mut self, subject: Subject, field: FieldId, missing: Block) -> Value {
        let object = match subject {
            Subject::Candidate(binder) => self.candidates.get(&binder).copied(),
            Subject::Anchor(anchor) if self.read_in_place(anchor, Item::Field(field)) => Some(self.domain),
            _ => None,
        };
        let fetched = match subject {
            Subject::Anchor(anchor) => self.prefetched.get(&(anchor, Item::Field(field))).copied(),
            _ => None,
        };
        match (object, fetched, field.row().recipe) {
            (Some(task), _, Recipe::Comm) => self.member_addr(task, members::TASK_COMM),
            (Some(memcg), ..) => {
                let cgroup = self.pointer(memcg, members::MEMCG_CGROUP);
                let node = self.pointer(cgroup, members::CGROUP_NODE);
                self.pointer(node, members::NODE_NAME)
            }
            (None, Some(fetched), _) => {
                if let Some(flag) = fetched.missing {
                    let flag = self.get(flag);
                    self.leave_if(Cond::Ne, flag, imm(0), missing);
                }
                self.area_addr(fetched.value)
            }
            (None, None, _) => self.null(),
        }
    }

    /// Copies a cgroup's name.
    fn read_name(&mut self, memcg: Value, to: Value, missing: Block) {
        let cgroup = self.pointer(memcg, members::MEMCG_CGROUP);
        let node = self.pointer(cgroup, members::CGROUP_NODE);
        let name = self.pointer(node, members::NODE_NAME);
        let size = self.int(i64::from(NAME_SIZE));
        let result = self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, name]);
        self.missing_if_negative(result, missing);
    }
}
