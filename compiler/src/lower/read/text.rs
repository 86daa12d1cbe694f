//! Text: command names, cgroup names and paths, compared with literals and globs.
//!
//! The other side may change a name while it is read, so each is copied into the scratch value first. A path is
//! put together there, from the root down: names and ids are collected on the way up, because a node knows its
//! parent only. A glob is matched by one loop over both texts with two places to go back to, the last `*` and
//! the last `**`.

use oomc_abi::consts::{NAME_MAX, TASK_COMM_LEN};
use oomc_abi::fields::{FieldId, Recipe};
use oomc_abi::{helpers, members};

use super::Read;
use super::field::Item;
use crate::hir::automaton::{self, Automaton, Part};
use crate::hir::glob::{self, Token};
use crate::hir::{ExprId, ExprKind, Pattern, Policy, RawValue, Subject};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Fetched, Walks, imm};

/// Bytes kept of a cgroup's name: `NAME_MAX` and the NUL.
pub(in crate::lower) const NAME_SIZE: u32 = NAME_MAX as u32 + 1;
/// Bytes kept of a path; a longer one is missing. A power of two, because indices are masked.
const PATH_SIZE: u32 = 4096;
/// Levels of the tree that a path can have; a deeper one is missing.
const MAX_LEVELS: i32 = 64;
/// Rounds of one match. Texts end long before, but the verifier wants a bound.
const MAX_ROUNDS: i32 = 1 << 16;

/// Names that are compared one by one.
const FEW_NAMES: usize = 4;

/// A command name. The kernel fills it up with zeros, so two comparisons of eight bytes decide.
pub(in crate::lower) type Name = [i64; 2];

/// None: no command has such a long name.
fn words_of(name: &str) -> Option<Name> {
    let mut bytes = [0; TASK_COMM_LEN];
    bytes.get_mut(..name.len()).filter(|_| name.len() < TASK_COMM_LEN)?.copy_from_slice(name.as_bytes());
    let mut words = [0; 2];
    for (word, part) in words.iter_mut().zip(bytes.chunks(8)) {
        *word = part.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) as i64;
    }
    Some(words)
}

/// The names, if a command name is compared with a few that are given in full.
pub(in crate::lower) fn few_names(policy: &Policy, field: ExprId, patterns: &[Pattern]) -> Option<Vec<Name>> {
    let is_comm = match policy.exprs.get(field)?.kind {
        ExprKind::Field(_, field) => field.row().recipe == Recipe::Comm,
        _ => false,
    };
    let literals: Option<Vec<String>> = patterns
        .iter()
        .flat_map(glob::alternatives)
        .map(|pattern| match pattern {
            Pattern::Literal(literal) => Some(literal),
            Pattern::Glob(_) => None,
        })
        .collect();
    let literals = literals.filter(|literals| is_comm && literals.len() <= FEW_NAMES)?;
    Some(literals.iter().filter_map(|literal| words_of(literal)).collect())
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
        let policy = self.policy;
        let text = match policy.exprs.get(field).map(|field| &field.kind) {
            Some(ExprKind::Field(_, field)) if let Some(words) = field.row().recipe.words() => {
                return self.matches_words(*field, &words, patterns, yes, no);
            }
            Some(ExprKind::Field(subject, field)) => self.text(*subject, *field, unknown),
            Some(ExprKind::Raw(subject, raw)) => {
                if let Some(RawValue::Enum { tag }) = policy.raws.get(*raw).map(|raw| &raw.value) {
                    return self.matches_constants(*subject, *raw, tag, patterns, [yes, no, unknown]);
                }
                self.raw_text(*subject, *raw, unknown)
            }
            _ => return self.b.jump(unknown, &[]),
        };
        let relative = |pattern: &Pattern| text.relative.is_some() && !pattern.text().starts_with('/');
        let (below, whole): (Vec<Pattern>, Vec<Pattern>) =
            patterns.iter().flat_map(glob::alternatives).partition(relative);
        match few_names(policy, field, patterns) {
            Some(names) => self.equals_one_of(text, Some(field), &names, yes),
            None => self.matches_one_of(text, None, &whole, yes),
        }
        if let (Some(start), false) = (text.relative, below.is_empty()) {
            let from = self.get(start);
            self.leave_if(Cond::Slt, from, imm(0), no);
            self.matches_one_of(text, Some(start), &below, yes);
        }
        self.b.jump(no, &[]);
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
                Pattern::Glob(_) => None,
            })
            .collect();
        match literals {
            Some(literals) if text.size == TASK_COMM_LEN as u32 && literals.len() <= FEW_NAMES => {
                let names: Vec<Name> = literals.into_iter().filter_map(words_of).collect();
                self.equals_one_of(text, None, &names, yes);
            }
            _ => {
                for part in automaton::divide(patterns) {
                    match part {
                        Part::Automaton(automaton) => self.run_automaton(text, start, &automaton, yes),
                        Part::Alone(pattern) => self.matches_glob(text, start, pattern.text(), yes),
                    }
                }
            }
        }
    }

    /// Leaves to `yes` if a command name is one of these, which may be numbers of the policy.
    fn equals_one_of(&mut self, text: Text, of: Option<ExprId>, names: &[Name], yes: Block) {
        let start = self.area_addr(text.area);
        let words = [0, 8].map(|offset| self.load(Size::B8, start, offset));
        for (at, name) in names.iter().enumerate() {
            let next = self.b.create_block();
            for (part, (word, wanted)) in words.into_iter().zip(*name).enumerate() {
                let wanted = match of {
                    Some(expr) => self.number_of_policy((expr, at * name.len() + part), wanted),
                    None => self.int(wanted),
                };
                self.leave_if(Cond::Ne, word, Operand::Value(wanted), next);
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
    fn matches_words(&mut self, field: FieldId, words: &[&str], patterns: &[Pattern], yes: Block, no: Block) {
        let wanted: Vec<usize> = (0..words.len())
            .filter(|at| {
                words.get(*at).is_some_and(|word| patterns.iter().any(|pattern| glob::matches(pattern, word)))
            })
            .collect();
        match field.row().recipe {
            Recipe::Word { path, enumeration, words } => {
                let oc = self.oc;
                let found = self.field_at(oc, members::EVENT, path);
                for (name, _) in wanted.iter().filter_map(|at| words.get(*at)) {
                    let value = self.enumerator_at(enumeration, name);
                    self.leave_if(Cond::Eq, found, Operand::Value(value), yes);
                }
                self.b.jump(no, &[]);
            }
            // A memcg, or none: the whole machine.
            _ => {
                let oc = self.oc;
                let memcg = self.pointer(oc, members::OC_MEMCG);
                let target = |index: usize| if wanted.contains(&index) { yes } else { no };
                self.b.branch(Cond::Ne, memcg, imm(0), target(0), target(1));
            }
        }
    }

    /// Copies a text, if it is not in the scratch value already.
    fn text(&mut self, subject: Subject, field: FieldId, missing: Block) -> Text {
        let recipe = field.row().recipe;
        let size = text_size(recipe);
        if let Subject::Anchor(_) | Subject::Pick(_) = subject
            && !self.read_in_place(subject, Item::Field(field))
            && let Some(fetched) = self.prefetched.get(&(subject, Item::Field(field))).copied()
        {
            if let Some(flag) = fetched.missing {
                self.missing_if(flag, missing);
            }
            return Text { area: fetched.value, size, relative: fetched.relative };
        }
        let relative = (recipe == Recipe::Path).then(|| self.cell());
        let area = match self.path {
            Some(area) if recipe == Recipe::Path => area,
            _ if recipe == Recipe::Path => {
                let area = self.lasting(|s| s.area(size));
                *self.path.insert(area)
            }
            _ => self.area(size),
        };
        let text = Text { area, size, relative };
        self.read_text(subject, recipe, text, missing);
        text
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
        let text = Text { area: fetched.value, size: text_size(recipe), relative: fetched.relative };
        let node = self.node_of_memcg(memcg);
        self.read_node_text(node, recipe, text, missing);
    }

    fn read_text(&mut self, subject: Subject, recipe: Recipe, text: Text, missing: Block) {
        if recipe == Recipe::Comm {
            let task = match subject {
                Subject::Candidate(binder) => self.candidates.get(&binder).copied(),
                _ => None,
            };
            let task = task.unwrap_or(self.oc);
            // The other side changes a comm under a lock that we cannot take: copy first, then compare.
            let to = self.area_addr(text.area);
            return self.copy_comm(to, task);
        }
        let node = self.node(subject, missing);
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
    pub(in crate::lower) fn node(&mut self, subject: Subject, missing: Block) -> Value {
        match subject {
            // A process may be in a cgroup without the memory controller, below the one that it is charged to.
            Subject::Home(binder) => {
                let task = self.candidates.get(&binder).copied().unwrap_or(self.oc);
                let cgroups = self.pointer(task, members::TASK_CGROUPS);
                let cgroup = self.pointer(cgroups, members::CSS_SET_CGROUP);
                self.pointer(cgroup, members::CGROUP_NODE)
            }
            Subject::Candidate(binder) => {
                let memcg = self.candidates.get(&binder).copied().unwrap_or(self.domain);
                self.node_of_memcg(memcg)
            }
            _ if subject == Subject::Anchor(crate::hir::Anchor::Cgroup) => {
                let domain = self.domain;
                self.node_of_memcg(domain)
            }
            _ => {
                self.broken("a text was not read before the walk");
                self.b.jump(missing, &[]);
                self.null()
            }
        }
    }

    fn node_of_memcg(&mut self, memcg: Value) -> Value {
        let cgroup = self.pointer(memcg, members::MEMCG_CGROUP);
        self.pointer(cgroup, members::CGROUP_NODE)
    }

    /// Puts a path together: `/a/b`, or `/` for the root.
    fn compose_path(&mut self, node: Value, text: Text, missing: Block) {
        let (levels, at) = (self.cell(), self.cell());
        let (names, ids) = (self.area(MAX_LEVELS as u32 * 8), self.area(MAX_LEVELS as u32 * 8));
        let reached_root = self.cell();
        self.put_imm(levels, 0);
        self.put_imm(reached_root, 0);
        self.walk_numbers_with(MAX_LEVELS, &[node], |s, walk| {
            let node = walk.carried.first().copied().unwrap_or(node);
            let (root, below) = (s.b.create_block(), s.b.create_block());
            let parent = s.pointer(node, members::NODE_PARENT);
            s.b.branch(Cond::Eq, parent, imm(0), root, below);
            s.b.switch_to(root);
            s.put_imm(reached_root, 1);
            s.b.jump(walk.done, &[node]);
            s.b.switch_to(below);
            // An index comes from memory, is compared with a constant, and is used at once.
            let over = s.b.create_block();
            let index = s.get(levels);
            s.leave_if(Cond::Uge, index, imm(i64::from(MAX_LEVELS)), over);
            let offset = s.bin_imm(BinOp::Shl, index, 3);
            let name = s.pointer(node, members::NODE_NAME);
            let id = s.field(node, members::NODE_ID);
            for (area, value) in [(names, name), (ids, id)] {
                let area = s.area_addr(area);
                let slot = s.b.value(InstData::PtrAdd(area, offset), Type::Ptr);
                let value = Operand::Value(value);
                s.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: 0, value });
            }
            s.bump(levels);
            s.b.jump(walk.next, &[parent]);
            s.b.switch_to(over);
            s.b.jump(walk.done, &[node]);
        });
        let reached = self.get(reached_root);
        self.leave_if(Cond::Eq, reached, imm(0), missing);

        // The attached cgroup may be the root, of which every path is relative.
        let attached = self.noted(oomc_abi::record::at::ATTACHED);
        let relative = text.relative;
        if let Some(relative) = relative {
            self.put_imm(relative, -1);
            let (is_root, below) = (self.b.create_block(), self.b.create_block());
            self.b.branch(Cond::Eq, attached, imm(ROOT_ID), is_root, below);
            self.b.switch_to(is_root);
            self.put_imm(relative, 1);
            self.b.jump(below, &[]);
            self.b.switch_to(below);
        }
        self.put_imm(at, 0);
        let slash = Operand::Imm(i32::from(b'/'));
        let start = self.area_addr(text.area);
        self.b.effect(InstData::Store { size: Size::B1, ptr: start, offset: 0, value: slash });
        self.b.effect(InstData::Store { size: Size::B1, ptr: start, offset: 1, value: Operand::Imm(0) });
        let failed = self.cell();
        self.put_imm(failed, 0);
        self.walk_numbers(MAX_LEVELS, |s, walk| {
            let left = s.get(levels);
            s.leave_if(Cond::Eq, left, imm(0), walk.done);
            let left = s.bin_imm(BinOp::Sub, left, 1);
            s.put(levels, left);
            let lost = s.b.create_block();
            let index = s.get(levels);
            s.leave_if(Cond::Uge, index, imm(i64::from(MAX_LEVELS)), lost);
            let offset = s.bin_imm(BinOp::Shl, index, 3);
            let slot = |s: &mut Self, area| {
                let area = s.area_addr(area);
                s.b.value(InstData::PtrAdd(area, offset), Type::Ptr)
            };
            let name = slot(s, names);
            let name = s.b.value(InstData::Load { size: Size::B8, ptr: name, offset: 0 }, Type::Ptr);
            let id = slot(s, ids);
            let id = s.load(Size::B8, id, 0);
            // Room for the `/`, the longest name and its end.
            let here = s.get(at);
            let room = i64::from(PATH_SIZE - NAME_SIZE - 2);
            s.leave_if(Cond::Ugt, here, imm(room), lost);
            let area = s.area_addr(text.area);
            let to = s.b.value(InstData::PtrAdd(area, here), Type::Ptr);
            s.b.effect(InstData::Store { size: Size::B1, ptr: to, offset: 0, value: slash });
            let here = s.get(at);
            let here = s.bin_imm(BinOp::Add, here, 1);
            s.put(at, here);
            let here = s.get(at);
            s.leave_if(Cond::Ugt, here, imm(room + 1), lost);
            let area = s.area_addr(text.area);
            let to = s.b.value(InstData::PtrAdd(area, here), Type::Ptr);
            let size = s.int(i64::from(NAME_SIZE));
            let copied = s.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, name]);
            s.leave_if(Cond::Sle, copied, imm(0), lost);
            let here = s.get(at);
            let here = s.bin(BinOp::Add, here, copied);
            // Its end is overwritten by the next `/`.
            let here = s.bin_imm(BinOp::Sub, here, 1);
            s.put(at, here);
            if let Some(relative) = relative {
                let (found, go_on) = (s.b.create_block(), s.b.create_block());
                let attached = s.noted(oomc_abi::record::at::ATTACHED);
                s.b.branch(Cond::Eq, id, Operand::Value(attached), found, go_on);
                s.b.switch_to(found);
                // Behind the `/` that follows; of the attached cgroup itself, the empty text at its end.
                let here = s.get(at);
                let last = s.get(levels);
                let (own, below) = (s.b.create_block(), s.b.create_block());
                s.b.branch(Cond::Eq, last, imm(0), own, below);
                s.b.switch_to(own);
                s.put(relative, here);
                s.b.jump(go_on, &[]);
                s.b.switch_to(below);
                let behind = s.bin_imm(BinOp::Add, here, 1);
                s.put(relative, behind);
                s.b.jump(go_on, &[]);
                s.b.switch_to(go_on);
            }
            s.b.jump(walk.next, &[]);
            s.b.switch_to(lost);
            s.put_imm(failed, 1);
            s.b.jump(walk.done, &[]);
        });
        self.missing_if(failed, missing);
    }

    /// The address of a byte of a text; the index is masked just before.
    fn byte(&mut self, text: Text, index: Value) -> Value {
        let index = self.bin_imm(BinOp::And, index, text.size as i32 - 1);
        let area = self.area_addr(text.area);
        let at = self.b.value(InstData::PtrAdd(area, index), Type::Ptr);
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
        let area = self.area_addr(text.area);
        let at = self.b.value(InstData::PtrAdd(area, start), Type::Ptr);
        let (bytes, literal) = (self.int(i64::from(longest)), self.string(literal));
        let order = self.helper(helpers::STRNCMP, &[at, bytes, literal]);
        self.leave_if(Cond::Eq, order, imm(0), yes);
        self.b.jump(other, &[]);
        self.b.switch_to(other);
    }

    /// Leaves to `yes` if the text, from its start, matches.
    fn matches_glob(&mut self, text: Text, start: Option<Cell>, pattern: &str, yes: Block) {
        let code = glob::encode(pattern);
        let mask = (code.len() + 1).next_power_of_two() as i32 - 1;
        let code = self.bytes_constant(&code, mask as u32 + 1);
        let (at, in_pattern, found) = (self.cell(), self.cell(), self.cell());
        // Where to go on behind the last `*` and the last `**`: in the pattern, 0 if there was none, and in the text.
        let (star, star_text, deep, deep_text) = (self.cell(), self.cell(), self.cell(), self.cell());
        match start {
            Some(start) => {
                let start = self.get(start);
                self.put(at, start);
            }
            None => self.put_imm(at, 0),
        }
        for cell in [in_pattern, found, star, deep] {
            self.put_imm(cell, 0);
        }
        self.walk_numbers(MAX_ROUNDS, |s, walk| {
            let index = s.get(in_pattern);
            let index = s.bin_imm(BinOp::And, index, mask);
            let base = s.bytes_address(code);
            let token = s.b.value(InstData::PtrAdd(base, index), Type::Ptr);
            let token = s.load(Size::B1, token, 0);
            let place = s.get(at);
            let byte = s.byte(text, place);
            let (one, any, literal) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
            let (advance, retry) = (s.b.create_block(), s.b.create_block());
            let (single, double) = (s.b.create_block(), s.b.create_block());
            s.leave_if(Cond::Eq, token, imm(Token::Star.code()), single);
            s.leave_if(Cond::Eq, token, imm(Token::DoubleStar.code()), double);
            s.b.branch(Cond::Eq, token, imm(Token::One.code()), one, literal);

            s.b.switch_to(literal);
            s.b.branch(Cond::Eq, token, Operand::Value(byte), any, retry);
            s.b.switch_to(any);
            // Both ended together.
            let ended = s.b.create_block();
            s.b.branch(Cond::Eq, byte, imm(0), ended, advance);
            s.b.switch_to(ended);
            s.put_imm(found, 1);
            s.b.jump(walk.done, &[]);
            s.b.switch_to(one);
            s.leave_if(Cond::Eq, byte, imm(0), retry);
            s.b.branch(Cond::Eq, byte, imm(i64::from(b'/')), retry, advance);
            s.b.switch_to(advance);
            s.bump(at);
            s.bump(in_pattern);
            s.b.jump(walk.next, &[]);

            for (block, pattern_cell, text_cell) in [(single, star, star_text), (double, deep, deep_text)] {
                s.b.switch_to(block);
                s.bump(in_pattern);
                let (behind, here) = (s.get(in_pattern), s.get(at));
                s.put(pattern_cell, behind);
                s.put(text_cell, here);
                if pattern_cell == deep {
                    s.put_imm(star, 0);
                }
                s.b.jump(walk.next, &[]);
            }

            // The last star takes one byte more.
            s.b.switch_to(retry);
            let (wider, deeper) = (s.b.create_block(), s.b.create_block());
            let behind = s.get(star);
            s.leave_if(Cond::Eq, behind, imm(0), deeper);
            let place = s.get(star_text);
            let byte = s.byte(text, place);
            s.leave_if(Cond::Eq, byte, imm(0), deeper);
            s.b.branch(Cond::Eq, byte, imm(i64::from(b'/')), deeper, wider);
            s.b.switch_to(wider);
            s.retry(star, star_text, in_pattern, at);
            s.b.jump(walk.next, &[]);
            s.b.switch_to(deeper);
            let behind = s.get(deep);
            s.leave_if(Cond::Eq, behind, imm(0), walk.done);
            let place = s.get(deep_text);
            let byte = s.byte(text, place);
            s.leave_if(Cond::Eq, byte, imm(0), walk.done);
            s.put_imm(star, 0);
            s.retry(deep, deep_text, in_pattern, at);
            s.b.jump(walk.next, &[]);
        });
        let found = self.get(found);
        self.leave_if(Cond::Ne, found, imm(0), yes);
    }

    fn retry(&mut self, pattern_cell: Cell, text_cell: Cell, in_pattern: Cell, at: Cell) {
        self.bump(text_cell);
        let (behind, here) = (self.get(pattern_cell), self.get(text_cell));
        self.put(in_pattern, behind);
        self.put(at, here);
    }
}

/// Id of the root cgroup: the inode number of the mount (`kernfs_create_root()`, fs/kernfs/dir.c, 6.12).
const ROOT_ID: i64 = 1;

/// Bytes kept of a text: a power of two.
pub(in crate::lower) fn text_size(recipe: Recipe) -> u32 {
    match recipe {
        Recipe::Comm => TASK_COMM_LEN as u32,
        Recipe::Path => PATH_SIZE,
        _ => NAME_SIZE,
    }
}
