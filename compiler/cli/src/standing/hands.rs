//! How a policy comes to a cgroup, and goes: attached to it, or asked by an engine of this process.

use oomc_runtime::{AskedBy, Object, Settings, System, Target};

use crate::exit::Failure;

/// Whoever brings policies to cgroups, and takes them away.
pub(crate) trait Hands {
    /// Who asks the policies then.
    fn asked_by(&self) -> AskedBy;
    /// To a cgroup without one.
    fn bring(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure>;
    /// Another one in its place. What is refused leaves the one that is there.
    fn exchange(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure>;
    /// It is there already, unchanged: what belongs to it besides is made so.
    fn keep(&mut self, _object: &Object, _cgroup: &str, _settings: &Settings<'_>) -> Result<(), Failure> {
        Ok(())
    }
    /// Away from a cgroup. False: the cgroup is gone, or has none any more.
    fn take_away(&mut self, cgroup: &str) -> Result<bool, Failure>;
}

/// The cgroup of this path; the whole machine is `/`.
pub(crate) fn target(cgroup: &str) -> Target {
    if cgroup == "/" { Target::System } else { Target::Cgroup(cgroup.to_owned()) }
}

/// Attaches policies, where the kernel asks them.
pub(crate) struct Hook<'a>(pub(crate) &'a System<'a>);

impl Hands for Hook<'_> {
    fn asked_by(&self) -> AskedBy {
        AskedBy::Kernel
    }

    fn bring(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        Ok(oomc_runtime::load_with(self.0, object, &target(cgroup), settings).map(drop)?)
    }

    fn exchange(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        Ok(oomc_runtime::replace(self.0, object, &target(cgroup), settings).map(drop)?)
    }

    fn take_away(&mut self, cgroup: &str) -> Result<bool, Failure> {
        match oomc_runtime::unload(self.0, Some(&target(cgroup))) {
            Ok(_) => Ok(true),
            Err(oomc_runtime::Error::Cgroup { .. } | oomc_runtime::Error::Vacant { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
