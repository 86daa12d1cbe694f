//! The globals of a policy: counters, scratch, the list of cgroups to kill, strings.
//!
//! Each is a section of its own, and so a map of one element. One scratch value is safe without a lock:
//! policies run with the kernel's `oom_lock` held, one at a time on the machine.

use std::collections::HashMap;

use oomc_abi::fields::{FieldId, Recipe};
use oomc_abi::maps;

use super::Lower;
use crate::hir::{ActionKind, ExprKind, Policy, Unit};
use crate::ir::{BinOp, Function, Global, GlobalData, InstData, Operand, Size, Type, Value};

/// Counters of a policy, in the order of the map; read by `oomc status`.
const COUNTERS: &[&str] = &["invocations", "kills", "raises", "waits", "deferred", "lost"];

/// Where cells begin: the record of the present event stands before them.
const DRAFT: u32 = super::record::DRAFT_BYTES as u32;

/// Marks a [`Cell`] of [`Globals::local`].
const LOCAL: u32 = 1 << 31;

/// An 8-byte cell of the scratch value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell(pub(super) u32);

/// Where a prefetched field lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched {
    /// The number, or the first of the bytes of a string.
    pub(super) value: Cell,
    /// Not 0: the value is missing.
    pub(super) missing: Option<Cell>,
    /// Of a path: where the part begins that is relative to the attached cgroup.
    pub(super) relative: Option<Cell>,
}

/// The globals of the function being lowered.
pub(super) struct Globals {
    stats: Global,
    /// Mode and params.
    pub(super) config: Global,
    /// Where it goes.
    pub(super) records: super::record::Maps,
    /// Labels and counters.
    pub(super) state: super::state::Maps,
    /// The record of the present event, and cells behind it: one global, whose address is kept at hand.
    pub(super) scratch: Global,
    scratch_size: u32,
    /// Scratch that each kill of a large policy uses anew, from the start: so kills of one kind use the same
    /// cells, and can share code.
    local: Option<Global>,
    local_size: u32,
    /// Where the next cell lies while such a kill is lowered.
    local_next: Option<u32>,
    /// Where a path is put together.
    path: Option<Cell>,
    strings: Option<Global>,
    string_bytes: Vec<u8>,
    string_offsets: HashMap<String, u32>,
    /// The boot clock at the event's start, in nanoseconds.
    pub(super) now: Cell,
    /// The machine's memory in bytes; 0 when unknown.
    pub(super) total_memory: Cell,
}

impl Globals {
    pub(super) fn new(func: &mut Function, policy: &Policy) -> Self {
        let stats = func.refs_mut().globals.push(GlobalData {
            name: maps::STATS.into(),
            section: format!(".bss.{}", maps::STATS),
            members: COUNTERS.iter().map(|name| (*name).into()).collect(),
            data: vec![0; COUNTERS.len() * 8],
            read_only: false,
        });
        let config = func.refs_mut().globals.push(super::config::global(policy));
        let scratch = func.refs_mut().globals.push(bytes("scratch", ".bss.scratch", Vec::new()));
        Self {
            stats,
            config,
            records: super::record::Maps::new(func),
            state: super::state::Maps::new(func, policy),
            scratch,
            scratch_size: DRAFT + 16,
            local: None,
            local_size: 0,
            local_next: None,
            path: None,
            strings: None,
            string_bytes: Vec::new(),
            string_offsets: HashMap::new(),
            now: Cell(DRAFT),
            total_memory: Cell(DRAFT + 8),
        }
    }

    /// A zeroed global of its own.
    pub(super) fn bytes(&self, func: &mut Function, name: &str, size: usize) -> Global {
        func.refs_mut().globals.push(bytes(name, &format!(".bss.{name}"), vec![0; size]))
    }

    /// Gives the globals their final sizes.
    pub(super) fn finish(self, func: &mut Function) {
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

pub(super) fn bytes(name: &str, section: &str, data: Vec<u8>) -> GlobalData {
    GlobalData { name: name.into(), section: section.into(), members: Vec::new(), data, read_only: false }
}

impl Lower<'_> {
    /// A new cell.
    pub(super) fn cell(&mut self) -> Cell {
        self.area(8)
    }

    /// New bytes of the scratch value, aligned to 8.
    pub(super) fn area(&mut self, size: u32) -> Cell {
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

    /// New cells that are meant beyond the kill being lowered.
    pub(super) fn lasting<T>(&mut self, cells: impl FnOnce(&mut Self) -> T) -> T {
        let local = self.globals.local_next.take();
        let result = cells(self);
        self.globals.local_next = local;
        result
    }

    /// From here to [`Self::close_local`], cells are those of the part that every kill uses anew.
    pub(super) fn open_local(&mut self) {
        if self.globals.local.is_none() {
            let local = bytes("local", ".bss.local", Vec::new());
            self.globals.local = Some(self.b.func.refs_mut().globals.push(local));
        }
        self.globals.local_next = Some(0);
    }

    /// Ends what [`Self::open_local`] began; without it, does nothing.
    pub(super) fn close_local(&mut self) {
        self.globals.local_next = None;
    }

    /// Where the cells of the present kill end.
    pub(super) fn local_end(&self) -> u32 {
        self.globals.local_next.unwrap_or_default()
    }

    /// The next cells of the present kill come behind those of a function that it shares.
    pub(super) fn go_on_behind(&mut self, end: u32) {
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
    pub(super) fn area_addr(&mut self, area: Cell) -> Value {
        let local = self.globals.local.filter(|_| area.0 & LOCAL != 0);
        let global = local.unwrap_or(self.globals.scratch);
        self.b.value(InstData::GlobalAddr { global, offset: area.0 & !LOCAL }, Type::Ptr)
    }

    pub(super) fn get(&mut self, cell: Cell) -> Value {
        let (ptr, offset) = self.scratch(cell);
        self.load(Size::B8, ptr, offset)
    }

    pub(super) fn put(&mut self, cell: Cell, value: Value) {
        self.store(cell, Operand::Value(value));
    }

    pub(super) fn put_imm(&mut self, cell: Cell, value: i32) {
        self.store(cell, Operand::Imm(value));
    }

    fn store(&mut self, cell: Cell, value: Operand) {
        let (ptr, offset) = self.scratch(cell);
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset, value });
    }

    /// Adds one to a cell.
    pub(super) fn bump(&mut self, cell: Cell) {
        let (ptr, offset) = self.scratch(cell);
        self.add_one(ptr, offset);
    }

    /// Adds one to a counter of the policy.
    pub(super) fn count(&mut self, counter: &str) {
        let Some(at) = COUNTERS.iter().position(|name| *name == counter) else { return };
        let ptr = self.b.value(InstData::GlobalAddr { global: self.globals.stats, offset: 0 }, Type::Ptr);
        self.add_one(ptr, at as i32 * 8);
    }

    fn add_one(&mut self, ptr: Value, offset: i32) {
        let old = self.load(Size::B8, ptr, offset);
        let new = self.bin_imm(BinOp::Add, old, 1);
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset, value: Operand::Value(new) });
    }

    /// Bytes for a path that is used before another one is read.
    pub(super) fn path_area(&mut self) -> Cell {
        let size = super::text::text_size(Recipe::Path);
        if let Some(area) = self.globals.path {
            return area;
        }
        let area = self.lasting(|s| s.area(size));
        self.globals.path = Some(area);
        area
    }

    /// The global of constant strings.
    fn strings(&mut self) -> Global {
        match self.globals.strings {
            Some(global) => global,
            None => {
                let data = GlobalData { read_only: true, ..bytes("strings", ".rodata", Vec::new()) };
                let global = self.b.func.refs_mut().globals.push(data);
                self.globals.strings = Some(global);
                global
            }
        }
    }

    /// Constant bytes, filled up with zeros to a size; [`Self::bytes_address`] finds them.
    pub(super) fn bytes_constant(&mut self, text: &[u8], size: u32) -> u32 {
        let offset = self.globals.string_bytes.len().next_multiple_of(8) as u32;
        self.strings();
        self.globals.string_bytes.resize(offset as usize, 0);
        self.globals.string_bytes.extend_from_slice(text);
        self.globals.string_bytes.resize((offset + size) as usize, 0);
        offset
    }

    /// The address of constant bytes.
    pub(super) fn bytes_address(&mut self, offset: u32) -> Value {
        let global = self.strings();
        self.b.value(InstData::GlobalAddr { global, offset }, Type::Ptr)
    }

    /// The address of a constant string. A kfunc's `__str` argument has to lie in a frozen, read-only map.
    pub(super) fn string(&mut self, text: &str) -> Value {
        let global = self.strings();
        let offset = match self.globals.string_offsets.get(text) {
            Some(offset) => *offset,
            None => {
                let offset = self.globals.string_bytes.len() as u32;
                self.globals.string_bytes.extend_from_slice(text.as_bytes());
                self.globals.string_bytes.push(0);
                self.globals.string_offsets.insert(text.to_owned(), offset);
                offset
            }
        };
        self.b.value(InstData::GlobalAddr { global, offset }, Type::Ptr)
    }
}

/// What the prologue has to prepare, found by looking through the whole policy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// A statistic is read.
    pub(super) statistics: bool,
    /// The machine's memory is needed.
    pub(super) total_memory: bool,
}

impl Facts {
    pub(super) fn of(policy: &Policy) -> Self {
        let mut facts = Self::default();
        for expr in policy.exprs.values() {
            if let ExprKind::Field(_, field) = &expr.kind {
                facts.field(*field);
            }
        }
        // Ties between cgroups are broken by a statistic.
        facts.statistics |= !policy.picks.is_empty();
        for action in policy.actions.values() {
            match &action.kind {
                ActionKind::Kill(kill) => {
                    // Ties between cgroups are broken by a statistic.
                    facts.statistics |= kill.selection.unit == Unit::Cgroup;
                }
                ActionKind::RaiseLimit { .. } => facts.total_memory = true,
                _ => {}
            }
        }
        facts
    }

    fn field(&mut self, field: FieldId) {
        match field.row().recipe {
            Recipe::Stat(_) | Recipe::UsageLess(_) | Recipe::VmEvents(_) => self.statistics = true,
            Recipe::Limit => self.total_memory = true,
            _ => {}
        }
    }
}
