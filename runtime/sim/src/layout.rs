//! Lays a machine out in memory, as a kernel's types say.
//!
//! Takes a [`Machine`] and fills the members that [`oomc_abi::model`] lists, and those that the machine names itself.
//! What a machine has is turned into what the kernel keeps here, and only here.

use std::collections::HashMap;

use oomc_abi::consts::{CSS_ONLINE, MMF_OOM_SKIP, PF_EXITING, PF_KTHREAD, SIGNAL_GROUP_EXIT, TASK_COMM_LEN};
use oomc_abi::members;
use oomc_abi::model::{self, Class, Holds, Place};
use oomc_abi::target::{NO_ENTRY, Unit};

use crate::kernel::{Filled, Kernel, Lacking};
use crate::machine::{Amounts, CgroupIndex, Event, Life, Machine, Process, ProcessIndex, ROOT};
use crate::memory::{Memory, Region, RegionId};
use crate::policy::{offset_of_variable, variable_bytes};
use crate::tree::{Tree, get};

/// The number of the first thread that is no leader: above all processes, so that no number is there twice.
const FIRST_THREAD: i64 = 1 << 22;

/// A machine in memory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) memory: Memory,
    /// Of each process, the number of its second thread; its leader has the process's own number.
    pub(crate) threads: Vec<usize>,
    /// All threads.
    tasks: usize,
    /// The process whose child each is; behind them those of the two that every machine has.
    parents: Vec<ProcessIndex>,
    /// How deep the deepest pid namespace of a process is.
    pid_levels: usize,
    /// Of each text of a cgroup, where it lies.
    names: Vec<u64>,
    /// Processes whose address space is another's: that one first.
    sharers: Vec<(ProcessIndex, ProcessIndex)>,
    /// Members that the machine names itself.
    extra: Vec<Extra>,
    sets: Sets,
    /// Of each cgroup, a process whose leader has exited.
    exited: HashMap<CgroupIndex, ProcessIndex>,
}

/// Where the lists lie by which a cgroup knows the sets of its tasks. The model has one set for each cgroup with
/// processes: that of its first process.
#[derive(Clone, Copy, Debug)]
struct Sets {
    /// The list, in the cgroup.
    list: u32,
    /// The place in the list, in the set.
    node: u32,
    /// The tasks that have exited, in the set.
    dying: u32,
}

impl Sets {
    fn new(kernel: &Kernel) -> Self {
        let offset = |holds| kernel.filled.iter().find(|row| row.holds == holds).map_or(0, |row| row.offset);
        Self {
            list: offset(Holds::FirstSet),
            node: offset(Holds::EndOfSets),
            dying: offset(Holds::FirstDying),
        }
    }
}

/// A member of one object that the machine names itself.
#[derive(Clone, Debug)]
struct Extra {
    class: Class,
    /// A process or a cgroup.
    object: usize,
    offset: u32,
    size: u32,
    /// Of a bit-field: how far its lowest bit is from the lowest of the load, and how many it has.
    bits: Option<(u32, u32)>,
    value: i64,
}

/// Which object of a class is filled.
#[derive(Clone, Copy)]
enum Object {
    /// A thread: its process, and whether it is the leader.
    Thread(ProcessIndex, usize),
    Process(ProcessIndex),
    Cgroup(CgroupIndex),
    /// There is one.
    Only,
}

impl Layout {
    pub(crate) fn new(kernel: &Kernel, machine: &Machine, tree: &Tree) -> Result<Self, Lacking> {
        let extra = extra(kernel, machine)?;
        let mut memory = Memory::default();
        for class in Class::ALL {
            let filled = kernel.filled.iter().filter(|row| row.class == *class && known(machine, row));
            let named = extra.iter().filter(|row| row.class == *class);
            let members = filled.map(|row| (row.offset, row.size));
            let members = members.chain(named.map(|row| (row.offset, row.size)));
            let region = Region::sparse(u64::from(kernel.size(*class)), members);
            *memory.region_mut(RegionId::of_class(*class)) = region;
        }
        let (processes, cgroups) = (machine.processes.len(), machine.cgroups.len());
        let mut threads = Vec::with_capacity(processes);
        let mut tasks = processes;
        for process in &machine.processes {
            threads.push(tasks);
            tasks += (process.threads.max(1) - 1) as usize;
        }
        for class in Class::ALL {
            let count = match class {
                Class::Task | Class::Pid => tasks + Machine::OUTSIDE,
                Class::Signal | Class::Mm | Class::Cred | Class::CssSet => processes + Machine::OUTSIDE,
                Class::Memcg | Class::Statistics | Class::Cgroup | Class::Node | Class::Psi => cgroups,
                Class::Css | Class::Subsys | Class::Event | Class::Link => 1,
            };
            memory.region_mut(RegionId::of_class(*class)).resize(count);
        }
        let mut texts = Vec::new();
        let mut names = Vec::with_capacity(cgroups);
        for cgroup in &machine.cgroups {
            names.push(texts.len() as u64);
            texts.extend(cgroup.name.bytes());
            texts.push(0);
        }
        *memory.region_mut(RegionId::TEXTS) = Region::whole(texts.len() as u64, 1, false);
        memory.fill(RegionId::TEXTS, 0, 0, &texts);
        *memory.region_mut(RegionId::VARIABLES) = Region::whole(variable_bytes().into(), 1, false);
        for (variable, index, pages) in variables(kernel, machine) {
            if let Some(offset) = offset_of_variable(variable) {
                memory.fill(RegionId::VARIABLES, 0, offset + index * 8, &pages.to_le_bytes());
            }
        }
        for table in [members::STATS_INDEX, members::EVENTS_INDEX] {
            if let Some(offset) = offset_of_variable(table) {
                let none = [NO_ENTRY as u8; members::TABLE_BYTES as usize];
                memory.fill(RegionId::VARIABLES, 0, offset, &none);
                for (_, at, entry) in kernel.tables.iter().filter(|(of, ..)| *of == table) {
                    memory.fill(RegionId::VARIABLES, 0, offset + at, &[*entry]);
                }
            }
        }
        *memory.region_mut(RegionId::CONTEXT) = Region::whole(16, 1, false);

        let sharers = (0..processes).filter_map(|at| Some((machine.process(at).shares_with?, at))).collect();
        let sets = Sets::new(kernel);
        let has_exited = |one: &Process| one.leader_gone || matches!(one.life, Life::Gone { .. });
        let exited = (0..processes).filter(|at| has_exited(machine.process(*at)));
        let exited = exited.map(|at| (machine.home(at), at)).collect();
        let parents = parents(machine);
        let pid_levels = pid_levels(machine);
        let mut layout =
            Self { memory, threads, tasks, parents, pid_levels, names, sharers, extra, sets, exited };
        for index in 0..cgroups {
            layout.fill_cgroup(kernel, machine, tree, index);
        }
        for index in 0..processes + Machine::OUTSIDE {
            layout.fill_process(kernel, machine, index);
        }
        for row in kernel.filled.iter().filter(|row| matches!(row.class, Class::Css | Class::Subsys)) {
            layout.fill(row, 0, value(&layout, machine, tree, row, Object::Only, &Event::default()));
        }
        Ok(layout)
    }

    /// Writes down how a process is now.
    pub(crate) fn fill_process(&mut self, kernel: &Kernel, machine: &Machine, index: ProcessIndex) {
        let no_tree = Tree::default();
        let event = Event::default();
        for row in &kernel.filled {
            if matches!(row.holds, Holds::PidAt(level) if level > self.pid_levels) {
                continue;
            }
            match row.class {
                Class::Task | Class::Pid => {
                    let others = (machine.process(index).threads.max(1) - 1) as usize;
                    for thread in 0..=others {
                        let object = self.task(index, thread);
                        let subject = Object::Thread(index, thread);
                        self.fill(row, object, value(self, machine, &no_tree, row, subject, &event));
                    }
                }
                // A shared address space belongs to one of them.
                Class::Mm if machine.process(index).shares_with.is_some() => {}
                Class::Signal | Class::Mm | Class::Cred | Class::CssSet => {
                    let subject = Object::Process(index);
                    self.fill(row, index, value(self, machine, &no_tree, row, subject, &event));
                }
                _ => {}
            }
        }
        // Of a thread's objects, the leader's: it has the number of the process.
        self.fill_extra(|class| Class::OF_A_PROCESS.contains(&class).then_some(index));
    }

    /// Writes down how a cgroup is now.
    pub(crate) fn fill_cgroup(
        &mut self,
        kernel: &Kernel,
        machine: &Machine,
        tree: &Tree,
        index: CgroupIndex,
    ) {
        for row in &kernel.filled {
            if Class::OF_A_CGROUP.contains(&row.class) {
                let subject = Object::Cgroup(index);
                self.fill(row, index, value(self, machine, tree, row, subject, &Event::default()));
            }
        }
        self.fill_extra(|class| Class::OF_A_CGROUP.contains(&class).then_some(index));
    }

    /// Writes down what happens.
    pub(crate) fn fill_event(&mut self, kernel: &Kernel, machine: &Machine, event: &Event) {
        for row in &kernel.filled {
            if matches!(row.class, Class::Event | Class::Link) {
                self.fill(row, 0, value(self, machine, &Tree::default(), row, Object::Only, event));
            }
        }
        let second = match kernel.second {
            Class::Cgroup => self.address(Class::Cgroup, event.attached),
            class => self.address(class, 0),
        };
        let context = [self.address(Class::Event, 0), second].map(u64::to_le_bytes).concat();
        self.memory.fill(RegionId::CONTEXT, 0, 0, &context);
    }

    fn fill(&mut self, row: &Filled, object: usize, value: Filling) {
        let place = RegionId::of_class(row.class);
        match value {
            Filling::Number(number) => {
                let bytes = number.to_le_bytes();
                let bytes = bytes.get(..(row.size as usize).min(8)).unwrap_or_default();
                self.memory.fill(place, object, row.offset, bytes);
            }
            Filling::Text(text) => self.memory.fill(place, object, row.offset, &text),
        }
    }

    fn fill_extra(&mut self, object_of: impl Fn(Class) -> Option<usize>) {
        for row in &self.extra {
            if object_of(row.class) != Some(row.object) {
                continue;
            }
            let value = match row.bits {
                Some((shift, width)) => (row.value as u64 & (u64::MAX >> (64 - width))) << shift,
                None => row.value as u64,
            };
            let bytes = value.to_le_bytes();
            let bytes = bytes.get(..(row.size as usize).min(8)).unwrap_or_default();
            self.memory.fill(RegionId::of_class(row.class), row.object, row.offset, bytes);
        }
    }

    /// The number of a thread's task: 0 is the leader.
    pub(crate) fn task(&self, process: ProcessIndex, thread: usize) -> usize {
        match self.threads.get(process) {
            None => self.tasks + (process - self.threads.len()),
            Some(_) if thread == 0 => process,
            Some(first) => first + thread - 1,
        }
    }

    /// The address of an object.
    pub(crate) fn address(&self, class: Class, object: usize) -> u64 {
        self.memory.address(RegionId::of_class(class), object, 0)
    }

    /// The task of a thread that is no leader, by its number.
    pub(crate) fn thread_of(&self, number: i64) -> Option<usize> {
        let task = usize::try_from(number - FIRST_THREAD).ok()?;
        (task >= self.threads.len() && task < self.tasks).then_some(task)
    }

    /// The process that a thread belongs to.
    pub(crate) fn process_of(&self, task: usize) -> ProcessIndex {
        if task < self.threads.len() {
            return task;
        }
        if task >= self.tasks {
            return self.threads.len() + (task - self.tasks);
        }
        // Threads lie in the order of their processes; of several that begin here, the last one has it.
        self.threads.partition_point(|first| *first <= task).saturating_sub(1)
    }
}

/// Whether the machine says what a member holds.
fn known(machine: &Machine, row: &Filled) -> bool {
    match row.holds {
        Holds::Parent | Holds::To(Class::Pid) | Holds::PidLevel => !machine.unknown.parents,
        // Without an `oom_score_adj` a score does not depend on it.
        Holds::TotalPages => !machine.scores_are_unknown(),
        Holds::PidAt(level) => !machine.unknown.parents && level <= pid_levels(machine),
        _ => true,
    }
}

/// How deep the deepest pid namespace of a process is: 0 is the machine's own.
fn pid_levels(machine: &Machine) -> usize {
    machine.processes.iter().map(|one| one.ns_pids.len()).max().unwrap_or(0)
}

/// The process whose child each is.
fn parents(machine: &Machine) -> Vec<ProcessIndex> {
    let count = machine.processes.len() + Machine::OUTSIDE;
    // Of two with one id, the first: as the machine itself looks for it.
    let places: HashMap<i64, ProcessIndex> =
        (0..count).rev().map(|at| (machine.process(at).pid, at)).collect();
    let place = |pid: i64| places.get(&pid).copied();
    (0..count).map(|at| machine.parent_among(at, &place)).collect()
}

/// Members that the machine names itself.
fn extra(kernel: &Kernel, machine: &Machine) -> Result<Vec<Extra>, Lacking> {
    let mut found = Vec::new();
    for (object, process) in machine.processes.iter().enumerate() {
        for (path, value) in &process.members {
            found.push(named(kernel, Class::Task, path, object, *value)?);
        }
    }
    for (object, cgroup) in machine.cgroups.iter().enumerate() {
        for (path, value) in &cgroup.members {
            found.push(named(kernel, Class::Memcg, path, object, *value)?);
        }
    }
    Ok(found)
}

fn named(kernel: &Kernel, from: Class, path: &str, object: usize, value: i64) -> Result<Extra, Lacking> {
    let view = kernel.view();
    let Place { class, inside, .. } =
        model::own_place(view, from, path).map_err(|stray| Lacking(stray.to_string()))?;
    if let Some(bits) = view.bit_field(class.tag(), &inside) {
        let width = 64 - bits.right;
        let shift = bits.right - bits.left;
        let (offset, size) = (bits.offset, bits.size);
        return Ok(Extra { class, object, offset, size, bits: Some((shift, width)), value });
    }
    let member = view.lookup(class.tag(), &inside)?;
    Ok(Extra { class, object, offset: member.offset, size: member.size, bits: None, value })
}

/// What a member is filled with.
enum Filling {
    Number(u64),
    Text(Vec<u8>),
}

fn value(
    layout: &Layout,
    machine: &Machine,
    tree: &Tree,
    row: &Filled,
    object: Object,
    event: &Event,
) -> Filling {
    let number = match object {
        Object::Thread(process, thread) => {
            if row.holds == Holds::Comm {
                let mut text = machine.process(process).comm.clone().into_bytes();
                text.resize(TASK_COMM_LEN, 0);
                text.truncate(TASK_COMM_LEN - 1);
                return Filling::Text(text);
            }
            of_thread(layout, machine, row.holds, process, thread)
        }
        Object::Process(process) => of_process(layout, machine, row.holds, process),
        Object::Cgroup(cgroup) => of_cgroup(layout, machine, tree, row, cgroup),
        Object::Only => of_event(layout, row, event),
    };
    Filling::Number(number)
}

fn has_memory(process: &Process) -> bool {
    !process.kernel && !matches!(process.life, Life::Gone { .. })
}

fn of_thread(layout: &Layout, machine: &Machine, holds: Holds, index: ProcessIndex, thread: usize) -> u64 {
    let process = machine.process(index);
    let left = process.leader_gone && thread == 0;
    match holds {
        Holds::Pid => process.pid as u64,
        Holds::ThreadId if thread == 0 => process.pid as u64,
        Holds::ThreadId => {
            let first = layout.threads.get(index).copied().unwrap_or(0);
            FIRST_THREAD as u64 + (first + thread - 1) as u64
        }
        Holds::TaskFlags => {
            let exiting = left || matches!(process.life, Life::Gone { .. });
            let flags = if process.kernel { PF_KTHREAD } else { 0 } | if exiting { PF_EXITING } else { 0 };
            flags as u64
        }
        Holds::Start => process.start as u64,
        Holds::PidLevel => process.ns_pids.len() as u64,
        Holds::PidAt(0) => of_thread(layout, machine, Holds::ThreadId, index, thread),
        // What number another thread than the leader has in there, nobody says: as in the machine's own.
        Holds::PidAt(level) => match process.ns_pids.get(level - 1) {
            Some(number) if thread == 0 => *number as u64,
            Some(_) => of_thread(layout, machine, Holds::ThreadId, index, thread),
            None => 0,
        },
        Holds::Parent => {
            let parent = layout.parents.get(index).copied().unwrap_or(index);
            layout.address(Class::Task, layout.task(parent, 0))
        }
        Holds::To(Class::Pid) => layout.address(Class::Pid, layout.task(index, thread)),
        Holds::To(Class::Task) => layout.address(Class::Task, layout.task(index, 0)),
        Holds::To(Class::Mm) if !has_memory(process) || left => 0,
        Holds::To(Class::Mm) => layout.address(Class::Mm, process.shares_with.unwrap_or(index)),
        Holds::To(class) => layout.address(class, index),
        other => unfit(other),
    }
}

fn of_process(layout: &Layout, machine: &Machine, holds: Holds, index: ProcessIndex) -> u64 {
    let process = machine.process(index);
    let living = |process: &Process| match process.life {
        Life::Gone { .. } => 0,
        Life::Lives | Life::Dying { .. } => process.threads - i64::from(process.leader_gone),
    };
    let (dying, chosen, reaped) = match process.life {
        Life::Lives => (false, false, false),
        Life::Dying { chosen, reaped } | Life::Gone { chosen, reaped } => (true, chosen, reaped),
    };
    match holds {
        Holds::Adj => process.adj as u64,
        Holds::LiveThreads => living(process) as u64,
        Holds::Threads => process.threads as u64,
        Holds::SignalFlags => {
            if dying {
                SIGNAL_GROUP_EXIT as u64
            } else {
                0
            }
        }
        Holds::VictimMm if chosen => layout.address(Class::Mm, process.shares_with.unwrap_or(index)),
        Holds::VictimMm => 0,
        Holds::Nothing => 0,
        Holds::NoLimit => u64::MAX,
        Holds::FilePages => process.file as u64,
        Holds::AnonPages => process.anon as u64,
        Holds::SwapEntries => process.swap as u64,
        Holds::ShmemPages => process.shmem as u64,
        Holds::PgtableBytes => process.pgtables as u64,
        Holds::MmUsers => {
            let sharers = layout.sharers.iter().filter(|(owner, _)| *owner == index);
            let users = sharers.map(|(_, other)| machine.process(*other)).chain([process]);
            let threads = users.filter(|one| has_memory(one)).map(living);
            threads.sum::<i64>() as u64
        }
        Holds::MmFlags => u64::from(reaped) << MMF_OOM_SKIP,
        Holds::Uid => process.uid as u64,
        Holds::EndOfSets => layout.address(Class::Cgroup, machine.home(index)) + u64::from(layout.sets.list),
        Holds::FirstDying => {
            let exited = layout.exited.get(&machine.home(index));
            let own = || layout.address(Class::CssSet, index) + u64::from(layout.sets.dying);
            exited.map_or_else(own, |task| layout.address(Class::Task, *task))
        }
        Holds::To(Class::Cgroup) => layout.address(Class::Cgroup, process.cgroup),
        Holds::To(class) => layout.address(class, 0),
        other => unfit(other),
    }
}

fn of_cgroup(layout: &Layout, machine: &Machine, tree: &Tree, row: &Filled, index: CgroupIndex) -> u64 {
    let cgroup = machine.cgroup(index);
    let limit = |pages: Option<i64>| pages.unwrap_or(i64::MAX / machine.page) as u64;
    match row.holds {
        Holds::Above if row.class == Class::Node => {
            cgroup.parent.map_or(0, |parent| layout.address(row.class, parent))
        }
        Holds::Above => get(&tree.parent, index).map_or(0, |parent| layout.address(row.class, parent)),
        Holds::NameText => {
            layout.memory.address(RegionId::TEXTS, 0, layout.names.get(index).copied().unwrap_or(0))
        }
        Holds::Serial => cgroup.serial as u64,
        Holds::CssFlags => {
            if cgroup.removed {
                0
            } else {
                CSS_ONLINE as u64
            }
        }
        Holds::Usage => get(&tree.sums, index).charged as u64,
        Holds::SwapUsage => get(&tree.sums, index).swapped as u64,
        Holds::Max => limit(cgroup.max),
        Holds::High => limit(cgroup.high),
        Holds::SwapMax => limit(cgroup.swap_max),
        Holds::Low => cgroup.low as u64,
        Holds::Min => cgroup.min as u64,
        Holds::OomGroup => u64::from(cgroup.group),
        Holds::Level => get(&tree.level, index) as u64,
        Holds::FirstSet => match tree.members.get(index).and_then(|members| members.first()) {
            Some(first) => layout.address(Class::CssSet, *first) + u64::from(layout.sets.node),
            None => layout.address(Class::Cgroup, index) + u64::from(layout.sets.list),
        },
        Holds::Descendants => get(&tree.below, index).0 as u64,
        Holds::DyingDescendants => get(&tree.below, index).1 as u64,
        Holds::Id => cgroup.id as u64,
        Holds::Average(state, window) => {
            let average =
                cgroup.pressure.as_ref().and_then(|pressure| pressure.get(state)?.get(window).copied());
            average.unwrap_or(0) as u64
        }
        Holds::Counted(amount, unit) => {
            let sum = get(&tree.sums, index).get(amount);
            let count = match unit {
                Unit::One => sum,
                Unit::KiB => sum >> 10,
                Unit::Pages => sum / machine.page,
            };
            count as u64
        }
        Holds::Nothing => 0,
        // Children have the same controllers.
        Holds::ControllersBelow => {
            let mut children = machine.cgroups.iter().filter(|one| one.parent == Some(index));
            if children.any(|one| one.bare) { 0 } else { u64::MAX }
        }
        // Whoever was removed has lost it, and keeps what was charged.
        Holds::To(Class::Memcg) if cgroup.bare || cgroup.removed => 0,
        Holds::To(Class::Psi) if cgroup.pressure.is_none() => 0,
        Holds::To(class) => layout.address(class, index),
        other => unfit(other),
    }
}

fn of_event(layout: &Layout, row: &Filled, event: &Event) -> u64 {
    match row.holds {
        Holds::To(Class::Memcg) => event.cgroup.map_or(0, |cgroup| layout.address(Class::Memcg, cgroup)),
        Holds::To(Class::Cgroup) => layout.address(Class::Cgroup, event.attached),
        Holds::To(class) => layout.address(class, 0),
        Holds::Nothing => 0,
        Holds::Order => event.order as u64,
        Holds::TotalPages => event.total as u64,
        Holds::GfpMask => event.gfp_mask as u64,
        Holds::Constraint => event.constraint as u64,
        Holds::One => 1,
        other => unfit(other),
    }
}

/// A row of the table that stands at a class which has no such thing.
fn unfit(holds: Holds) -> u64 {
    unreachable!("{holds:?} is held by another class")
}

/// Words of the kernel's variables: the variable, the place in it, and how many pages; those that may be read.
fn variables(kernel: &Kernel, machine: &Machine) -> Vec<(&'static str, u32, i64)> {
    let sum = |amount: fn(&Amounts) -> i64| machine.sum(ROOT, amount) / machine.page;
    let (file, shmem, inactive) = (sum(|own| own.file), sum(|own| own.shmem), sum(|own| own.inactive_file));
    let free = machine.memory - sum(|own| own.anon) - file - sum(|own| own.kernel);
    let counters = [
        (members::ZONE_COUNTERS, "zone_stat_item", "NR_FREE_PAGES", free.max(0)),
        (members::NODE_COUNTERS, "node_stat_item", "NR_ACTIVE_FILE", (file - shmem - inactive).max(0)),
        (members::NODE_COUNTERS, "node_stat_item", "NR_INACTIVE_FILE", inactive),
        (members::NODE_COUNTERS, "node_stat_item", "NR_SLAB_RECLAIMABLE_B", sum(|own| own.slab_reclaimable)),
    ];
    let alone = [
        (members::TOTAL_PAGES, 0, machine.memory),
        (members::SWAP_PAGES, 0, machine.swap),
        (members::FREE_SWAP_PAGES, 0, machine.swap_free),
    ];
    let counters = counters.into_iter().filter_map(|(variable, enumeration, enumerator, pages)| {
        let index = kernel.view().enumerator(enumeration, enumerator)?;
        let index = u32::try_from(index).ok().filter(|index| *index < members::VARIABLE_WORDS)?;
        Some((variable, index, pages))
    });
    alone.into_iter().chain(counters).collect()
}
