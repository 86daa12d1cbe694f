//! Lets a machine, or a cgroup of it, run out of memory, and gives what a policy decides.

use oomc_abi::record::Record;
use oomc_sim::machine::{CgroupIndex, Machine, ROOT};
use oomc_sim::scenario::{self, Decision};
use oomc_sim::{Attached, Kernel};

use crate::Error;
use crate::forecast::account::as_it_would_be;
use crate::forecast::deaths::Deaths;

/// An event that may come.
#[derive(Debug)]
pub struct Question<'a> {
    /// The model that the machine is laid out in.
    pub kernel: &'a Kernel,
    /// As it is before.
    pub machine: &'a Machine,
    /// Where the policy is, or would be, attached.
    pub attached: CgroupIndex,
    /// Who runs out of memory; none: the whole machine.
    pub domain: Option<CgroupIndex>,
}

/// What would come of it.
#[derive(Debug)]
pub struct Answer {
    /// What the policy does, and the kernel.
    pub decision: Decision,
    /// The domain had less charged than its limit: bytes.
    pub filled: i64,
}

impl Answer {
    /// What would be written down of it: with all who would die, and what would come free with them.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let deaths = Deaths::of(&self.decision);
        self.decision.record.as_ref().map(|record| as_it_would_be(record, &self.decision, &deaths))
    }
}

/// Lets the event happen. The domain is filled up to its limit first: a snapshot is taken while there is still room.
///
/// # Errors
/// [`Error::Refused`], [`Error::Pages`].
pub fn ask(question: &Question<'_>, attached: &mut Attached) -> Result<Answer, Error> {
    let (page, policy) = (question.machine.page, question.kernel.view().page_size());
    if page != policy {
        return Err(Error::Pages { machine: page, policy });
    }
    let domain = question.domain.unwrap_or(ROOT);
    let mut machine = question.machine.clone();
    let full = machine.run_out(domain);
    let mut filled = 0;
    if let Some(cgroup) = machine.cgroups.get_mut(domain) {
        filled = (full.charged - cgroup.own.charged) * page;
        cgroup.own = full;
    }
    let event = machine.event(question.domain, question.attached);
    let decision = scenario::decide(question.kernel, attached, machine, event);
    Ok(Answer { decision: decision.map_err(Error::Refused)?, filled })
}
