//! The machine as a running program sees it: the model behind the rows of [`oomc_abi::kfuncs`].
//!
//! Owns what a program holds while it runs: its iterators and its RCU section. What the kernel does when it kills
//! or raises stands in [`crate::act`].

use std::collections::HashSet;

use oomc_abi::btf::Kind;
use oomc_abi::consts::CSS_TASK_ITER_PROCS;
use oomc_abi::model::Class;
use oomc_abi::world::{Answer, Counted, Fault, Walk, World};

use crate::kernel::Kernel;
use crate::layout::Layout;
use crate::machine::{CgroupIndex, Event, Machine, ProcessIndex, ROOT};
use crate::maps::{Index, Map};
use crate::memory::{Memory, Region, RegionId, map_of};
use crate::tree::{Tree, get};

/// Errors of the kernel.
pub(crate) const EPERM: i64 = -1;
pub(crate) const ESRCH: i64 = -3;
pub(crate) const ENOMEM: i64 = -12;
pub(crate) const EINVAL: i64 = -22;
pub(crate) const E2BIG: i64 = -7;

/// What a program asked the kernel to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// To kill the process of this id.
    Kill(i64),
    /// To hurry the process of this id on, which was in flight already.
    Hurry(i64),
    /// To raise the limit to so many bytes.
    Raise(i64),
    /// To reclaim so many bytes.
    Reclaim(i64),
}

/// A point of a traced policy that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// Its number among the policy's points.
    pub point: u32,
    /// By whom, if it is about somebody.
    pub object: Option<Object>,
}

/// Whom a mark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Object {
    Process(ProcessIndex),
    Cgroup(CgroupIndex),
}

/// Each mark once, however often the point is passed by the same object.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    found: HashSet<Mark>,
    in_order: Vec<Mark>,
}

impl Marks {
    /// In the order in which they were passed first.
    pub(crate) fn into_list(self) -> Vec<Mark> {
        self.in_order
    }
}

/// An iterator that was started.
#[derive(Clone, Copy, Debug)]
enum Iterator {
    /// Places in a list of cgroups, up to the last one.
    Listed { post: bool, at: usize, end: usize },
    /// The same of the unified hierarchy: cgroups by their own csses.
    Own { post: bool, at: usize, end: usize },
    /// A cgroup and those above: their memcgs, or the csses of their own.
    Up { own: bool, cgroup: Option<CgroupIndex> },
    /// Processes of a cgroup, or their threads: the process's place in its list, and the thread.
    TasksOf { cgroup: CgroupIndex, own: bool, leaders: bool, at: usize, thread: usize },
    /// All of the machine.
    Tasks { threads: bool, at: usize, thread: usize },
    /// From, to.
    Numbers(i32, i32),
    /// There is nothing, or it could not start.
    Nothing,
}

/// Where the present function is with regard to RCU sections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Section {
    /// It is in one of its own.
    pub(crate) inside: bool,
    /// Iterators of its callers.
    walks: usize,
}

/// The machine of one run.
#[derive(Debug)]
pub(crate) struct Model<'m> {
    pub(crate) kernel: &'m Kernel,
    pub(crate) machine: &'m mut Machine,
    pub(crate) tree: &'m Tree,
    pub(crate) layout: &'m mut Layout,
    pub(crate) maps: &'m mut [Map],
    pub(crate) event: &'m Event,
    /// Iterators by the addresses at which they lie.
    iterators: Vec<(u64, Iterator)>,
    pub(crate) section: Section,
    /// The kernel noted that memory was or will be freed (`oom_control.bpf_memory_freed`).
    pub(crate) freed: bool,
    /// Numbers of structures as which something was read.
    structures: Vec<u64>,
    /// Cgroups whose statistics, and those of everything below, were brought up to date.
    flushed: Vec<CgroupIndex>,
    pub(crate) calls: Vec<Call>,
    pub(crate) marks: Marks,
}

impl<'m> Model<'m> {
    pub(crate) fn new(
        kernel: &'m Kernel,
        machine: &'m mut Machine,
        tree: &'m Tree,
        layout: &'m mut Layout,
        maps: &'m mut [Map],
        event: &'m Event,
    ) -> Self {
        layout.fill_event(kernel, machine, event);
        for (at, map) in maps.iter_mut().enumerate() {
            *layout.memory.region_mut(RegionId::of_map(at)) = core::mem::take(&mut map.region);
        }
        *layout.memory.region_mut(RegionId::NUMBERS) = Region::whole(4, NUMBERS, false);
        Self {
            kernel,
            machine,
            tree,
            layout,
            maps,
            event,
            iterators: Vec::new(),
            section: Section::default(),
            freed: false,
            structures: Vec::new(),
            flushed: Vec::new(),
            calls: Vec::new(),
            marks: Marks::default(),
        }
    }

    /// Gives the maps their values back.
    pub(crate) fn finish(&mut self) {
        for (at, map) in self.maps.iter_mut().enumerate() {
            map.region = core::mem::take(self.layout.memory.region_mut(RegionId::of_map(at)));
        }
    }

    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.layout.memory
    }

    /// Iterators that nobody ended.
    pub(crate) fn open_iterators(&self) -> usize {
        self.iterators.len()
    }

    /// The number of an object that begins at an address.
    pub(crate) fn object(&self, class: Class, address: u64) -> Option<usize> {
        self.layout.memory.object(RegionId::of_class(class), address)
    }

    /// The cgroup that a css belongs to.
    pub(crate) fn cgroup_of_css(&self, css: u64) -> Option<CgroupIndex> {
        self.object(Class::Memcg, css).or_else(|| {
            let own = u64::from(self.kernel.own_css);
            let (cgroup, offset) = self.layout.memory.inside(RegionId::of_class(Class::Cgroup), css)?;
            (offset == own && cgroup < self.machine.cgroups.len()).then_some(cgroup)
        })
    }

    /// The process that a task belongs to.
    pub(crate) fn process_of(&self, task: u64) -> Option<ProcessIndex> {
        self.object(Class::Task, task).map(|task| self.layout.process_of(task))
    }

    /// A point of a traced policy is passed, by the object that begins at an address.
    pub(crate) fn pass(&mut self, point: u32, object: Option<u64>) -> Result<(), Fault> {
        let object = object.map(|address| {
            let process = self.process_of(address).map(Object::Process);
            let cgroup = self.cgroup_of_css(address).or_else(|| self.object(Class::Cgroup, address));
            let found = process.or(cgroup.map(Object::Cgroup));
            found.ok_or_else(|| Fault(format!("a mark at {address:#x}: neither a process nor a cgroup")))
        });
        let mark = Mark { point, object: object.transpose()? };
        if self.marks.found.insert(mark) {
            self.marks.in_order.push(mark);
        }
        Ok(())
    }

    fn memcg(&self, address: u64) -> Result<CgroupIndex, Fault> {
        self.object(Class::Memcg, address).ok_or_else(|| Fault(format!("{address:#x} is no mem_cgroup")))
    }

    /// Whether the statistics of a cgroup, or of one above it, were brought up to date.
    fn is_flushed(&self, cgroup: CgroupIndex) -> bool {
        self.flushed.iter().any(|above| self.machine.is_within(cgroup, *above))
    }

    fn iterator(&mut self, address: u64) -> Result<&mut Iterator, Fault> {
        let found = self.iterators.iter_mut().find(|(at, _)| *at == address);
        found.map(|(_, iterator)| iterator).ok_or_else(|| Fault("no iterator was started here".to_owned()))
    }

    /// The address of a thread: 0 is the leader.
    fn thread(&self, process: ProcessIndex, thread: usize) -> u64 {
        self.layout.address(Class::Task, self.layout.task(process, thread))
    }

    fn threads_of(&self, process: ProcessIndex) -> usize {
        self.machine.process(process).threads.max(1) as usize
    }

    /// The next task of a cgroup, and where to go on.
    fn next_task_of(
        &self,
        cgroup: CgroupIndex,
        (own, leaders): (bool, bool),
        mut at: usize,
        mut thread: usize,
    ) -> (u64, usize, usize) {
        // Those that count with a memory cgroup, or those that are in a cgroup.
        let lists = if own { &self.tree.inside } else { &self.tree.members };
        let members = lists.get(cgroup).map_or(&[][..], Vec::as_slice);
        while let Some(process) = members.get(at).copied() {
            if thread >= if leaders { 1 } else { self.threads_of(process) } {
                (at, thread) = (at + 1, 0);
                continue;
            }
            // A thread that has exited is shown only as the leader of others that live.
            if thread == 0 && !leaders && self.machine.process(process).leader_gone {
                thread = 1;
                continue;
            }
            return (self.thread(process, thread), at, thread + 1);
        }
        (0, at, thread)
    }

    /// A function begins: outside of an RCU section of its own.
    pub(crate) fn enter(&mut self) -> Section {
        let walks = self.iterators.len();
        core::mem::replace(&mut self.section, Section { inside: false, walks })
    }

    /// A function ends; its caller goes on in its own section.
    pub(crate) fn leave(&mut self, callers: Section) -> Result<(), Fault> {
        if self.section.inside {
            return Err(Fault("a function ends inside an RCU section".to_owned()));
        }
        if self.iterators.len() > self.section.walks {
            return Err(Fault("a function ends inside a walk".to_owned()));
        }
        self.section = callers;
        Ok(())
    }

    /// The number of a value in a map.
    fn value_of_key(&mut self, map: usize, key: u64) -> Result<Option<usize>, Fault> {
        match &self.map(map)?.index {
            Index::Array { entries } => {
                let entries = u64::from(*entries);
                let number = self.memory().load(key, 4)?;
                Ok((number < entries).then_some(number as usize))
            }
            Index::Hash { key: bytes, .. } => {
                let mut bytes = vec![0; *bytes];
                self.memory().read(key, &mut bytes)?;
                let Index::Hash { found, .. } = &self.map(map)?.index else { return Ok(None) };
                Ok(found.get(&bytes).copied())
            }
            Index::Cgroups(_) | Index::Ring { .. } => Err(Fault("this map has no keys".to_owned())),
        }
    }

    fn map(&self, map: usize) -> Result<&Map, Fault> {
        self.maps.get(map).ok_or_else(|| Fault("there is no such map".to_owned()))
    }
}

/// Numbers that iterators point to: as many as can be at work, one inside the other.
const NUMBERS: usize = 64;

impl World for Model<'_> {
    fn section(&mut self, inside: bool) -> Answer {
        match (self.section.inside, inside) {
            (true, true) => Err(Fault("an RCU section inside another one".to_owned())),
            (false, false) => Err(Fault("the program leaves an RCU section that it is not in".to_owned())),
            (_, inside) => {
                // Cgroups that a walk shows are there only inside of the section.
                let walks = |iterator: &Iterator| {
                    matches!(iterator, Iterator::Listed { .. } | Iterator::Own { .. } | Iterator::Up { .. })
                };
                let own = self.iterators.iter().skip(self.section.walks);
                if !inside && own.clone().any(|(_, iterator)| walks(iterator)) {
                    return Err(Fault("the RCU section ends inside a walk over cgroups".to_owned()));
                }
                self.section.inside = inside;
                Ok(0)
            }
        }
    }

    fn start(&mut self, iterator: u64, walk: Walk) -> Answer {
        if self.iterators.iter().any(|(at, _)| *at == iterator) {
            return Err(Fault("an iterator is started where another one is".to_owned()));
        }
        let nowhere = || Fault("a walk starts at something that is no css".to_owned());
        let mut answer = 0;
        let started = match walk {
            Walk::Cgroups { start, order } => {
                let cgroup = self.cgroup_of_css(start).ok_or_else(nowhere)?;
                let own = self.object(Class::Memcg, start).is_none();
                let [pre, post, up] = self.kernel.orders;
                let size = if own { get(&self.tree.own_size, cgroup) } else { get(&self.tree.size, cgroup) };
                if own && order == pre {
                    let at = get(&self.tree.own.at_pre, cgroup);
                    Iterator::Own { post: false, at, end: at + size }
                } else if own && order == post {
                    let end = get(&self.tree.own.at_post, cgroup) + 1;
                    Iterator::Own { post: true, at: end - size, end }
                } else if order == pre {
                    let at = get(&self.tree.at_pre, cgroup);
                    Iterator::Listed { post: false, at, end: at + size }
                } else if order == post {
                    let end = get(&self.tree.at_post, cgroup) + 1;
                    Iterator::Listed { post: true, at: end - size, end }
                } else if order == up {
                    Iterator::Up { own, cgroup: Some(cgroup) }
                } else {
                    answer = EINVAL;
                    Iterator::Nothing
                }
            }
            Walk::TasksOf { css, flags } => {
                let cgroup = self.cgroup_of_css(css).ok_or_else(nowhere)?;
                if self.machine.cgroup(cgroup).no_walk {
                    answer = ENOMEM;
                    Iterator::Nothing
                } else {
                    let leaders = flags == CSS_TASK_ITER_PROCS as u64;
                    let own = self.object(Class::Memcg, css).is_none();
                    Iterator::TasksOf { cgroup, own, leaders, at: 0, thread: 0 }
                }
            }
            Walk::Tasks { flags } => Iterator::Tasks { threads: flags == 1, at: 0, thread: 0 },
            Walk::Numbers { from, to } if from > to => {
                answer = EINVAL;
                Iterator::Nothing
            }
            Walk::Numbers { from, to } if i64::from(to) - i64::from(from) > MAX_LOOPS => {
                answer = E2BIG;
                Iterator::Nothing
            }
            Walk::Numbers { from, to } => Iterator::Numbers(from, to),
        };
        if self.iterators.len() >= NUMBERS {
            return Err(Fault("too many iterators at once".to_owned()));
        }
        self.iterators.push((iterator, started));
        Ok(answer as u64)
    }

    fn next(&mut self, iterator: u64) -> Answer {
        let (step, found) = match *self.iterator(iterator)? {
            Iterator::Listed { post, at, end } if at < end => {
                let list = if post { &self.tree.post } else { &self.tree.pre };
                let found = self.layout.address(Class::Memcg, get(list, at));
                (Iterator::Listed { post, at: at + 1, end }, found)
            }
            Iterator::Own { post, at, end } if at < end => {
                let list = if post { &self.tree.own.post } else { &self.tree.own.pre };
                let cgroup = self.layout.address(Class::Cgroup, get(list, at));
                (Iterator::Own { post, at: at + 1, end }, cgroup + u64::from(self.kernel.own_css))
            }
            Iterator::Up { own: false, cgroup: Some(cgroup) } => {
                let above = self.tree.parent.get(cgroup).copied().flatten();
                (Iterator::Up { own: false, cgroup: above }, self.layout.address(Class::Memcg, cgroup))
            }
            Iterator::Up { own: true, cgroup: Some(cgroup) } => {
                let css = self.layout.address(Class::Cgroup, cgroup) + u64::from(self.kernel.own_css);
                (Iterator::Up { own: true, cgroup: self.machine.cgroup(cgroup).parent }, css)
            }
            Iterator::TasksOf { cgroup, own, leaders, at, thread } => {
                let (found, at, thread) = self.next_task_of(cgroup, (own, leaders), at, thread);
                (Iterator::TasksOf { cgroup, own, leaders, at, thread }, found)
            }
            Iterator::Tasks { threads, mut at, mut thread } => {
                if at < self.machine.processes.len() && threads && thread >= self.threads_of(at) {
                    (at, thread) = (at + 1, 0);
                }
                let found = if at < self.machine.processes.len() { self.thread(at, thread) } else { 0 };
                if threads {
                    thread += 1;
                } else {
                    at += 1;
                }
                (Iterator::Tasks { threads, at, thread }, found)
            }
            Iterator::Numbers(from, to) if from < to => {
                let depth = self.iterators.iter().position(|(at, _)| *at == iterator).unwrap_or(0);
                self.memory().fill(RegionId::NUMBERS, depth, 0, &from.to_le_bytes());
                let found = self.layout.memory.address(RegionId::NUMBERS, depth, 0);
                (Iterator::Numbers(from + 1, to), found)
            }
            over => (over, 0),
        };
        *self.iterator(iterator)? = step;
        Ok(found)
    }

    fn end(&mut self, iterator: u64) -> Answer {
        self.iterator(iterator)?;
        self.iterators.retain(|(at, _)| *at != iterator);
        Ok(0)
    }

    fn task_of_pid(&mut self, pid: i32) -> u64 {
        let found = self.machine.processes.iter().position(|process| process.pid == i64::from(pid));
        let thread = || self.layout.thread_of(i64::from(pid));
        found.or_else(thread).map_or(0, |task| self.layout.address(Class::Task, task))
    }

    fn cgroup_of_id(&mut self, id: u64) -> u64 {
        let there = |cgroup: &crate::machine::Cgroup| cgroup.id as u64 == id && !cgroup.removed;
        let found = self.machine.cgroups.iter().position(there);
        found.map_or(0, |cgroup| self.layout.address(Class::Cgroup, cgroup))
    }

    fn root(&mut self) -> u64 {
        self.layout.address(Class::Memcg, ROOT)
    }

    fn cast(&mut self, object: u64, ty: u64) -> Answer {
        if !self.structures.contains(&ty) {
            let kind = u32::try_from(ty).ok().and_then(|id| self.kernel.view().btf().get(id));
            if !kind.is_some_and(|found| matches!(found.kind, Kind::Struct { .. })) {
                return Err(Fault(format!("something is read as type {ty}, which is no structure")));
            }
            self.structures.push(ty);
        }
        Ok(object)
    }

    fn memcg_of(&mut self, css: u64) -> Answer {
        let cgroup = self.cgroup_of_css(css).ok_or_else(|| Fault(format!("{css:#x} is no css")))?;
        if self.machine.cgroup(cgroup).bare {
            return Ok(0);
        }
        Ok(self.layout.address(Class::Memcg, cgroup))
    }

    fn counted(&mut self, memcg: u64, what: Counted, index: u64) -> Answer {
        let cgroup = self.memcg(memcg)?;
        // Events of the controller are counted at once, in each cgroup above as well.
        if what != Counted::MemoryEvent && !self.is_flushed(cgroup) {
            let path = self.machine.path(cgroup);
            return Err(Fault(format!(
                "statistics of {path} are read, and nothing has brought them up to date"
            )));
        }
        let sums = get(&self.tree.sums, cgroup);
        let enumerations: &[&str] = match what {
            Counted::PageState => &["node_stat_item", "memcg_stat_item"],
            Counted::VmEvent => &["vm_event_item"],
            Counted::MemoryEvent => &["memcg_memory_event"],
        };
        Ok(match self.kernel.statistic(enumerations, index) {
            None => u64::MAX,
            Some(None) => 0,
            Some(Some(amount)) => sums.get(amount) as u64,
        })
    }

    fn flush(&mut self, memcg: u64) -> Answer {
        let cgroup = self.memcg(memcg)?;
        self.flushed.push(cgroup);
        Ok(0)
    }

    fn kill(&mut self, task: u64, message: u64) -> Answer {
        self.text_at(message)?;
        let process = self.process_of(task).ok_or_else(|| Fault("nobody is killed".to_owned()))?;
        let pid = self.machine.process(process).pid;
        let in_flight = crate::act::will_free_its_memory(self.machine, process);
        self.calls.push(if in_flight { Call::Hurry(pid) } else { Call::Kill(pid) });
        Ok(crate::act::kill(self, process) as u64)
    }

    fn raise(&mut self, memcg: u64, bytes: u64) -> Answer {
        let cgroup = self.memcg(memcg)?;
        self.calls.push(Call::Raise(bytes as i64));
        Ok(crate::act::raise(self, cgroup, bytes) as u64)
    }

    fn now(&mut self) -> u64 {
        self.machine.now as u64
    }

    fn current(&mut self) -> (u32, u32) {
        let pid = self.event.trigger.map_or(0, |trigger| self.machine.process(trigger).pid);
        (pid as u32, pid as u32)
    }

    fn current_comm(&mut self) -> String {
        self.event.trigger.map_or_else(String::new, |trigger| self.machine.process(trigger).comm.clone())
    }

    fn peek(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        self.memory().read(address, bytes).is_ok()
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.memory().read(address, bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.memory().write(address, bytes)
    }

    fn lookup(&mut self, map: u64, key: u64) -> Answer {
        let map = map_of(map)?;
        let value = self.value_of_key(map, key)?;
        Ok(value.map_or(0, |value| self.layout.memory.address(RegionId::of_map(map), value, 0)))
    }

    fn update(&mut self, map: u64, key: u64, value: u64) -> Answer {
        let map = map_of(map)?;
        let mut bytes = vec![0; self.map(map)?.value];
        self.memory().read(value, &mut bytes)?;
        let number = match self.value_of_key(map, key)? {
            Some(number) => number,
            None => {
                let Index::Hash { key: length, most, found } = &self.map(map)?.index else {
                    return Ok(E2BIG as u64);
                };
                if found.len() >= *most {
                    return Ok(E2BIG as u64);
                }
                let mut name = vec![0; *length];
                self.memory().read(key, &mut name)?;
                let number = self.memory().region_mut(RegionId::of_map(map)).push();
                if let Some(Map { index: Index::Hash { found, .. }, .. }) = self.maps.get_mut(map) {
                    found.insert(name, number);
                }
                number
            }
        };
        self.memory().fill(RegionId::of_map(map), number, 0, &bytes);
        Ok(0)
    }

    fn send(&mut self, map: u64, data: u64, size: u64) -> Answer {
        let mut bytes = vec![0; size as usize];
        self.memory().read(data, &mut bytes)?;
        match self.maps.get_mut(map_of(map)?).map(|map| &mut map.index) {
            Some(Index::Ring { sent }) => {
                sent.push(bytes);
                Ok(0)
            }
            _ => Err(Fault("this map is no ring buffer".to_owned())),
        }
    }

    fn storage(&mut self, map: u64, cgroup: u64, create: bool) -> Answer {
        if create && !self.section.inside {
            return Err(Fault(
                "storage is made outside of an RCU section: the allocation could wait for the lock that the event \
                 holds"
                    .to_owned(),
            ));
        }
        let cgroup =
            self.object(Class::Cgroup, cgroup).ok_or_else(|| Fault("there is no cgroup".to_owned()))?;
        let map = map_of(map)?;
        let there = match &self.map(map)?.index {
            Index::Cgroups(found) => found.get(&cgroup).copied(),
            _ => return Err(Fault("this map is no storage of cgroups".to_owned())),
        };
        let value = match there {
            Some(value) => value,
            None if create => {
                let value = self.memory().region_mut(RegionId::of_map(map)).push();
                if let Some(Map { index: Index::Cgroups(found), .. }) = self.maps.get_mut(map) {
                    found.insert(cgroup, value);
                }
                value
            }
            None => return Ok(0),
        };
        Ok(self.layout.memory.address(RegionId::of_map(map), value, 0))
    }
}

impl Model<'_> {
    /// A text that the verifier takes: in memory that nobody writes.
    fn text_at(&mut self, address: u64) -> Result<(), Fault> {
        let mut byte = [1];
        let mut at = address;
        while byte != [0] {
            self.memory().read(at, &mut byte)?;
            at += 1;
        }
        if self.memory().is_writable(address) {
            return Err(Fault("the message of a kill is in memory that can be written".to_owned()));
        }
        Ok(())
    }
}

/// Most numbers of an iterator (`BPF_MAX_LOOPS`, `include/linux/bpf_verifier.h`, 6.12).
const MAX_LOOPS: i64 = 8 << 20;
