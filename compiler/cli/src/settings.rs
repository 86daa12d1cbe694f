//! `oomc.toml`: found in the folder of a policy, or in the nearest one above that has it.
//!
//! What the file says is the business of `oomc-settings`; here it is found, read, and told of. A flag of the command line
//! is stronger than the file.

use std::path::{Path, PathBuf};

use oomc_compiler::{KernelView, Source};
use oomc_settings::{MAX_BYTES, NAME, Settings};

use crate::args::Kernel;
use crate::cmd::{exit_of, tell, view, view_of};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::policy::Unready;
use crate::report::Report;

/// What holds for a policy.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) settings: Settings,
    /// The file that names a kernel's types.
    btf: Option<PathBuf>,
}

impl Found {
    /// The kernel to compile for: the one that the command line names, that of the settings, or the reference kernel.
    pub(crate) fn view(&self, kernel: &Kernel) -> Result<KernelView, Failure> {
        match (&kernel.btf, &self.btf) {
            (None, Some(btf)) => {
                view_of(btf).map_err(|failure| failure.help(format!("{NAME} names it as `btf`")))
            }
            _ => view(kernel),
        }
    }

    /// The file of the types for which policies with these settings are compiled, if it is not the reference kernel's.
    pub(crate) fn kernel<'a>(&'a self, kernel: &'a Kernel) -> Option<&'a Path> {
        kernel.btf.as_deref().or(self.btf.as_deref())
    }
}

/// The types of a kernel that settings name; none where they cannot be read, which a run tells.
pub(crate) fn kernel_of(settings: &Path) -> Option<PathBuf> {
    let bytes = files::read_at_most(settings, MAX_BYTES as u64).ok()??;
    let source = Source::from_bytes(NAME, &bytes).ok()?;
    let btf = Settings::read(&source).ok()?.btf?;
    Some(settings.with_file_name(btf))
}

/// The settings of a policy; what is wrong with them is told. `deny` makes errors of warnings of which they say nothing.
pub(crate) fn of(report: &Report, policy: &Path, deny: bool) -> Result<Result<Found, Unready>, Failure> {
    let Some(path) = find(policy) else {
        return Ok(Ok(Found { settings: with(Settings::default(), deny), btf: None }));
    };
    let name = path.display().to_string();
    // One byte more than there may be is enough to be refused.
    let bytes = files::read_at_most(&path, MAX_BYTES as u64)?.unwrap_or_else(|| vec![b'#'; MAX_BYTES + 1]);
    let read = match Source::from_bytes(name.as_str(), &bytes) {
        Ok(source) => Settings::read(&source).map_err(|problems| (source, problems)),
        Err(problem) => Err((Source::new(name, ""), vec![problem])),
    };
    Ok(match read {
        Ok(settings) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let btf = settings.btf.as_ref().map(|btf| folder.join(btf));
            Ok(Found { settings: with(settings, deny), btf })
        }
        Err((source, problems)) => {
            Err(Unready { exit: exit_of(&problems), diagnostics: tell(report, &source, &problems) })
        }
    })
}

/// The kernel that all of these policies are for: one machine is simulated.
pub(crate) fn one_kernel<'a>(
    policies: impl IntoIterator<Item = (&'a Path, &'a Found)>,
    named: &Kernel,
) -> Result<KernelView, Failure> {
    let mut policies = policies.into_iter();
    let Some((first, found)) = policies.next() else { return view(named) };
    if let Some((other, _)) = policies.find(|(_, other)| other.kernel(named) != found.kernel(named)) {
        let message = format!("{} and {} are for different kernels", files::name(first), files::name(other));
        return Err(Failure::new(Exit::Usage, message).help("try them apart, or name a kernel with `--btf`"));
    }
    found.view(named)
}

fn with(settings: Settings, deny: bool) -> Settings {
    if deny { settings.denying() } else { settings }
}

/// The nearest file, from the policy's folder upwards; a policy from standard input lies in the current folder.
pub(crate) fn find(policy: &Path) -> Option<PathBuf> {
    let here = Path::new(".");
    let folder = match policy.parent() {
        Some(folder) if !files::is_dash(policy) && !folder.as_os_str().is_empty() => folder,
        _ => here,
    };
    // What lies beside the policy is named as the policy is; above, links lead nowhere else than the folders do.
    let beside = folder.join(NAME);
    if beside.is_file() {
        return Some(beside.strip_prefix(here).map(Path::to_owned).unwrap_or(beside));
    }
    let whole = std::fs::canonicalize(folder).ok()?;
    whole.ancestors().skip(1).map(|folder| folder.join(NAME)).find(|path| path.is_file())
}
