//! The oracle: what a policy means, defined a second time.
//!
//! Takes a checked policy, a [`Machine`] and an OOM, and gives the [`Decision`]: who dies, what the limit is then, what
//! the handler returns. It follows the reference of the language sentence by sentence, computes everything at the
//! moment it is asked for, and is as slow as that. It shares nothing with the code generator: its own arithmetic,
//! patterns, order of candidates, and its own reading of the fields by their names.

mod act;
mod choose;
mod expr;
mod kernel;
mod read;
mod scope;
mod value;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use oomc_abi::record::{Action, End};
use oomc_compiler::hir::{Mode, PickId, Policy};

pub use choose::Ranked;
use machine::{CgroupIndex, Event, Machine, ROOT};
/// The machine is plain data, the same for all who decide about it.
pub use oomc_sim::machine;

/// What can be set while a policy is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Nothing is done.
    pub audit: bool,
    /// Values of the params, in their order.
    pub params: Vec<i64>,
}

impl Settings {
    /// As the policy says.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let params = policy.params.values().map(|param| param.default).collect();
        Self { audit: policy.mode == Mode::Audit, params }
    }
}

/// Who asks, and what he knows. The kernel knows nothing but that memory has run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// `oom`, or what woke whoever asks.
    pub trigger: &'static str,
    /// Which block, from 1; 0: the rules outside of blocks.
    pub block: usize,
    /// Kills that the budget has left; none: there is no budget.
    pub kills_left: Option<u64>,
    /// The memory of an earlier victim is expected back.
    pub memory_expected: bool,
    /// What was found by looking again and again: by the number of the sample and the id of the cgroup or process.
    pub samples: HashMap<(u32, i64), i64>,
}

impl Default for Asking {
    fn default() -> Self {
        Self { trigger: "oom", block: 0, kills_left: None, memory_expected: false, samples: HashMap::new() }
    }
}

/// What the kernel was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// To kill the process of this id.
    Kill(i64),
    /// To hurry the process of this id on.
    Wait(i64),
    /// To raise the limit to so many bytes.
    Raise(i64),
    /// To reclaim so many bytes.
    Reclaim(i64),
}

/// What a policy does about an OOM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the handler returns.
    pub answer: i64,
    /// What was done last.
    pub action: Action,
    /// By which rule.
    pub rule: Option<usize>,
    /// How each rule ended.
    pub ends: Vec<End>,
    /// What the kernel was asked for, in order.
    pub calls: Vec<Call>,
    /// Ids of the processes or cgroups that were chosen, in order.
    pub victims: Vec<i64>,
    /// Processes that the kernel was made to kill, one by one; in audit mode, that it would have been.
    pub killed: u64,
    /// Several died with no order among them: who was the first, and who died with whom, is not said.
    pub in_any_order: bool,
    /// Several processes of a cgroup died with it, one by one: which of them came first is not said.
    pub members_in_any_order: bool,
    /// All that a selection finds die, and a condition asks whether others are dying: each is looked at when its turn comes,
    /// so who dies is not said.
    pub order_decides: bool,
    /// The limit after a rise, in bytes.
    pub limit: Option<i64>,
    /// Bytes that the victims, or the rise, were expected to bring.
    pub expected: i64,
    /// The candidates of the last kill that was asked, the best one first; not of an `all`.
    pub candidates: Vec<Ranked>,
    /// Values of the reason.
    pub reason: Option<Vec<Option<String>>>,
    /// Values of the last notice.
    pub notice: Option<Vec<Option<String>>>,
    /// The machine afterwards.
    pub machine: Machine,
}

struct Oracle<'a> {
    policy: &'a Policy,
    settings: &'a Settings,
    event: &'a Event,
    asking: &'a Asking,
    /// Kills that the budget has left.
    kills_left: Option<u64>,
    machine: Machine,
    /// What each pick chose that was asked for.
    picks: HashMap<PickId, Option<CgroupIndex>>,
    /// The present rule.
    rule: usize,
    decision: Decision,
}

impl Oracle<'_> {
    /// The cgroup whose limit was hit; the root when the machine is short of memory.
    fn domain(&self) -> CgroupIndex {
        self.event.cgroup.unwrap_or(ROOT)
    }
}

/// What a policy does about an OOM.
#[must_use]
pub fn decide(policy: &Policy, settings: &Settings, machine: &Machine, event: &Event) -> Decision {
    decide_asked(policy, settings, machine, event, &Asking::default())
}

/// What a policy does when it is asked, by the kernel or before memory has run out.
#[must_use]
pub fn decide_asked(
    policy: &Policy,
    settings: &Settings,
    machine: &Machine,
    event: &Event,
    asking: &Asking,
) -> Decision {
    let decision = Decision {
        answer: 0,
        action: Action::None,
        rule: None,
        ends: vec![End::NotReached; policy.rules.len()],
        calls: Vec::new(),
        victims: Vec::new(),
        killed: 0,
        in_any_order: false,
        members_in_any_order: false,
        order_decides: false,
        limit: None,
        expected: 0,
        candidates: Vec::new(),
        reason: None,
        notice: None,
        machine: Machine::default(),
    };
    let machine = machine.clone();
    let kills_left = asking.kills_left;
    let picks = HashMap::new();
    let mut oracle =
        Oracle { policy, settings, event, asking, kills_left, machine, picks, rule: 0, decision };
    // A SysRq never reaches the rules.
    if event.order != -1 {
        oracle.rules();
    }
    let Oracle { decision, machine, .. } = oracle;
    Decision { machine, ..decision }
}

impl Oracle<'_> {
    /// The rules that are asked in order, until one makes progress or ends the policy.
    fn rules(&mut self) {
        let policy = self.policy;
        let is_asked = |index: usize| {
            let block = policy.blocks.iter().position(|block| block.rules.contains(&index));
            block.map_or(0, |at| at + 1) == self.asking.block
        };
        let asked: Vec<_> = policy.rules.iter().enumerate().filter(|(index, _)| is_asked(*index)).collect();
        for (index, rule) in asked {
            self.rule = index;
            match self.rule(rule) {
                Ok(true) => {
                    if let Some(end) = self.decision.ends.get_mut(index) {
                        *end = End::Progress;
                    }
                    self.decision.rule = Some(index);
                    self.decision.answer = i64::from(!self.settings.audit);
                    return;
                }
                Ok(false) => {}
                Err(act::Deferred) => return,
            }
        }
    }
}
