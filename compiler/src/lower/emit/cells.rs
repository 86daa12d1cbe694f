//! The globals of a policy: counters, scratch, the list of cgroups to kill, strings.
//!
//! Each is a section of its own, and so a map of one element. One scratch value is safe without a lock:
//! policies run with the kernel's `oom_lock` held, one at a time on the machine.

use std::collections::HashMap;

use oomc_abi::target::{Event, Row, Target};
use oomc_abi::{maps, request};

use super::Emit;
use crate::hir::Policy;
use crate::ir::{BinOp, Function, Global, GlobalData, InstData, Operand, Size, Type, Value};

/// Counters of a policy, in the order of the map; read by `oomc status`.
/// `audited` are the events at which audit mode would have acted.
const COUNTERS: &[&str] = &["invocations", "kills", "raises", "waits", "deferred", "lost", "audited"];

/// Where cells begin: the record of the present event stands before them.
const DRAFT: u32 = super::record::DRAFT_BYTES as u32;

/// Marks a [`Cell`] of [`Globals::local`].
const LOCAL: u32 = 1 << 31;

/// An 8-byte cell of the scratch value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::lower) struct Cell(pub(in crate::lower) u32);

/// Where a prefetched field lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Fetched {
    /// The number, or the first of the bytes of a string.
    pub(in crate::lower) value: Cell,
    /// Not 0: the value is missing.
    pub(in crate::lower) missing: Option<Cell>,
    /// Of a path: where the part begins that is relative to the attached cgroup.
    pub(in crate::lower) relative: Option<Cell>,
}

/// The globals of the function being lowered.
pub(in crate::lower) struct Globals {
    stats: Global,
    /// Mode and params.
    pub(in crate::lower) config: Global,
    /// Where it goes.
    pub(in crate::lower) records: super::record::Maps,
    /// The record of the present event, and cells behind it: one global, whose address is kept at hand.
    pub(in crate::lower) scratch: Global,
    scratch_size: u32,
    /// Scratch that each kill of a large policy uses anew, from the start: so kills of one kind use the same
    /// cells, and can share code.
    local: Option<Global>,
    local_size: u32,
    /// Where the next cell lies while such a kill is lowered.
    pub(super) local_next: Option<u32>,
    pub(super) strings: Option<Global>,
    pub(super) string_bytes: Vec<u8>,
    pub(super) string_offsets: HashMap<String, u32>,
    /// The boot clock at the event's start, in nanoseconds.
    pub(in crate::lower) now: Cell,
    /// The machine's memory in bytes; 0 when unknown.
    pub(in crate::lower) total_memory: Cell,
    /// Question and answer of a program that user space asks.
    pub(in crate::lower) request: Option<Global>,
    /// Of such a program, what the event's domain may use, in pages.
    pub(in crate::lower) total_pages: Cell,
    /// Of such a program, the number of the decision that the record belongs to.
    pub(in crate::lower) decision: Cell,
    /// Names that differ between targets.
    target: &'static Row,
}

impl Globals {
    /// What programs of all targets share, the first one makes.
    pub(in crate::lower) fn new(func: &mut Function, policy: &Policy, target: Target) -> Self {
        let target = target.row();
        let request = (target.event == Event::Question).then(|| {
            let words = vec![0; request::BYTES as usize];
            shared(func, bytes(maps::REQUEST, &format!(".bss.{}", maps::REQUEST), words))
        });
        let stats = shared(
            func,
            GlobalData {
                name: maps::STATS.into(),
                section: format!(".bss.{}", maps::STATS),
                members: COUNTERS.iter().map(|name| (*name).into()).collect(),
                data: vec![0; COUNTERS.len() * 8],
                read_only: false,
            },
        );
        let config = shared(func, super::config::global(policy));
        let scratch = shared(func, bytes(target.scratch, &format!(".bss.{}", target.scratch), Vec::new()));
        Self {
            stats,
            config,
            records: super::record::Maps::new(func),
            scratch,
            scratch_size: DRAFT + if request.is_some() { 32 } else { 16 },
            local: None,
            local_size: 0,
            local_next: None,
            strings: None,
            string_bytes: Vec::new(),
            string_offsets: HashMap::new(),
            now: Cell(DRAFT),
            total_memory: Cell(DRAFT + 8),
            request,
            total_pages: Cell(DRAFT + 16),
            decision: Cell(DRAFT + 24),
            target,
        }
    }

    /// Gives the globals their final sizes.
    pub(in crate::lower) fn finish(self, func: &mut Function) {
        if let Some(scratch) = func.refs_mut().globals.get_mut(self.scratch) {
            scratch.data = vec![0; self.scratch_size as usize];
        }
        if let Some(local) = self.local.and_then(|local| func.refs_mut().globals.get_mut(local)) {
            local.data = vec![0; self.local_size as usize];
        }
        if let Some(strings) = self.strings.and_then(|strings| func.refs_mut().globals.get_mut(strings)) {
            strings.data = self.string_bytes;
        }
    }
}

/// A global that has been made, by its name, or a new one.
fn shared(func: &mut Function, data: GlobalData) -> Global {
    let known = func.refs.globals.iter().find(|(_, known)| known.name == data.name);
    match known.map(|(global, _)| global) {
        Some(global) => global,
        None => func.refs_mut().globals.push(data),
    }
}

pub(in crate::lower) fn bytes(name: &str, section: &str, data: Vec<u8>) -> GlobalData {
    GlobalData { name: name.into(), section: section.into(), members: Vec::new(), data, read_only: false }
}

impl Emit<'_> {
    /// A new cell.
    pub(in crate::lower) fn cell(&mut self) -> Cell {
        self.area(8)
    }

    /// New bytes of the scratch value, aligned to 8.
    pub(in crate::lower) fn area(&mut self, size: u32) -> Cell {
        if let Some(next) = &mut self.globals.local_next {
            let at = *next;
            *next += size.next_multiple_of(8);
            self.globals.local_size = self.globals.local_size.max(*next);
            return Cell(at | LOCAL);
        }
        let at = self.globals.scratch_size;
        self.globals.scratch_size += size.next_multiple_of(8);
        Cell(at)
    }

    /// A zeroed global of its own.
    pub(in crate::lower) fn zeroed(&mut self, name: &str, size: usize) -> Global {
        self.b.func.refs_mut().globals.push(bytes(name, &format!(".bss.{name}"), vec![0; size]))
    }

    /// From here to [`Self::close_local`], cells are those of the part that every kill uses anew.
    pub(in crate::lower) fn open_local(&mut self) {
        if self.globals.local.is_none() {
            let name = self.globals.target.local;
            let local = bytes(name, &format!(".bss.{name}"), Vec::new());
            self.globals.local = Some(self.b.func.refs_mut().globals.push(local));
        }
        self.globals.local_next = Some(0);
    }

    /// Ends what [`Self::open_local`] began; without it, does nothing.
    pub(in crate::lower) fn close_local(&mut self) {
        self.globals.local_next = None;
    }

    /// Where the cells of the present kill end.
    pub(in crate::lower) fn local_end(&self) -> u32 {
        self.globals.local_next.unwrap_or_default()
    }

    /// The next cells of the present kill come behind those of a function that it shares.
    pub(in crate::lower) fn go_on_behind(&mut self, end: u32) {
        self.globals.local_next = self.globals.local_next.map(|next| next.max(end));
    }

    /// The global that a cell lies in, and the cell's offset.
    fn scratch(&mut self, cell: Cell) -> (Value, i32) {
        let local = self.globals.local.filter(|_| cell.0 & LOCAL != 0);
        let global = local.unwrap_or(self.globals.scratch);
        let ptr = self.b.value(InstData::GlobalAddr { global, offset: 0 }, Type::Ptr);
        (ptr, (cell.0 & !LOCAL) as i32)
    }

    /// The address of scratch bytes, for a helper that writes or reads them.
    pub(in crate::lower) fn area_addr(&mut self, area: Cell) -> Value {
        let local = self.globals.local.filter(|_| area.0 & LOCAL != 0);
        let global = local.unwrap_or(self.globals.scratch);
        self.b.value(InstData::GlobalAddr { global, offset: area.0 & !LOCAL }, Type::Ptr)
    }

    pub(in crate::lower) fn get(&mut self, cell: Cell) -> Value {
        let (ptr, offset) = self.scratch(cell);
        self.load(Size::B8, ptr, offset)
    }

    pub(in crate::lower) fn put(&mut self, cell: Cell, value: Value) {
        self.store(cell, Operand::Value(value));
    }

    pub(in crate::lower) fn put_imm(&mut self, cell: Cell, value: i32) {
        self.store(cell, Operand::Imm(value));
    }

    fn store(&mut self, cell: Cell, value: Operand) {
        let (ptr, offset) = self.scratch(cell);
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset, value });
    }

    /// Adds one to a cell.
    pub(in crate::lower) fn bump(&mut self, cell: Cell) {
        let (ptr, offset) = self.scratch(cell);
        self.add_one(ptr, offset);
    }

    /// Adds one to a counter of the policy.
    pub(in crate::lower) fn count(&mut self, counter: &str) {
        let Some(at) = COUNTERS.iter().position(|name| *name == counter) else { return };
        let ptr = self.b.value(InstData::GlobalAddr { global: self.globals.stats, offset: 0 }, Type::Ptr);
        self.add_one(ptr, at as i32 * 8);
    }

    /// Adds to a counter of the policy.
    pub(in crate::lower) fn count_more(&mut self, counter: &str, more: Value) {
        let Some(at) = COUNTERS.iter().position(|name| *name == counter) else { return };
        let ptr = self.b.value(InstData::GlobalAddr { global: self.globals.stats, offset: 0 }, Type::Ptr);
        let old = self.load(Size::B8, ptr, at as i32 * 8);
        let new = self.bin(BinOp::Add, old, more);
        self.b.effect(InstData::Store {
            size: Size::B8,
            ptr,
            offset: at as i32 * 8,
            value: Operand::Value(new),
        });
    }

    fn add_one(&mut self, ptr: Value, offset: i32) {
        let old = self.load(Size::B8, ptr, offset);
        let new = self.bin_imm(BinOp::Add, old, 1);
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset, value: Operand::Value(new) });
    }
}
