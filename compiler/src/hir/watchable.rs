//! What of a policy's blocks a kernel can do: the program that is asked, each event, each action.
//!
//! Joins a checked policy with a kernel's BTF, as [`super::kernel`] does for the rules that the kernel asks itself. What
//! whoever asks does by files of the kernel stands in no BTF: then it is said that it is not known.

use oomc_abi::kfuncs;
use oomc_abi::resolve::KernelView;
use oomc_abi::watch::Event;

use super::{ActionKind, Policy};

/// Whether a kernel can do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Works {
    /// It can.
    Yes,
    /// It lacks this.
    Lacks(String),
    /// Its types do not tell.
    Unknown(&'static str),
}

impl Works {
    /// In a sentence.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Yes => "works".to_owned(),
            Self::Lacks(what) => format!("does not work: the kernel has no {what}"),
            Self::Unknown(why) => format!("is not known: {why}"),
        }
    }
}

/// Functions that every program calls that is asked.
const CALLED: [kfuncs::KfuncId; 6] = [
    kfuncs::RCU_READ_LOCK,
    kfuncs::CGROUP_FROM_ID,
    kfuncs::CGROUP_RELEASE,
    kfuncs::ITER_CSS_NEW,
    kfuncs::ITER_CSS_TASK_NEW,
    kfuncs::RDONLY_CAST,
];

/// The program, each event and each kind of action of a policy's blocks, in the order written, each once.
#[must_use]
pub fn watchable(policy: &Policy, view: &KernelView) -> Vec<(String, Works)> {
    let absent = CALLED.into_iter().find(|kfunc| view.kfunc(*kfunc).is_none());
    let program = absent.map_or(Works::Yes, |kfunc| Works::Lacks(format!("`{}`", kfunc.row().name)));
    let mut told = vec![("asking the policy".to_owned(), program)];
    let mut tell = |what: String, works: Works| {
        if !told.iter().any(|(known, _)| *known == what) {
            told.push((what, works));
        }
    };
    for block in &policy.blocks {
        tell(format!("on {}", block.event.told()), event(block.event, view));
    }
    let rules =
        policy.blocks.iter().flat_map(|block| policy.rules.get(block.rules.clone()).unwrap_or_default());
    let mut open: Vec<_> = rules.map(|rule| rule.action).collect();
    open.reverse();
    while let Some(action) = open.pop() {
        let Some(action) = policy.actions.get(action) else { continue };
        match &action.kind {
            ActionKind::If { then, otherwise, .. } => open.extend(otherwise.iter().copied().chain([*then])),
            ActionKind::Block(actions) => open.extend(actions.iter().rev()),
            ActionKind::Or(first, second) => open.extend([*second, *first]),
            ActionKind::Kill(_) => tell("kill".to_owned(), Works::Yes),
            ActionKind::RaiseLimit { .. } => tell("raise_limit".to_owned(), Works::Yes),
            ActionKind::Reclaim(_) => {
                let why = "`memory.reclaim` is there from Linux 5.19 on, and types do not show files";
                tell("reclaim".to_owned(), Works::Unknown(why));
            }
            ActionKind::Wait | ActionKind::Defer | ActionKind::Notify(_) | ActionKind::Count(_) => {}
        }
    }
    told
}

/// Whether a kernel has what an event is read from.
fn event(event: Event, view: &KernelView) -> Works {
    let needs =
        |structure: &'static str, member: &'static str, what: &str| match view.lookup(structure, member) {
            Ok(_) => Works::Yes,
            Err(_) => Works::Lacks(what.to_owned()),
        };
    match event {
        Event::Pressure { .. } | Event::Stall { .. } => {
            needs("cgroup", "psi", "pressure of cgroups (CONFIG_PSI)")
        }
        Event::Usage(_) => needs("mem_cgroup", "memory.usage", "memory controller"),
        Event::Swap(_) => needs("mem_cgroup", "swap.usage", "counter of swap"),
        Event::Limit => needs("mem_cgroup", "memory.high", "`memory.high`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn each_event_and_action_is_told_once() {
        let text = "on pressure full avg10 > 60% { reclaim 1MiB kill largest in subtree }\n\
                    on swap > 1GiB { kill largest in subtree or raise_limit 1MiB up to 1GiB }";
        let view = KernelView::embedded();
        let policy = crate::check(&Source::new("t.oom", text), &view).into_policy().expect("a policy");
        let told: Vec<String> = watchable(&policy, &view)
            .into_iter()
            .map(|(what, works)| format!("{what} {}", works.told()))
            .collect();
        assert_eq!(
            told,
            [
                "asking the policy works",
                "on pressure full avg10 > 60% works",
                "on swap > 1GiB works",
                "reclaim is not known: `memory.reclaim` is there from Linux 5.19 on, and types do not show files",
                "kill works",
                "raise_limit works",
            ]
        );
    }
}
