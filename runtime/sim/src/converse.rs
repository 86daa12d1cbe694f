//! A policy that user space asks: the conversation of a decision, and what an engine does about each answer.
//!
//! Runs the program of kernels without the hook again and again, as [`oomc_abi::request`] says, and carries out what it
//! says on the machine. What an engine knows besides (which block is due, what is sampled, how much of a budget is
//! left) is its caller's. Signals, `memory.max` and `memory.reclaim` do here what the kernel's functions do on the hook:
//! who has the memory of a process dies with it, and its `memory.oom.group`.

use oomc_abi::maps::{REQUEST, SAMPLES};
use oomc_abi::request::{Answer, Done, Kind, Outcome, Question, Victim};
use oomc_abi::watch::reclaimed;

use crate::act;
use crate::exec::Refusal;
use crate::machine::{CgroupIndex, Event, Life, ROOT};
use crate::maps::Index;
use crate::oom::{Run, Simulation};
use crate::policy::Attached;
use crate::tree::Tree;
use crate::world::Call;

/// Steps of a decision: each ends an action, or offers other victims for it.
const STEPS: usize = 2_048;

/// A decision that was talked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// What the program did, all steps together; the answer is 1 for progress.
    pub run: Run,
    /// Kills that made progress: so many of a budget.
    pub kills: u64,
}

impl Simulation<'_> {
    /// Asks a policy about a domain, and does what it says until the decision is over. None: the cgroup is gone.
    ///
    /// # Errors
    /// If the program does what the verifier would have refused, or the conversation has no end.
    pub fn talk(
        &mut self,
        attached: &mut Attached,
        event: &Event,
        first: Question,
    ) -> Result<Option<Talk>, Refusal> {
        let wrong = |what: &str| Refusal { insn: 0, what: what.to_owned() };
        let mut question = first;
        let mut all = Run { answer: 0, freed: false, calls: Vec::new(), marks: Vec::new(), instructions: 0 };
        let mut kills = 0;
        for _ in 0..STEPS {
            attached.write(REQUEST, &question.bytes());
            let run = self.ask(attached, event)?;
            all.instructions += run.instructions;
            for mark in run.marks {
                if !all.marks.contains(&mark) {
                    all.marks.push(mark);
                }
            }
            let answer = attached.value(REQUEST).and_then(Answer::read);
            let answer = answer.ok_or_else(|| wrong("the program gives no answer"))?;
            match answer.kind {
                Kind::End => {
                    all.answer = i32::from(answer.progress);
                    return Ok(Some(Talk { run: all, kills }));
                }
                Kind::Gone => return Ok(None),
                Kind::Stale => return Err(wrong("the program has forgotten its own decision")),
                _ => {}
            }
            let done = self.carry_out(&answer, event, &mut all.calls);
            kills += u64::from(question.is_a_kill(&answer, &done));
            all.freed |= done.outcome != Outcome::Nothing;
            question = question.after(&answer, &done);
        }
        Err(wrong("a decision without an end"))
    }

    fn carry_out(&mut self, answer: &Answer, event: &Event, calls: &mut Vec<Call>) -> Done {
        let mut done = Done { outcome: Outcome::Nothing, result: 0, killed: 0, refused: Vec::new() };
        let domain = event.cgroup.unwrap_or(ROOT);
        match answer.kind {
            Kind::RaiseLimit => {
                calls.push(Call::Raise(answer.bytes.cast_signed()));
                self.raise(domain, answer.bytes.cast_signed());
                done.outcome = Outcome::Progress;
                done.result = answer.bytes.cast_signed();
            }
            Kind::Wait => {
                // Its memory comes back sooner; in the model that takes until after the event.
                calls.extend(answer.victims.iter().map(|victim| Call::Hurry(victim.id.cast_signed())));
                done.outcome = Outcome::Progress;
            }
            Kind::Reclaim => {
                calls.push(Call::Reclaim(answer.bytes.cast_signed()));
                let back = self.reclaim(domain, answer.bytes.cast_signed());
                done.result = back;
                if reclaimed(answer.bytes.cast_signed(), back) {
                    done.outcome = Outcome::Progress;
                }
            }
            _ => {
                for victim in &answer.victims {
                    let killed = self.kill(answer.kind, victim, domain, calls);
                    done.killed += killed;
                    if killed == 0 {
                        done.refused.push((victim.id, victim.start));
                    }
                }
                done.outcome = answer.outcome_of(done.killed);
            }
        }
        done
    }

    fn raise(&mut self, domain: CgroupIndex, bytes: i64) {
        let page = self.machine.page;
        if let Some(cgroup) = self.machine.cgroups.get_mut(domain) {
            cgroup.max = Some(bytes / page);
        }
        self.layout.fill_cgroup(self.kernel, &self.machine, &self.tree, domain);
    }

    fn reclaim(&mut self, domain: CgroupIndex, bytes: i64) -> i64 {
        let back = self.machine.reclaim(domain, bytes);
        self.tree = Tree::new(&self.machine);
        for index in 0..self.machine.cgroups.len() {
            self.layout.fill_cgroup(self.kernel, &self.machine, &self.tree, index);
        }
        back
    }

    /// Kills a victim; gives how many died.
    fn kill(&mut self, kind: Kind, victim: &Victim, domain: CgroupIndex, calls: &mut Vec<Call>) -> u64 {
        let machine = &self.machine;
        let processes = if kind == Kind::KillCgroup || victim.start == 0 {
            let is = |at: &CgroupIndex| machine.cgroup(*at).id.cast_unsigned() == victim.id;
            let Some(top) = (0..machine.cgroups.len()).find(is) else { return 0 };
            let inside = |at: &usize| machine.is_within(machine.home(*at), top);
            (0..machine.processes.len()).filter(inside).collect()
        } else {
            let is = |at: &usize| {
                let one = machine.process(*at);
                (one.pid.cast_unsigned(), one.start.cast_unsigned()) == (victim.id, victim.start)
            };
            (0..machine.processes.len()).find(is).into_iter().collect::<Vec<usize>>()
        };
        let mut killed = 0;
        for index in processes {
            let process = self.machine.process(index);
            let spared = process.pid == 1 || process.kernel || process.adj == -1000;
            if spared || process.life != Life::Lives {
                continue;
            }
            calls.push(Call::Kill(process.pid));
            let changed = act::oom_kill_process(&mut self.machine, &self.tree, domain, index);
            for index in changed {
                self.layout.fill_process(self.kernel, &self.machine, index);
            }
            killed += 1;
        }
        killed
    }
}

impl Attached {
    /// Writes the one value of a global.
    fn write(&mut self, name: &str, bytes: &[u8]) {
        if let Some(map) = self.maps.iter_mut().find(|map| map.name == name) {
            let data = map.region.data_mut();
            let length = data.len().min(bytes.len());
            if let (Some(to), Some(from)) = (data.get_mut(..length), bytes.get(..length)) {
                to.copy_from_slice(from);
            }
        }
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        self.maps.iter().find(|map| map.name == name).map(|map| map.region.data())
    }

    /// What was found by looking again and again at a cgroup or a process: by its id and the number of the sample. None
    /// takes it away. False: the policy samples nothing.
    pub fn put_sample(&mut self, id: i64, sample: u32, value: Option<i64>) -> bool {
        let Some(map) = self.maps.iter_mut().find(|map| map.name == SAMPLES) else { return false };
        let key = [id.to_le_bytes(), i64::from(sample).to_le_bytes()].concat();
        let Index::Hash { found, .. } = &mut map.index else { return false };
        let Some(value) = value else {
            found.remove(&key);
            return true;
        };
        let place = *found.entry(key).or_insert_with(|| map.region.push());
        map.set_word(place, 0, value);
        true
    }
}
