//! An OOM event: who is asked in which order, and what happens if nobody helps (`bpf_handle_oom()`, mm/bpf_oom.c of
//! the series; `out_of_memory()`, mm/oom_kill.c, 6.12).

use oomc_abi::model::Class;
use oomc_abi::record::Record;

use crate::act::{self, Killer};
use crate::exec::{self, Refusal};
use crate::kernel::{Kernel, Lacking};
use crate::layout::Layout;
use crate::machine::{Amounts, CgroupIndex, Event, Life, Machine, ROOT};
use crate::policy::Attached;
use crate::tree::Tree;
use crate::world::{Call, Mark, Model};

/// A machine on which policies run.
#[derive(Clone, Debug)]
pub struct Simulation<'k> {
    pub(crate) kernel: &'k Kernel,
    pub(crate) machine: Machine,
    pub(crate) tree: Tree,
    pub(crate) layout: Layout,
}

/// What one policy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What it returned.
    pub answer: i32,
    /// The kernel noted that memory was or will be freed.
    pub freed: bool,
    /// What it asked the kernel for, in order.
    pub calls: Vec<Call>,
    /// What it passed, in order, each mark once; nothing unless the object is a traced one.
    pub marks: Vec<Mark>,
    /// Instructions that were executed.
    pub instructions: u64,
}

impl Run {
    /// Whether the kernel takes the event as handled: both conditions have to hold.
    #[must_use]
    pub fn handled(&self) -> bool {
        self.answer != 0 && self.freed
    }
}

/// A policy that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it is attached.
    pub cgroup: CgroupIndex,
    /// What it did.
    pub run: Run,
    /// What it wrote down, if it is there to be read.
    pub record: Option<Record>,
}

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Policies in the order in which they were asked.
    pub asked: Vec<Asked>,
    /// None: the last of them has handled the event, or a dying process was let go first.
    pub killer: Option<Killer>,
}

impl<'k> Simulation<'k> {
    /// Lays a machine out.
    ///
    /// # Errors
    /// If the kernel lacks a member that the machine names.
    pub fn new(kernel: &'k Kernel, machine: Machine) -> Result<Self, Lacking> {
        let page = kernel.view().page_size();
        if machine.page != page {
            return Err(Lacking(format!("its pages have {page} bytes, the machine's {}", machine.page)));
        }
        let tree = Tree::new(&machine);
        let layout = Layout::new(kernel, &machine, &tree)?;
        Ok(Self { kernel, machine, tree, layout })
    }

    /// The machine as it is now.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Time passes.
    pub fn set_now(&mut self, now: i64) {
        self.machine.now = now;
    }

    /// What is charged to a cgroup alone is from now on this.
    pub fn set_own(&mut self, index: CgroupIndex, own: Amounts) {
        let Some(cgroup) = self.machine.cgroups.get_mut(index) else { return };
        let before = core::mem::replace(&mut cgroup.own, own);
        let chain: Vec<CgroupIndex> = self.machine.ancestors(index).collect();
        self.tree.change(chain.iter().copied(), &before, &own);
        for at in chain {
            self.layout.fill_cgroup(self.kernel, &self.machine, &self.tree, at);
        }
    }

    /// What policies have done is undone: lives and limits are again those of `before`, the machine of that time.
    pub fn undo(&mut self, before: &Machine) {
        let Self { kernel, machine, tree, layout } = self;
        layout.memory.forget_unfilled();
        for (index, was) in before.processes.iter().enumerate() {
            if let Some(process) = machine.processes.get_mut(index).filter(|now| now.life != was.life) {
                process.life = was.life;
                layout.fill_process(kernel, machine, index);
            }
        }
        for (index, was) in before.cgroups.iter().enumerate() {
            if let Some(cgroup) = machine.cgroups.get_mut(index).filter(|now| now.max != was.max) {
                cgroup.max = was.max;
                layout.fill_cgroup(kernel, machine, tree, index);
            }
        }
    }

    /// Asks one policy; `event.attached` is where it is attached.
    ///
    /// # Errors
    /// If the program does what the verifier would have refused.
    pub fn ask(&mut self, attached: &mut Attached, event: &Event) -> Result<Run, Refusal> {
        let program = std::sync::Arc::clone(&attached.policy.program);
        let Self { kernel, machine, tree, layout } = self;
        let mut model = Model::new(kernel, machine, tree, layout, &mut attached.maps, event);
        let ran = exec::run(&program, &mut model);
        model.finish();
        let (freed, calls) = (model.freed, core::mem::take(&mut model.calls));
        let marks = core::mem::take(&mut model.marks).into_list();
        let exec::Ran { answer, instructions } = ran?;
        Ok(Run { answer, freed, calls, marks, instructions })
    }

    /// An event, from the cgroup that ran out of memory up to the root, and on to the kernel's own killer.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn out_of_memory(&mut self, policies: &mut [Attached], event: &Event) -> Result<Outcome, Refusal> {
        let mut outcome = Outcome { asked: Vec::new(), killer: None };
        // `task_will_free_mem(current)`: whoever dies anyway gets through.
        let dies = |life| matches!(life, Life::Dying { reaped: false, .. });
        if event.trigger.is_some_and(|trigger| dies(self.machine.process(trigger).life)) {
            return Ok(outcome);
        }
        let start = event.cgroup.unwrap_or(ROOT);
        let chain: Vec<CgroupIndex> = self.machine.ancestors(start).collect();
        for cgroup in chain {
            let Some(policy) = policies.iter_mut().find(|policy| policy.cgroup == cgroup) else { continue };
            let run = self.ask(policy, &Event { attached: cgroup, ..event.clone() })?;
            let handled = run.handled();
            outcome.asked.push(Asked { cgroup, run, record: policy.records().pop() });
            if handled {
                return Ok(outcome);
            }
        }
        let killer = act::own_killer(&mut self.machine, &self.tree, event.cgroup, event.total);
        if let Killer::Killed(_, killed) = &killer {
            for index in killed {
                self.layout.fill_process(self.kernel, &self.machine, *index);
            }
        }
        outcome.killer = Some(killer);
        Ok(outcome)
    }

    /// Members that programs have read and that the machine says nothing of, so that they were 0: the structure,
    /// and the offset in it.
    pub fn unfilled(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.layout.memory.unfilled().map(|(class, offset)| (class.tag(), offset))
    }

    /// Bytes that the model of all processes takes besides the machine itself.
    #[must_use]
    pub fn bytes_of_processes(&self) -> usize {
        Class::OF_A_PROCESS.iter().map(|class| self.layout.memory.bytes_of(*class)).sum()
    }
}
