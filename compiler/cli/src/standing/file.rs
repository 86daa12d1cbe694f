//! Files of standing policies: `/etc/oomc/policies.d/NAME.toml`.
//!
//! ```toml
//! policy = "web.oom"                 # beside this file, or an absolute path; a .oom or an object
//! cgroup = "/system.slice/web-*"     # or "/" for the whole machine; patterns are those of the language
//! mode = "audit"                     # optional: as the policy says
//!
//! [params]                           # optional; what is not named stays as it is
//! step = "20%"
//!
//! [labels."/system.slice/web-1/db"]  # optional: for a cgroup in it
//! tier = "3"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oomc_compiler::hir::Pattern;
use oomc_runtime::{Assignment, Mode};
use serde::Deserialize;

use super::trusted;
use crate::exit::{Exit, Failure};

/// Files in a folder. Nobody has more, and a folder that somebody fills is not read for ever.
const MOST: usize = 1000;

/// A policy that is to be attached.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    /// The file that says so.
    pub(crate) file: PathBuf,
    /// The policy or object.
    pub(crate) policy: PathBuf,
    /// Where; the whole machine is `/`.
    pub(crate) cgroup: Pattern,
    pub(crate) mode: Option<Mode>,
    pub(crate) params: Vec<Assignment>,
    /// Labels by cgroup.
    pub(crate) labels: Vec<(String, Vec<Assignment>)>,
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    policy: PathBuf,
    cgroup: String,
    mode: Option<WrittenMode>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenMode {
    Audit,
    Enforce,
}

/// Reads every `.toml` file of a folder, in the order of their names; what cannot be read stops nothing else.
pub(crate) fn read_all(folder: &Path) -> Result<(Vec<Standing>, Vec<Failure>), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::refused(format!("cannot look into {}: {error}", folder.display()))
            .help("standing policies are described by files NAME.toml in this folder; `--policies` names another one")
    };
    trusted::believed(folder, &std::fs::metadata(folder).map_err(cannot)?)?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
        if files.len() > MOST {
            return Err(Failure::refused(format!("{} has more than {MOST} files", folder.display())));
        }
    }
    files.sort();
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for file in files {
        match trusted::text(&file).and_then(|text| standing(&file, &text)) {
            Ok(one) => all.push(one),
            Err(failure) => failures.push(failure),
        }
    }
    Ok((all, failures))
}

/// What a file says.
fn standing(file: &Path, text: &str) -> Result<Standing, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", file.display()));
    let written: Written = toml::from_str(text).map_err(|error| {
        let line =
            error.span().and_then(|span| text.get(..span.start)).map(|text| text.matches('\n').count() + 1);
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        wrong(format!("{place}{}", error.message()))
    })?;
    if !written.cgroup.starts_with('/') || written.cgroup.len() > 1 && written.cgroup.ends_with('/') {
        let text =
            format!("`{}` is no path of a cgroup: it begins with `/`, and ends without one", written.cgroup);
        return Err(wrong(text));
    }
    let assignments = |values: BTreeMap<String, String>| {
        values.into_iter().map(|(name, value)| Assignment { name, value }).collect::<Vec<_>>()
    };
    let beside = file.parent().unwrap_or(Path::new("/"));
    Ok(Standing {
        file: file.to_owned(),
        policy: beside.join(&written.policy),
        cgroup: Pattern::new(&written.cgroup),
        mode: written.mode.map(|mode| match mode {
            WrittenMode::Audit => Mode::Audit,
            WrittenMode::Enforce => Mode::Enforce,
        }),
        params: assignments(written.params),
        labels: written.labels.into_iter().map(|(cgroup, of)| (cgroup, assignments(of))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Standing, String> {
        standing(Path::new("/etc/oomc/policies.d/a.toml"), text).map_err(|failure| failure.message)
    }

    #[test]
    fn a_file_names_a_policy_and_where_it_is_attached() {
        let text = "policy = \"web.oom\"\ncgroup = \"/web-*\"\nmode = \"audit\"\n[params]\nstep = \"20%\"\n\
                    [labels.\"/web-1/db\"]\ntier = \"3\"\n";
        let one = read(text).expect("it is right");
        assert_eq!(one.policy, Path::new("/etc/oomc/policies.d/web.oom"));
        assert!(oomc_compiler::hir::glob::matches(&one.cgroup, "/web-2"));
        assert_eq!(one.mode, Some(Mode::Audit));
        assert_eq!((one.params[0].name.as_str(), one.params[0].value.as_str()), ("step", "20%"));
        assert_eq!((one.labels[0].0.as_str(), one.labels[0].1[0].value.as_str()), ("/web-1/db", "3"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = |text: &str| read(text).expect_err("it is wrong");
        assert!(wrong("policy = \"a.oom\"\n").contains("missing field `cgroup`"));
        assert!(
            wrong("policy = \"a\"\ncgroup = \"/a\"\nmood = 1\n").contains("line 3: unknown field `mood`")
        );
        assert!(wrong("policy = \"a\"\ncgroup = \"job\"\n").contains("begins with `/`"));
        assert!(wrong("policy = \"a\"\ncgroup = \"/a\"\nmode = \"on\"\n").contains("unknown variant `on`"));
    }
}
