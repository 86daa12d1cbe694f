//! Text: command names, cgroup names and paths, compared with literals and globs.
//!
//! The other side may change a name while it is read, so each is copied into the scratch value first.

use oomc_abi::consts::{NAME_MAX, TASK_COMM_LEN};
use oomc_abi::fields::{FieldId, Recipe, SCOPES};
use oomc_abi::request::{self, TRIGGERS, Trigger};
use oomc_abi::{helpers, members};

use super::Read;
use super::field::Item;
use crate::hir::automaton::{self, Automaton, Part};
use crate::hir::glob::{self, Token};
use crate::hir::{Anchor, ExprId, ExprKind, Pattern, PatternId, Policy, RawValue, Subject};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Fetched, Walks, imm};

/// Bytes kept of a cgroup's name: `NAME_MAX` and the NUL.
pub(in crate::lower) const NAME_SIZE: u32 = NAME_MAX as u32 + 1;
/// Bytes kept of a path; a longer one is missing. A power of two, because indices are masked.
pub(super) const PATH_SIZE: u32 = 4096;
/// Names that are compared one by one.
const FEW_NAMES: usize = 4;

/// Eight bytes of a command name that are compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) struct Word {
    /// What they must be.
    pub(in crate::lower) value: i64,
    /// The bits that matter; none: all.
    pub(in crate::lower) mask: Option<i64>,
}

/// A command name, or its beginning. The kernel fills a name up with zeros, so two comparisons of eight bytes decide,
/// and one where the beginning is not longer.
pub(in crate::lower) type Name = Vec<Word>;

/// A name from its start, as many bytes as there are. None: no command has such a long name.
fn words_of(name: &[u8], whole: bool) -> Option<Name> {
    if name.len() >= TASK_COMM_LEN {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut words = Vec::new();
    for at in [0, 8] {
        let part: &[u8] = name.get(at..).map_or(&[], |rest| rest.get(..8).unwrap_or(rest));
        if whole {
            words.push(Word { value: number(part) as i64, mask: None });
        } else if !part.is_empty() {
            let mask = (part.len() < 8).then(|| number(&vec![0xff; part.len()]) as i64);
            words.push(Word { value: number(part) as i64, mask });
        }
    }
    Some(words)
}

/// The words of a pattern that is a name or the beginning of one; `Err` for any other. `Ok(None)`: it matches no command.
fn words_of_pattern(pattern: &Pattern) -> Result<Option<Name>, ()> {
    let tokens = glob::tokens(pattern);
    let (tokens, whole) = match tokens.as_slice() {
        // A name that begins with nothing is any name: no comparison would say so.
        [first @ .., Token::DoubleStar] if !first.is_empty() => (first, false),
        all => (all, true),
    };
    let bytes = tokens.iter().map(|token| match token {
        Token::Byte(byte) => Ok(*byte),
        Token::Star | Token::DoubleStar | Token::One => Err(()),
    });
    Ok(words_of(&bytes.collect::<Result<Vec<u8>, ()>>()?, whole))
}

/// The names, if a command name is compared with a few that are given in full, or by how they begin.
pub(in crate::lower) fn few_names(policy: &Policy, field: ExprId, patterns: &[Pattern]) -> Option<Vec<Name>> {
    let is_comm = match policy.exprs.get(field)?.kind {
        ExprKind::Field(_, field) => field.row().recipe == Recipe::Comm,
        _ => false,
    };
    let patterns: Vec<Pattern> = patterns.iter().flat_map(glob::alternatives).collect();
    if !is_comm || patterns.len() > FEW_NAMES {
        return None;
    }
    let names: Result<Vec<Option<Name>>, ()> = patterns.iter().map(words_of_pattern).collect();
    Some(names.ok()?.into_iter().flatten().collect())
}

/// Where an automaton stands among the constants.
#[derive(Clone, Copy, Debug)]
struct Tables {
    classes: u32,
    states: u32,
    /// Bits of a class.
    width: i32,
    state_mask: i32,
}

/// A text in the scratch value.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Text {
    pub(in crate::lower) area: Cell,
    /// A power of two.
    pub(in crate::lower) size: u32,
    /// Where the part begins that is relative to the attached cgroup; negative: it is not below it.
    pub(in crate::lower) relative: Option<Cell>,
}

impl Read<'_> {
    /// Whether a text field matches one of the patterns. Ends the block.
    pub(in crate::lower) fn matches(
        &mut self,
        field: ExprId,
        patterns: &[Pattern],
        yes: Block,
        no: Block,
        unknown: Block,
    ) {
        let text = match self.expression(field).map(|field| &field.kind) {
            Some(ExprKind::Field(_, field)) if field.row().recipe.words().is_some() => {
                return self.matches_words(*field, patterns, yes, no);
            }
            Some(ExprKind::Field(subject, field)) => self.text(*subject, *field, unknown),
            Some(ExprKind::Raw(subject, raw)) => {
                if let Some(RawValue::Enum { tag }) = self.policy.raws.get(*raw).map(|raw| &raw.value) {
                    return self.matches_constants(*subject, *raw, tag, patterns, [yes, no, unknown]);
                }
                self.raw_text(*subject, *raw, unknown)
            }
            _ => {
                self.broken("patterns are compared with something that is no text");
                return self.b.jump(unknown, &[]);
            }
        };
        if let Some(names) = few_names(self.policy, field, patterns) {
            self.equals_one_of(text, Some(field), &names, yes);
            return self.b.jump(no, &[]);
        }
        self.matches_text(text, patterns, yes, no);
    }

    /// Whether the path of a cgroup matches; one that cannot be put together does not. Ends the block.
    pub(super) fn matches_path(&mut self, css: Value, pattern: PatternId, yes: Block, no: Block) {
        let Some(pattern) = self.policy.patterns.get(pattern) else {
            self.broken("a place has a pattern that the policy lacks");
            return self.b.jump(no, &[]);
        };
        let text = Text { area: self.path_area(), size: PATH_SIZE, relative: Some(self.cell()) };
        let cgroup = self.pointer(css, members::CSS_CGROUP);
        let node = self.pointer(cgroup, members::CGROUP_NODE);
        self.compose_path(node, text, no);
        self.matches_text(text, core::slice::from_ref(pattern), yes, no);
    }

    /// Whether a text in the scratch value matches one of the patterns. Ends the block.
    fn matches_text(&mut self, text: Text, patterns: &[Pattern], yes: Block, no: Block) {
        let relative = |pattern: &Pattern| text.relative.is_some() && !pattern.text().starts_with('/');
        let (below, whole): (Vec<Pattern>, Vec<Pattern>) =
            patterns.iter().flat_map(glob::alternatives).partition(relative);
        self.matches_one_of(text, None, &whole, yes);
        if let (Some(start), false) = (text.relative, below.is_empty()) {
            let from = self.get(start);
            self.leave_if(Cond::Slt, from, imm(0), no);
            self.matches_one_of(text, Some(start), &below, yes);
        }
        self.b.jump(no, &[]);
    }

    /// Whether two text fields hold the same bytes. Ends the block.
    pub(in crate::lower) fn same_text(
        &mut self,
        left: ExprId,
        right: ExprId,
        yes: Block,
        no: Block,
        unknown: Block,
    ) {
        let (left, right) = (self.copied_text(left, unknown), self.copied_text(right, unknown));
        if [left.size, right.size] == [TASK_COMM_LEN as u32; 2] {
            let areas = [left, right].map(|text| self.area_addr(text.area));
            for at in [0, 8] {
                let [a, b] = areas.map(|area| self.load(Size::B8, area, at));
                self.leave_if(Cond::Ne, a, Operand::Value(b), no);
            }
            return self.b.jump(yes, &[]);
        }
        // Each has an end, and so has the shorter area.
        let (at, same) = (self.cell(), self.cell());
        self.put_imm(at, 0);
        self.put_imm(same, 0);
        self.walk_numbers(left.size.min(right.size) as i32, |s, walk| {
            let here = s.get(at);
            let a = s.byte(left, here);
            let here = s.get(at);
            let b = s.byte(right, here);
            s.leave_if(Cond::Ne, a, Operand::Value(b), walk.done);
            let (end, more) = (s.b.create_block(), s.b.create_block());
            s.b.branch(Cond::Eq, a, imm(0), end, more);
            s.b.switch_to(end);
            s.put_imm(same, 1);
            s.b.jump(walk.done, &[]);
            s.b.switch_to(more);
            s.bump(at);
            s.b.jump(walk.next, &[]);
        });
        let same = self.get(same);
        self.b.branch(Cond::Ne, same, imm(0), yes, no);
    }

    /// A text field in the scratch value, which stays there while another one is read.
    fn copied_text(&mut self, expr: ExprId, missing: Block) -> Text {
        match self.expression(expr).map(|expr| &expr.kind) {
            Some(ExprKind::Field(subject, field)) => {
                // The area that paths share is taken away for as long.
                let path = self.path.take();
                let text = self.text(*subject, *field, missing);
                self.path = path;
                text
            }
            Some(ExprKind::Raw(subject, raw)) => self.raw_text(*subject, *raw, missing),
            _ => {
                self.broken("something that is no text is compared with one");
                Text { area: self.cell(), size: 8, relative: None }
            }
        }
    }

    /// Leaves to `yes` if the text, from its start, matches one of the patterns.
    fn matches_one_of(&mut self, text: Text, start: Option<Cell>, patterns: &[Pattern], yes: Block) {
        if let ([Pattern::Literal(literal)], true) = (patterns, text.size != TASK_COMM_LEN as u32) {
            return self.equals(text, start, literal, yes);
        }
        let literals: Option<Vec<&str>> = patterns
            .iter()
            .map(|pattern| match pattern {
                Pattern::Literal(literal) => Some(literal.as_str()),
                Pattern::Glob(_) | Pattern::Wild(_) => None,
            })
            .collect();
        match literals {
            Some(literals) if text.size == TASK_COMM_LEN as u32 && literals.len() <= FEW_NAMES => {
                let names: Vec<Name> =
                    literals.into_iter().filter_map(|literal| words_of(literal.as_bytes(), true)).collect();
                self.equals_one_of(text, None, &names, yes);
            }
            _ => {
                for part in automaton::divide(patterns) {
                    match part {
                        Part::Automaton(automaton) => self.run_automaton(text, start, &automaton, yes),
                        Part::Alone(pattern) => self.matches_glob(text, start, &pattern, yes),
                    }
                }
            }
        }
    }

    /// Leaves to `yes` if a command name is one of these, which may be numbers of the policy.
    fn equals_one_of(&mut self, text: Text, of: Option<ExprId>, names: &[Name], yes: Block) {
        let start = self.area_addr(text.area);
        let words = [0, 8].map(|offset| self.load(Size::B8, start, offset));
        let mut at = 0;
        let mut number = |s: &mut Self, number: i64| {
            at += 1;
            match of {
                Some(expr) => s.number_of_policy((expr, at - 1), number),
                None => s.int(number),
            }
        };
        for name in names {
            let next = self.b.create_block();
            for (word, wanted) in words.into_iter().zip(name) {
                let masked = wanted.mask.map(|mask| number(self, mask));
                let word = masked.map_or(word, |mask| self.bin(BinOp::And, word, mask));
                let value = number(self, wanted.value);
                self.leave_if(Cond::Ne, word, Operand::Value(value), next);
            }
            self.b.jump(yes, &[]);
            self.b.switch_to(next);
        }
    }

    /// Leaves to `yes` if the text, from its start, is one that the automaton matches.
    fn run_automaton(&mut self, text: Text, start: Option<Cell>, automaton: &Automaton, yes: Block) {
        let tables = self.tables(automaton);
        let no = self.b.create_block();
        if text.size == TASK_COMM_LEN as u32 {
            let head = self.b.create_block();
            let (at, state) = (self.b.block_param(head, Type::I64), self.b.block_param(head, Type::I64));
            let (zero, first) = (self.int(0), self.int(i64::from(automaton::START)));
            self.b.jump(head, &[zero, first]);
            self.b.switch_to(head);
            self.leave_if(Cond::Uge, at, imm(i64::from(text.size)), no);
            let state = self.next_state(text, tables, at, state, [yes, no]);
            let at = self.bin_imm(BinOp::Add, at, 1);
            self.b.jump(head, &[at, state]);
        } else {
            let (at, state, found) = (self.cell(), self.cell(), self.cell());
            let from = match start {
                Some(start) => self.get(start),
                None => self.int(0),
            };
            self.put(at, from);
            self.put_imm(state, i32::from(automaton::START));
            self.put_imm(found, 0);
            self.walk_numbers(text.size as i32, |s, walk| {
                let matched = s.b.create_block();
                let (here, now) = (s.get(at), s.get(state));
                let next = s.next_state(text, tables, here, now, [matched, walk.done]);
                s.put(state, next);
                s.bump(at);
                s.b.jump(walk.next, &[]);
                s.b.switch_to(matched);
                s.put_imm(found, 1);
                s.b.jump(walk.done, &[]);
            });
            let found = self.get(found);
            self.leave_if(Cond::Ne, found, imm(0), yes);
            self.b.jump(no, &[]);
        }
        self.b.switch_to(no);
    }

    /// The state behind the byte of a text at an index; leaves where that decides.
    fn next_state(
        &mut self,
        text: Text,
        tables: Tables,
        at: Value,
        state: Value,
        [matched, dead]: [Block; 2],
    ) -> Value {
        let byte = self.byte(text, at);
        let classes = self.bytes_address(tables.classes);
        let class = self.b.value(InstData::PtrAdd(classes, byte), Type::Ptr);
        let class = self.load(Size::B1, class, 0);
        let class = self.bin_imm(BinOp::And, class, (1 << tables.width) - 1);
        let state = self.bin_imm(BinOp::And, state, tables.state_mask);
        let row = self.bin_imm(BinOp::Shl, state, tables.width);
        let place = self.bin(BinOp::Or, row, class);
        let place = self.bin_imm(BinOp::Shl, place, 1);
        let states = self.bytes_address(tables.states);
        let next = self.b.value(InstData::PtrAdd(states, place), Type::Ptr);
        let next = self.load(Size::B2, next, 0);
        self.leave_if(Cond::Eq, next, imm(i64::from(automaton::MATCHED)), matched);
        self.leave_if(Cond::Eq, next, imm(i64::from(automaton::DEAD)), dead);
        next
    }

    /// Writes an automaton down among the constants: the class of each byte, and two bytes for each transition.
    fn tables(&mut self, automaton: &Automaton) -> Tables {
        let width = automaton.class_count.next_power_of_two();
        let rows = automaton.states.len().next_power_of_two();
        let mut transitions = Vec::with_capacity(rows * width * 2);
        for row in &automaton.states {
            let filled = row.iter().copied().chain(core::iter::repeat(automaton::DEAD)).take(width);
            filled.for_each(|next| transitions.extend(next.to_le_bytes()));
        }
        let classes = self.bytes_constant(&automaton.classes, automaton.classes.len() as u32);
        let states = self.bytes_constant(&transitions, (rows * width * 2) as u32);
        Tables { classes, states, width: width.trailing_zeros() as i32, state_mask: rows as i32 - 1 }
    }

    /// A field that is one of a few words: their numbers are compared.
    fn matches_words(&mut self, field: FieldId, patterns: &[Pattern], yes: Block, no: Block) {
        let wanted = |word: &str| patterns.iter().any(|pattern| glob::matches(pattern, word));
        let oc = self.oc;
        match field.row().recipe {
            // The domain is what memory is short in.
            Recipe::Word { .. } if self.is_asked() => {
                let [limit, machine] = ["memcg", "none"].map(|word| if wanted(word) { yes } else { no });
                self.whose(machine, limit);
            }
            Recipe::Word { path, enumeration, words } => {
                let found = self.field_at(oc, members::EVENT, path);
                for (name, _) in words.iter().filter(|(_, word)| wanted(word)) {
                    let value = self.enumerator_at(enumeration, name);
                    self.leave_if(Cond::Eq, found, Operand::Value(value), yes);
                }
                self.b.jump(no, &[]);
            }
            Recipe::Trigger if self.is_asked() => {
                let trigger = self.asked(request::at::TRIGGER);
                let trigger = self.bin_imm(BinOp::And, trigger, 0xff);
                for (code, _) in (0..).zip(TRIGGERS).filter(|(_, word)| wanted(word)) {
                    self.leave_if(Cond::Eq, trigger, imm(code), yes);
                }
                self.b.jump(no, &[]);
            }
            Recipe::Trigger => {
                let oom = TRIGGERS.get(usize::from(Trigger::Oom.code()));
                self.b.jump(if oom.is_some_and(|word| wanted(word)) { yes } else { no }, &[]);
            }
            // A memcg, or none: the whole machine.
            Recipe::Scope => {
                let [limit, machine] = SCOPES.map(|word| if wanted(word) { yes } else { no });
                self.whose(machine, limit);
            }
            _ => {
                self.broken("a field has words and no way to tell which");
                self.b.jump(no, &[]);
            }
        }
    }

    /// Copies a text, if it is not in the scratch value already.
    fn text(&mut self, subject: Subject, field: FieldId, missing: Block) -> Text {
        let (recipe, item) = (field.row().recipe, Item::Field(field));
        let size = self.size_of_text(item);
        if matches!(subject, Subject::Anchor(_) | Subject::Pick(_)) && !self.read_in_place(subject, item) {
            let fetched = self.fetched_item(subject, item, missing);
            return Text { area: fetched.value, size, relative: fetched.relative };
        }
        let relative = (recipe == Recipe::Path).then(|| self.cell());
        let area = if recipe == Recipe::Path { self.path_area() } else { self.area(size) };
        let text = Text { area, size, relative };
        self.read_text(subject, field, text, missing);
        text
    }

    /// Where a path is put together that is used before another one is.
    fn path_area(&mut self) -> Cell {
        match self.path {
            Some(area) => area,
            None => {
                let area = self.lasting(|s| s.area(PATH_SIZE));
                *self.path.insert(area)
            }
        }
    }

    /// Copies a text into the cells of a prefetched item; the memcg is the subject's.
    pub(in crate::lower) fn prefetch_text(
        &mut self,
        memcg: Value,
        field: FieldId,
        fetched: Fetched,
        missing: Block,
    ) {
        let recipe = field.row().recipe;
        let size = self.size_of_text(Item::Field(field));
        let text = Text { area: fetched.value, size, relative: fetched.relative };
        let node = self.node_of_memcg(memcg);
        self.read_node_text(node, recipe, text, missing);
    }

    fn read_text(&mut self, subject: Subject, field: FieldId, text: Text, missing: Block) {
        let (recipe, item) = (field.row().recipe, Item::Field(field));
        if recipe == Recipe::Comm {
            let task = match subject {
                Subject::Candidate(_) | Subject::Parent(_) => self.at_hand(subject, item),
                _ => None,
            };
            let task = match task {
                Some(task) => task,
                None => self.broken("a cgroup has no command name"),
            };
            // The other side changes a comm under a lock that we cannot take: copy first, then compare.
            let to = self.area_addr(text.area);
            return self.copy_comm(to, task);
        }
        let node = self.node(subject);
        self.read_node_text(node, recipe, text, missing);
    }

    /// Copies a command name, word by word: the kernel fills it up with zeros.
    pub(in crate::lower) fn copy_comm(&mut self, to: Value, task: Value) {
        let from = self.member_addr(task, members::TASK_COMM);
        for at in (0..TASK_COMM_LEN as i32).step_by(8) {
            let word = self.load(Size::B8, from, at);
            self.store_at(to, at, word);
        }
    }

    fn read_node_text(&mut self, node: Value, recipe: Recipe, text: Text, missing: Block) {
        if recipe == Recipe::Path {
            return self.compose_path(node, text, missing);
        }
        let to = self.area_addr(text.area);
        let name = self.pointer(node, members::NODE_NAME);
        let size = self.int(i64::from(NAME_SIZE));
        let result = self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, name]);
        self.missing_if_negative(result, missing);
    }

    /// The cgroupfs node of a subject that is a cgroup and at hand.
    pub(super) fn node(&mut self, subject: Subject) -> Value {
        match subject {
            // A process may be in a cgroup without the memory controller, below the one that it is charged to.
            Subject::Home(binder) => {
                let task = self.object_of(binder);
                let cgroups = self.pointer(task, members::TASK_CGROUPS);
                let cgroup = self.pointer(cgroups, members::CSS_SET_CGROUP);
                self.pointer(cgroup, members::CGROUP_NODE)
            }
            Subject::Candidate(binder) => {
                let memcg = self.object_of(binder);
                self.node_of_memcg(memcg)
            }
            Subject::Parent(binder) => {
                let memcg = self.object_of(binder);
                self.parent_node(memcg)
            }
            Subject::Anchor(Anchor::Cgroup) => {
                let domain = self.domain;
                self.node_of_memcg(domain)
            }
            Subject::Anchor(_) | Subject::Pick(_) | Subject::Event => {
                self.broken("a text is read of something that is no cgroup at hand")
            }
        }
    }

    /// The node of the cgroup above a memcg; of the root, its own.
    pub(super) fn parent_node(&mut self, memcg: Value) -> Value {
        let (root, below, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let node = self.b.block_param(join, Type::Ptr);
        let parent = self.pointer(memcg, members::MEMCG_PARENT);
        self.b.branch(Cond::Eq, parent, imm(0), root, below);
        self.b.switch_to(root);
        let own = self.node_of_memcg(memcg);
        self.b.jump(join, &[own]);
        self.b.switch_to(below);
        let cgroup = self.pointer(parent, members::CSS_CGROUP);
        let above = self.pointer(cgroup, members::CGROUP_NODE);
        self.b.jump(join, &[above]);
        self.b.switch_to(join);
        node
    }

    pub(super) fn node_of_memcg(&mut self, memcg: Value) -> Value {
        let cgroup = self.pointer(memcg, members::MEMCG_CGROUP);
        self.pointer(cgroup, members::CGROUP_NODE)
    }

    /// An address inside of scratch bytes.
    pub(super) fn inside(&mut self, area: Cell, offset: Value) -> Value {
        let area = self.area_addr(area);
        self.b.value(InstData::PtrAdd(area, offset), Type::Ptr)
    }

    /// The address of a byte of a text; the index is masked just before.
    pub(super) fn byte(&mut self, text: Text, index: Value) -> Value {
        let index = self.bin_imm(BinOp::And, index, text.size as i32 - 1);
        let at = self.inside(text.area, index);
        self.load(Size::B1, at, 0)
    }

    /// Leaves to `yes` if the text, from its start, is this one.
    fn equals(&mut self, text: Text, start: Option<Cell>, literal: &str, yes: Block) {
        let longest = literal.len() as u32 + 1;
        if longest > text.size {
            return;
        }
        let Some(start) = start else {
            let (at, bytes) = (self.area_addr(text.area), self.int(i64::from(text.size)));
            let literal = self.string(literal);
            let order = self.helper(helpers::STRNCMP, &[at, bytes, literal]);
            return self.leave_if(Cond::Eq, order, imm(0), yes);
        };
        let other = self.b.create_block();
        let start = self.get(start);
        self.leave_if(Cond::Ugt, start, imm(i64::from(text.size - longest)), other);
        let at = self.inside(text.area, start);
        let (bytes, literal) = (self.int(i64::from(longest)), self.string(literal));
        let order = self.helper(helpers::STRNCMP, &[at, bytes, literal]);
        self.leave_if(Cond::Eq, order, imm(0), yes);
        self.b.jump(other, &[]);
        self.b.switch_to(other);
    }
}

/// Bytes kept of a text, a power of two; None: the field is none.
pub(super) fn text_size(recipe: Recipe) -> Option<u32> {
    match recipe {
        Recipe::Comm => Some(TASK_COMM_LEN as u32),
        Recipe::Path => Some(PATH_SIZE),
        Recipe::Name => Some(NAME_SIZE),
        _ => None,
    }
}
