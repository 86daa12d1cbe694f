//! Policies on a kernel that asks them itself, whose `on` blocks it does not ask: attached, and their blocks asked from here.
//!
//! An engine is started before its policy is attached, so that what cannot be watched leaves nothing attached; it ends with it.

use oomc_runtime::engine::Rules;
use oomc_runtime::{AskedBy, Object, Settings};

use super::engines::Engines;
use crate::exit::Failure;
use crate::standing::{Hands, Hook};

pub(super) struct Both<'h, 'a> {
    pub(super) hook: Hook<'a>,
    pub(super) engines: &'h mut Engines<'a>,
}

impl Both<'_, '_> {
    /// Starts the engine of a policy with blocks.
    fn watch(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        if has_blocks(object) { self.engines.start(object, cgroup, settings, Rules::Blocks) } else { Ok(()) }
    }
}

fn has_blocks(object: &Object) -> bool {
    !object.meta.declared().blocks.is_empty()
}

impl Hands for Both<'_, '_> {
    fn asked_by(&self) -> AskedBy {
        self.hook.asked_by()
    }

    fn bring(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        // Somebody has unloaded the policy by hand: its engine is still there.
        self.engines.take_away(cgroup)?;
        self.watch(object, cgroup, settings)?;
        let attached = self.hook.bring(object, cgroup, settings);
        if attached.is_err() {
            self.engines.take_away(cgroup)?;
        }
        attached
    }

    fn exchange(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        if has_blocks(object) {
            self.engines.try_out(object, settings)?;
        }
        self.hook.exchange(object, cgroup, settings)?;
        self.engines.take_away(cgroup)?;
        self.watch(object, cgroup, settings)
    }

    fn keep(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        if self.engines.has(cgroup) { Ok(()) } else { self.watch(object, cgroup, settings) }
    }

    fn take_away(&mut self, cgroup: &str) -> Result<bool, Failure> {
        self.engines.take_away(cgroup)?;
        self.hook.take_away(cgroup)
    }
}
