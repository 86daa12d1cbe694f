//! Fields: how each recipe of the table becomes loads, calls and walks.
//!
//! A field of a candidate is read where it is asked. A field of one of the event's cgroups is read before
//! the candidates are walked and kept in the scratch value: it is the same for all of them, and some
//! readings start a walk or need a reference.

use std::collections::BTreeSet;

use oomc_abi::consts::{PF_EXITING, PF_KTHREAD, SIGNAL_GROUP_EXIT, UPID_SIZE};
use oomc_abi::fields::{self, FieldId, MachineTerm, MmTerm, Owner, Recipe, Scale, StatTerm, Unit};
use oomc_abi::members::{self, Member};
use oomc_abi::record::at;
use oomc_abi::target::Statistic;
use oomc_abi::{helpers, hooks, request, shapes};

use super::state::Storage;
use super::{Read, raw, text};
use crate::hir::{Anchor, ExprId, ExprKind, LabelId, RATIO_ONE, RawId, StateId, Subject, Unit as Of};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Type, Value};
use crate::lower::emit::{Fetched, Order, Walks, imm};

/// Bits of a fraction in averages of pressure (`FSHIFT`, include/linux/sched/loadavg.h, 6.12).
const PSI_FRACTION_BITS: i32 = 11;

/// What a subject can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::lower) enum Item {
    /// A field of the table.
    Field(FieldId),
    /// A member of a kernel structure.
    Raw(RawId),
    /// A label of the policy.
    Label(LabelId),
    /// A counter of the policy.
    Counter(StateId),
}

impl Item {
    fn is_member(self) -> bool {
        match self {
            Self::Field(field) => matches!(field.row().recipe, Recipe::Member { .. }),
            Self::Raw(_) => true,
            Self::Label(_) | Self::Counter(_) => false,
        }
    }

    fn is_statistic(self) -> bool {
        matches!(self, Self::Field(field) if matches!(
            field.row().recipe,
            Recipe::Stat(_) | Recipe::UsageLess(_) | Recipe::VmEvents(_)
        ))
    }

    fn is_path(self) -> bool {
        matches!(self, Self::Field(field) if field.row().recipe == Recipe::Path)
    }

    /// Whether a cgroup that is there can be without it.
    fn may_miss(self) -> bool {
        match self {
            Self::Field(field) => field.row().unit == Unit::Text || !field.row().missing.is_empty(),
            Self::Label(_) => false,
            Self::Raw(_) | Self::Counter(_) => true,
        }
    }
}

/// Where the pointers of a path lead.
pub(super) struct PathEnd<'p> {
    pub(super) object: Value,
    pub(super) container: String,
    /// The rest of the path: a member of the object.
    pub(super) path: &'p str,
}

impl Read<'_> {
    /// Bytes of a text; None: the item is a number.
    fn item_text_size(&self, item: Item) -> Option<u32> {
        match item {
            Item::Field(field) => text::text_size(field.row().recipe),
            Item::Raw(raw) => self.policy.raws.get(raw).and_then(|raw| raw::text_size(&raw.value)),
            Item::Label(_) | Item::Counter(_) => None,
        }
    }

    /// Bytes of an item that is a text.
    pub(super) fn size_of_text(&mut self, item: Item) -> u32 {
        self.item_text_size(item).unwrap_or_else(|| {
            self.broken("a number is no text");
            8
        })
    }

    /// The object that a subject's item is read from; None where none is at hand.
    pub(super) fn at_hand(&mut self, subject: Subject, item: Item) -> Option<Value> {
        match subject {
            Subject::Candidate(binder) => Some(self.object_of(binder)),
            Subject::Home(binder) => self.homes.get(&binder).copied(),
            Subject::Parent(binder) => match self.policy.binders.get(binder) {
                Some(Of::Process) => {
                    let task = self.object_of(binder);
                    // A thread may have made it: its process is meant.
                    let thread = self.pointer(task, members::TASK_REAL_PARENT);
                    Some(self.pointer(thread, members::TASK_LEADER))
                }
                _ => None,
            },
            Subject::Event => Some(self.oc),
            Subject::Anchor(_) | Subject::Pick(_) => self.read_in_place(subject, item).then_some(self.domain),
        }
    }

    /// The number that a subject has for an item.
    pub(in crate::lower) fn subject_item(&mut self, subject: Subject, item: Item, missing: Block) -> Value {
        match subject {
            Subject::Candidate(binder) => {
                let object = self.object_of(binder);
                match item {
                    Item::Field(field) if self.may_be_root.contains(&binder) => {
                        self.read_anchor_field(object, field, missing)
                    }
                    Item::Field(field) => self.read_field(object, field, missing),
                    Item::Raw(raw) => self.read_raw(object, raw, missing),
                    Item::Label(label) => self.label_among(object, label),
                    Item::Counter(state) => self.counter_of(object, state, Storage::AsItIs, missing),
                }
            }
            Subject::Event => match item {
                Item::Field(field) if self.is_asked() => self.asked_field(field, missing),
                Item::Field(field) => self.read_field(self.oc, field, missing),
                Item::Raw(raw) => self.read_raw(self.oc, raw, missing),
                Item::Label(_) | Item::Counter(_) => self.broken("an event is no cgroup"),
            },
            Subject::Parent(binder) if self.policy.binders.get(binder) == Some(&Of::Process) => {
                match (self.at_hand(subject, item), item) {
                    (Some(task), Item::Field(field)) => self.read_field(task, field, missing),
                    _ => self.broken("a parent is asked for what no process has"),
                }
            }
            Subject::Home(_) | Subject::Parent(_) | Subject::Anchor(_) | Subject::Pick(_) => {
                match self.at_hand(subject, item) {
                    Some(memcg) => self.read_cgroup_item(subject, memcg, item, missing),
                    None => {
                        let fetched = self.fetched_item(subject, item, missing);
                        self.get(fetched.value)
                    }
                }
            }
        }
    }

    /// A field of an event that is a question.
    fn asked_field(&mut self, field: FieldId, missing: Block) -> Value {
        let row = field.row();
        match row.recipe {
            Recipe::Member { path, scale } => {
                let told = [members::OC_ORDER, members::OC_TOTAL];
                match told.into_iter().find(|member| member.path == path) {
                    Some(member) => {
                        let value = self.event_number(member);
                        self.scaled(value, scale)
                    }
                    None => self.never_told(missing),
                }
            }
            Recipe::Machine(terms) => self.machine(terms, missing),
            _ => self.never_told(missing),
        }
    }

    /// What an event does not tell: always missing.
    fn never_told(&mut self, missing: Block) -> Value {
        let zero = self.int(0);
        self.leave_if(Cond::Eq, zero, imm(0), missing);
        zero
    }

    /// Where an item of a cgroup lies that is not at hand.
    pub(super) fn fetched_item(&mut self, subject: Subject, item: Item, missing: Block) -> Fetched {
        let fetched = match (subject, self.prefetched.get(&(subject, item))) {
            (Subject::Home(_) | Subject::Parent(_), _) => self.fetch_beside(subject, item),
            (_, Some(fetched)) => *fetched,
            (_, None) => {
                self.broken("an item was not read before the walk");
                Fetched { value: self.cell(), missing: None, relative: None }
            }
        };
        if let Some(flag) = fetched.missing {
            self.missing_if(flag, missing);
        }
        fetched
    }

    /// Notes whether an item is missing, if it can be.
    fn note_missing(&mut self, fetched: Fetched, missing: bool) {
        if let Some(flag) = fetched.missing {
            self.put_imm(flag, i32::from(missing));
        }
    }

    /// An item of a process's own cgroup, or of a cgroup's parent, that is not at hand: it is looked up, and given back
    /// before anything goes on.
    fn fetch_beside(&mut self, subject: Subject, item: Item) -> Fetched {
        let size = self.item_text_size(item).unwrap_or(8);
        let value = self.area(size);
        let fetched = Fetched { value, missing: Some(self.cell()), relative: None };
        self.with_rcu(|s| {
            let (gone, done) = (s.b.create_block(), s.b.create_block());
            s.note_missing(fetched, true);
            let (memcg, owned) = s.subject_memcg(subject, gone);
            s.fetch_item(subject, memcg, item, fetched);
            if owned {
                s.give_back(memcg);
            }
            s.b.jump(done, &[]);
            s.b.switch_to(gone);
            s.b.jump(done, &[]);
            s.b.switch_to(done);
        });
        fetched
    }

    /// Whether an item of the event is read where it is asked.
    pub(in crate::lower) fn read_in_place(&self, subject: Subject, item: Item) -> bool {
        subject == Subject::Anchor(Anchor::Cgroup) && (!self.in_walk || item.is_member())
    }

    /// Reads the items of the event's cgroups and of picks that these expressions need into the scratch value.
    pub(in crate::lower) fn prefetch(&mut self, exprs: &[ExprId]) {
        let mut wanted = BTreeSet::new();
        for expr in exprs {
            self.fixed_items(*expr, &mut wanted);
        }
        let wanted: Vec<(Subject, Item)> =
            wanted.into_iter().filter(|(subject, item)| !self.read_in_place(*subject, *item)).collect();
        for items in wanted.chunk_by(|(a, _), (b, _)| a == b) {
            if let Some((subject, _)) = items.first() {
                let items: Vec<Item> = items.iter().map(|(_, item)| *item).collect();
                self.prefetch_cgroup(*subject, &items);
            }
        }
    }

    /// What an expression asks of cgroups that are the same for all candidates.
    fn fixed_items(&mut self, expr: ExprId, wanted: &mut BTreeSet<(Subject, Item)>) {
        let Some(expr) = self.expression(expr) else { return };
        let item = match &expr.kind {
            ExprKind::Field(subject, field) => Some((*subject, Item::Field(*field))),
            ExprKind::Raw(subject, raw) => Some((*subject, Item::Raw(*raw))),
            ExprKind::Label(subject, label) => Some((*subject, Item::Label(*label))),
            ExprKind::Counter(subject, state) => Some((*subject, Item::Counter(*state))),
            _ => None,
        };
        wanted.extend(item.filter(|(subject, _)| matches!(subject, Subject::Anchor(_) | Subject::Pick(_))));
        expr.kind.operands().into_iter().for_each(|operand| self.fixed_items(operand, wanted));
    }

    fn prefetch_cgroup(&mut self, subject: Subject, items: &[Item]) {
        if subject == Subject::Anchor(Anchor::Cgroup) {
            for item in items {
                let domain = self.domain;
                self.prefetch_item(subject, domain, *item);
            }
            return;
        }
        // Until it is read, each is missing: the cgroup may be gone.
        for item in items {
            let fetched = self.fetched(subject, *item);
            self.note_missing(fetched, true);
        }
        let (found, gone) = (self.b.create_block(), self.b.create_block());
        let (memcg, owned) = self.subject_memcg(subject, gone);
        self.b.jump(found, &[]);
        self.b.switch_to(found);
        // The event's flush covers the OOM domain only.
        if items.iter().any(|item| item.is_statistic()) {
            self.flush(memcg);
        }
        for item in items {
            self.prefetch_item(subject, memcg, *item);
        }
        if owned {
            self.give_back(memcg);
        }
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
    }

    /// The cells of an item of the event.
    fn fetched(&mut self, subject: Subject, item: Item) -> Fetched {
        if let Some(fetched) = self.prefetched.get(&(subject, item)) {
            return *fetched;
        }
        let size = self.item_text_size(item).unwrap_or(8);
        let may_miss = subject != Subject::Anchor(Anchor::Cgroup) || item.may_miss();
        let fetched = self.lasting(|s| Fetched {
            value: s.area(size),
            missing: may_miss.then(|| s.cell()),
            relative: item.is_path().then(|| s.cell()),
        });
        self.prefetched.insert((subject, item), fetched);
        fetched
    }

    fn prefetch_item(&mut self, subject: Subject, memcg: Value, item: Item) {
        let fetched = self.fetched(subject, item);
        self.fetch_item(subject, memcg, item, fetched);
    }

    /// Reads an item into cells.
    fn fetch_item(&mut self, subject: Subject, memcg: Value, item: Item, fetched: Fetched) {
        let (missing, join) = (self.b.create_block(), self.b.create_block());
        match item {
            Item::Field(field) if field.row().unit == Unit::Text => {
                self.prefetch_text(memcg, field, fetched, missing);
            }
            Item::Raw(raw) if self.item_text_size(item).is_some() => {
                self.copy_raw(memcg, raw, fetched.value, missing);
            }
            _ => {
                let value = self.read_cgroup_item(subject, memcg, item, missing);
                self.put(fetched.value, value);
            }
        }
        self.note_missing(fetched, false);
        self.b.jump(join, &[]);
        self.b.switch_to(missing);
        self.note_missing(fetched, true);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// The id of one of the event's cgroups.
    pub(in crate::lower) fn anchor_id(&mut self, anchor: Anchor) -> Value {
        match anchor {
            Anchor::Cgroup => self.cgroup_id(self.domain),
            Anchor::Parent => self.parent_id(self.domain),
            // Found out once per event, for the record.
            Anchor::Attached => self.noted(at::ATTACHED),
        }
    }

    /// The id of the cgroup above a memcg; of the root, its own.
    pub(super) fn parent_id(&mut self, memcg: Value) -> Value {
        let node = self.parent_node(memcg);
        self.field(node, members::NODE_ID)
    }

    fn cgroup_id(&mut self, memcg: Value) -> Value {
        self.read(memcg, members::MEMCG_ID)
    }

    /// The id of the cgroup that a css belongs to.
    pub(in crate::lower) fn css_id(&mut self, css: Value) -> Value {
        self.read(css, members::CSS_CGROUP_ID)
    }

    /// The second argument is a link or the cgroup itself, by the kernel's attach mechanism. The loader
    /// turns the test into a constant, so the verifier never looks at the other reading.
    pub(in crate::lower) fn attached_id(&mut self) -> Value {
        if self.is_asked() {
            return self.asked(request::at::ATTACHED);
        }
        let link = self.link;
        let (direct, by_link, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let cgroup = self.b.block_param(join, Type::Ptr);
        let generic = self.b.enumerator(members::ATTACH_TYPES, hooks::OOM.generic_attach);
        let generic = self.b.value(InstData::EnumExists(generic), Type::I64);
        self.b.branch(Cond::Ne, generic, imm(0), direct, by_link);
        self.b.switch_to(direct);
        self.b.jump(join, &[link]);
        self.b.switch_to(by_link);
        let of_link = self.pointer(link, shapes::LINK_CGROUP);
        self.b.jump(join, &[of_link]);
        self.b.switch_to(join);
        self.read(cgroup, members::CGROUP_ID)
    }

    /// A number at the end of a member's path through pointers.
    pub(in crate::lower) fn read(&mut self, object: Value, member: Member) -> Value {
        self.read_path(object, member.container, member.path)
    }

    fn read_path(&mut self, object: Value, container: &str, path: &str) -> Value {
        let end = self.follow_pointers(object, container, path, None);
        self.field_at(end.object, &end.container, end.path)
    }

    /// Follows the pointers on a path; leaves to `null`, if that is named, where one of them is null.
    pub(super) fn follow_pointers<'p>(
        &mut self,
        object: Value,
        container: &str,
        path: &'p str,
        null: Option<Block>,
    ) -> PathEnd<'p> {
        let mut end = PathEnd { object, container: container.to_owned(), path };
        while let Some((step, rest)) = end.path.split_once("->") {
            let object = self.pointer_at(end.object, &end.container, step);
            // A cgroup that is held is not null, which the verifier knows: it would remove the way that nobody goes.
            let is_held = object == end.object;
            if let Some(null) = null
                && !is_held
            {
                self.leave_if(Cond::Eq, object, imm(0), null);
            }
            end = PathEnd { object, container: self.pointee(&end.container, step), path: rest };
        }
        end
    }

    /// The structure that a member points to.
    fn pointee(&mut self, container: &str, member: &str) -> String {
        match self.view.member(container, member).map(|member| member.pointee) {
            Some(Some(pointee)) => pointee,
            Some(None) => {
                self.broken("a path leads through a member that is no pointer");
                String::new()
            }
            // A kernel without the member: whoever writes the object tells which one it lacks.
            None => String::new(),
        }
    }

    /// An item of a cgroup that is no candidate, and may be the root.
    fn read_cgroup_item(&mut self, subject: Subject, memcg: Value, item: Item, missing: Block) -> Value {
        match item {
            Item::Field(field) => self.read_anchor_field(memcg, field, missing),
            Item::Raw(raw) => self.read_raw(memcg, raw, missing),
            Item::Label(label) if super::state::is_met_in_walks(subject) => self.label_among(memcg, label),
            Item::Label(label) => self.label_of(memcg, label),
            // The OOM'ing cgroup's counters are the ones that a policy counts: they bound what it does.
            Item::Counter(state) => {
                let domain = subject == Subject::Anchor(Anchor::Cgroup);
                let storage = if domain { Storage::Made } else { Storage::AsItIs };
                self.counter_of(memcg, state, storage, missing)
            }
        }
    }

    /// A field of a memcg that may be the root.
    fn read_anchor_field(&mut self, memcg: Value, field: FieldId, missing: Block) -> Value {
        match field.row().recipe {
            Recipe::Usage(terms) => self.usage_of_any(memcg, terms),
            Recipe::UsageLess(less) => {
                let usage = fields::find(Owner::Cgroup, "usage").map(|usage| usage.row().recipe);
                let usage = match usage {
                    Some(Recipe::Usage(terms)) => self.usage_of_any(memcg, terms),
                    _ => self.broken("the field `usage` is read otherwise than from a usage"),
                };
                let less = self.statistics(memcg, less, missing);
                let rest = self.bin(BinOp::Sub, usage, less);
                self.at_least_zero(rest)
            }
            _ => self.read_field(memcg, field, missing),
        }
    }

    /// Usage is never missing: a kernel that does not count what the root's is made of has the page counter.
    fn usage_of_any(&mut self, memcg: Value, terms: &[StatTerm]) -> Value {
        let (root, below, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let usage = self.b.block_param(join, Type::I64);
        let parent = self.pointer(memcg, members::MEMCG_PARENT);
        self.b.branch(Cond::Eq, parent, imm(0), root, below);
        // The root has no counter of its own. Its statistics are as they were flushed last inside of a walk.
        self.b.switch_to(root);
        if !self.in_rcu && !self.under_rcu {
            self.flush(memcg);
        }
        let sum = self.statistics(memcg, terms, below);
        self.b.jump(join, &[sum]);
        self.b.switch_to(below);
        let counted = self.usage(memcg);
        self.b.jump(join, &[counted]);
        self.b.switch_to(join);
        usage
    }

    fn usage(&mut self, memcg: Value) -> Value {
        let pages = self.field(memcg, members::MEMCG_USAGE);
        self.pages_to_bytes(pages)
    }

    /// A number of an object: a task, or a referenced memcg below the root.
    pub(in crate::lower) fn read_field(&mut self, object: Value, field: FieldId, missing: Block) -> Value {
        let row = field.row();
        let container = match row.owner {
            Owner::Process => members::TASK,
            Owner::Cgroup => members::MEMCG,
            Owner::Event | Owner::Machine => members::EVENT,
        };
        match row.recipe {
            Recipe::Member { path, scale } => {
                let value = self.read_path(object, container, path);
                self.scaled(value, scale)
            }
            Recipe::Usage(_) => self.usage(object),
            Recipe::UsageLess(less) => {
                let (usage, less) = (self.usage(object), self.statistics(object, less, missing));
                let rest = self.bin(BinOp::Sub, usage, less);
                self.at_least_zero(rest)
            }
            Recipe::VmEvents(terms) => self.counted(Statistic::VmEvent, object, terms, missing),
            Recipe::MemoryEvents(term) => self.counted(Statistic::MemoryEvent, object, &[term], missing),
            Recipe::Pressure { state, window } => self.pressure(object, state, window, missing),
            Recipe::SwapLimit => self.swap_limit(object, missing),
            Recipe::Mm(terms) => self.process_memory(object, terms, missing),
            Recipe::Badness(terms) => self.badness(object, terms, missing),
            Recipe::Stat(terms) => self.statistics(object, terms, missing),
            Recipe::Limit => self.effective_limit(object, missing),
            Recipe::NrProcesses => self.nr_processes(object, missing),
            Recipe::IsLeaf => self.is_leaf(object),
            Recipe::NsPid => self.ns_pid(object, missing),
            Recipe::Machine(terms) => self.machine(terms, missing),
            Recipe::Dying => self.zero_or_one(|s, yes, no| s.dying(object, yes, no)),
            Recipe::Age => {
                let now = self.globals.now;
                let now = self.get(now);
                let start = self.field(object, members::TASK_START);
                self.bin(BinOp::Sub, now, start)
            }
            Recipe::Comm
            | Recipe::Name
            | Recipe::Path
            | Recipe::Scope
            | Recipe::Trigger
            | Recipe::Word { .. } => self.broken("a text is no number"),
        }
    }

    /// A sum of variables of the kernel that count pages. A kernel without one gives the address 0, which is a fault.
    fn machine(&mut self, terms: &[MachineTerm], missing: Block) -> Value {
        let sum = self.cell();
        self.put_imm(sum, 0);
        for term in terms {
            let ksym = self.b.ksym(term.variable);
            let mut address = self.b.value(InstData::KsymAddr(ksym), Type::Ptr);
            if let Some((enumeration, enumerator)) = term.index {
                let index = self.enumerator_at(enumeration, enumerator);
                let offset = self.bin_imm(BinOp::Shl, index, 3);
                address = self.b.value(InstData::PtrAdd(address, offset), Type::Ptr);
            }
            let cell = self.cell();
            let (to, size) = (self.area_addr(cell), self.int(8));
            let result = self.helper(helpers::PROBE_READ_KERNEL, &[to, size, address]);
            self.missing_if_negative(result, missing);
            let pages = self.get(cell);
            let pages = self.at_least_zero(pages);
            let so_far = self.get(sum);
            let more = self.bin(BinOp::Add, so_far, pages);
            self.put(sum, more);
        }
        let pages = self.get(sum);
        self.pages_to_bytes(pages)
    }

    /// The number of a process in its innermost PID namespace, the last one of an array whose length only `level` tells.
    fn ns_pid(&mut self, task: Value, missing: Block) -> Value {
        let pid = self.pointer(task, members::TASK_THREAD_PID);
        self.leave_if(Cond::Eq, pid, imm(0), missing);
        let level = self.field(pid, members::PID_LEVEL);
        // There are at most 33 levels; the verifier wants a bound.
        let level = self.bin_imm(BinOp::And, level, 63);
        let offset = self.bin_imm(BinOp::Shl, level, UPID_SIZE.trailing_zeros() as i32);
        let first = self.member_addr(pid, members::PID_NUMBERS);
        let number = self.b.value(InstData::PtrAdd(first, offset), Type::Ptr);
        let cell = self.cell();
        self.put_imm(cell, 0);
        let (to, size) = (self.area_addr(cell), self.int(4));
        let result = self.helper(helpers::PROBE_READ_KERNEL, &[to, size, number]);
        self.missing_if_negative(result, missing);
        self.get(cell)
    }

    fn scaled(&mut self, value: Value, scale: Scale) -> Value {
        match scale {
            Scale::One => value,
            // A counter of pages is at most PAGE_COUNTER_MAX: the product fits.
            Scale::Pages => self.pages_to_bytes(value),
        }
    }

    fn process_memory(&mut self, task: Value, terms: &[MmTerm], missing: Block) -> Value {
        let (has, hasnt, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let mm = self.pointer(task, members::TASK_MM);
        self.b.branch(Cond::Ne, mm, imm(0), has, hasnt);
        self.b.switch_to(hasnt);
        // A leader without memory: either its threads still have it, or all of it is gone. The kernel's own
        // threads never had any.
        let none = self.b.create_block();
        let flags = self.field(task, members::TASK_FLAGS);
        self.leave_if(Cond::Test, flags, imm(PF_KTHREAD), none);
        let live = self.read(task, members::TASK_LIVE);
        self.b.branch(Cond::Sgt, live, imm(0), missing, none);
        self.b.switch_to(none);
        let zero = self.int(0);
        self.b.jump(join, &[zero]);
        self.b.switch_to(has);
        let sum = self.sum_of_counters(mm, terms);
        self.b.jump(join, &[sum]);
        self.b.switch_to(join);
        result
    }

    /// `oom_badness()` without its exclusions, which are those of every kill.
    fn badness(&mut self, task: Value, terms: &[MmTerm], missing: Block) -> Value {
        let bytes = self.process_memory(task, terms, missing);
        let pages = self.bytes_to_pages(bytes);
        let total = self.event_number(members::OC_TOTAL);
        let thousandth = self.bin_imm(BinOp::Udiv, total, 1000);
        let adj = self.read(task, members::TASK_OOM_SCORE_ADJ);
        // At most the domain's memory in pages: the product fits.
        let moved = self.bin(BinOp::Mul, adj, thousandth);
        self.bin(BinOp::Add, pages, moved)
    }

    /// Counters of an address space, in bytes. A counter that lags behind may be negative for a moment, and then
    /// counts as 0, as for the kernel.
    fn sum_of_counters(&mut self, mm: Value, terms: &[MmTerm]) -> Value {
        let counters: Vec<(Scale, Value)> =
            terms.iter().map(|term| (term.scale, self.field_at(mm, members::MM, term.path))).collect();
        let [(_, first), others @ ..] = counters.as_slice() else { return self.broken("a sum of nothing") };
        let (lagging, fine, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let signs = others.iter().fold(*first, |signs, (_, counter)| self.bin(BinOp::Or, signs, *counter));
        self.b.branch(Cond::Slt, signs, imm(0), lagging, fine);
        self.b.switch_to(lagging);
        let clamped: Vec<(Scale, Value)> =
            counters.iter().map(|(scale, counter)| (*scale, self.at_least_zero(*counter))).collect();
        let sum = self.sum_in_bytes(&clamped);
        self.b.jump(join, &[sum]);
        self.b.switch_to(fine);
        let sum = self.sum_in_bytes(&counters);
        self.b.jump(join, &[sum]);
        self.b.switch_to(join);
        result
    }

    fn sum_in_bytes(&mut self, counters: &[(Scale, Value)]) -> Value {
        let sum = |s: &mut Self, scale, start: Option<Value>| {
            let of = counters.iter().filter(|(own, _)| *own == scale).map(|(_, counter)| *counter);
            of.fold(start, |sum, counter| {
                Some(match sum {
                    Some(sum) => s.bin(BinOp::Add, sum, counter),
                    None => counter,
                })
            })
        };
        let pages = sum(self, Scale::Pages, None);
        let pages = pages.map(|pages| self.pages_to_bytes(pages));
        match sum(self, Scale::One, pages) {
            Some(sum) => sum,
            None => self.broken("a sum of nothing"),
        }
    }

    /// The sum of statistics of a referenced memcg, at least 0; missing if the kernel lacks one.
    pub(in crate::lower) fn statistics(&mut self, memcg: Value, terms: &[StatTerm], missing: Block) -> Value {
        self.counted(Statistic::Stat, memcg, terms, missing)
    }

    /// A sum of counters that a function gives by their number.
    fn counted(&mut self, what: Statistic, memcg: Value, terms: &[StatTerm], missing: Block) -> Value {
        let mut sum = None;
        for term in terms {
            let value = self.counter(what, memcg, term, missing);
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
            None => self.broken("a sum of nothing"),
        }
    }

    /// The smallest `memory.max` up to the root, at most the machine's memory.
    fn effective_limit(&mut self, memcg: Value, missing: Block) -> Value {
        let pages = self.smallest_above(memcg, members::MEMCG_MAX);
        let limit = self.pages_to_bytes(pages);
        let total_memory = self.globals.total_memory;
        let total = self.get(total_memory);
        let (known, unknown, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        self.b.branch(Cond::Ne, total, imm(0), known, unknown);
        self.b.switch_to(known);
        let clamped = self.min(limit, total);
        self.b.jump(join, &[clamped]);
        self.b.switch_to(unknown);
        let unlimited = self.unlimited();
        self.leave_if(Cond::Uge, pages, Operand::Value(unlimited), missing);
        self.b.jump(join, &[limit]);
        self.b.switch_to(join);
        result
    }

    /// The smallest of a limit in pages, from a memcg up to the root.
    fn smallest_above(&mut self, memcg: Value, limit: Member) -> Value {
        let smallest = self.cell();
        let unlimited = self.unlimited();
        self.put(smallest, unlimited);
        self.with_rcu(|s| {
            let css = s.css_of(memcg);
            s.walk_css(css, Order::Up, &[], |s, walk| {
                let above = s.cast_memcg(walk.item);
                let max = s.field(above, limit);
                let so_far = s.get(smallest);
                s.leave_if(Cond::Uge, max, Operand::Value(so_far), walk.next);
                s.put(smallest, max);
                s.b.jump(walk.next, &[]);
            });
        });
        self.get(smallest)
    }

    /// A running average of pressure, in parts per million.
    ///
    /// The kernel keeps percents with [`PSI_FRACTION_BITS`] bits of fraction.
    fn pressure(&mut self, memcg: Value, state: u32, window: u32, missing: Block) -> Value {
        let cgroup = self.pointer(memcg, members::MEMCG_CGROUP);
        let group = self.pointer(cgroup, members::CGROUP_PSI);
        self.leave_if(Cond::Eq, group, imm(0), missing);
        let average = self.shaped_average(group, state, window);
        let percent = (RATIO_ONE / 100) as i32;
        let scaled = self.bin_imm(BinOp::Mul, average, percent);
        self.bin_imm(BinOp::Sshr, scaled, PSI_FRACTION_BITS)
    }

    /// The smallest `memory.swap.max` up to the root.
    fn swap_limit(&mut self, memcg: Value, missing: Block) -> Value {
        let pages = self.smallest_above(memcg, members::MEMCG_SWAP_MAX);
        let unlimited = self.unlimited();
        self.leave_if(Cond::Uge, pages, Operand::Value(unlimited), missing);
        self.pages_to_bytes(pages)
    }

    /// Reads the machine's memory once per event; 0 where the kernel does not show it.
    ///
    /// A kernel without the symbol gives the address 0, which is a fault like any other: no branch is needed
    /// that the verifier, who knows the address, would find dead.
    pub(in crate::lower) fn read_total_memory(&mut self) {
        let cell = self.globals.total_memory;
        let ksym = self.b.ksym(members::TOTAL_PAGES);
        let (area, size) = (self.area_addr(cell), self.int(8));
        let pages = self.b.value(InstData::KsymAddr(ksym), Type::Ptr);
        // On a fault the helper zeroes the cell: unknown.
        self.helper(helpers::PROBE_READ_KERNEL, &[area, size, pages]);
        let pages = self.get(cell);
        let bytes = self.pages_to_bytes(pages);
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
    pub(in crate::lower) fn is_leaf(&mut self, memcg: Value) -> Value {
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

    /// Chosen by an OOM killer, or exiting as a whole. Ends the block.
    pub(in crate::lower) fn dying(&mut self, task: Value, yes: Block, no: Block) {
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

    /// Where the text of a field lies, in the kernel or in the scratch value: to be copied, not to be read.
    pub(in crate::lower) fn text_addr(&mut self, subject: Subject, field: FieldId, missing: Block) -> Value {
        let item = Item::Field(field);
        let node = match (self.at_hand(subject, item), subject, field.row().recipe) {
            (Some(task), _, Recipe::Comm) => return self.member_addr(task, members::TASK_COMM),
            // A process may be in a cgroup without the memory controller, below the one that it is charged to.
            (_, Subject::Home(_) | Subject::Parent(_), _) => self.node(subject),
            (Some(memcg), _, Recipe::Name) => self.node_of_memcg(memcg),
            (Some(_), ..) => return self.broken("a text that a record cannot tell"),
            (None, ..) => {
                let fetched = self.fetched_item(subject, item, missing);
                return self.area_addr(fetched.value);
            }
        };
        self.pointer(node, members::NODE_NAME)
    }
}
