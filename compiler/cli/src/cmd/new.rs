//! `oomc new NAME [--from POLICY]`

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use oomc_compiler::diag::suggest;
use serde_json::json;

use crate::args::New;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::reason;
use crate::policy;
use crate::report::Report;

/// Bytes of a name, at most: the kernel's log shows it whole, with the hash behind it.
const LONGEST: usize = 54;

/// A policy to begin with; `NAME` stands for its name.
const FIRST: &str = r#"# NAME: say here what it does, and for which cgroup it is meant.
#
# In audit mode it kills nobody: it records what it would do, and the kernel does what it does without a policy.

policy "NAME"

mode audit

rule "largest": kill largest process in subtree reason "{comm} has {footprint} of {cgroup.limit}"

test "the largest process would go" {
    given {
        "/job" { limit 1GiB }
        "/job#100" { comm "small" rss 200MiB }
        "/job#101" { comm "large" rss 700MiB }
    }
    on oom in "/job"
    expect kill process "/job#101" by rule "largest"
    expect reason "large has 700MiB of 1GiB"
}
"#;

pub(crate) fn run(report: &Report, args: &New) -> Outcome {
    let name = args.name.as_str();
    named(name)?;
    let path = PathBuf::from(format!("{name}.oom"));
    let beside = policy::beside(&path);
    let mut files = Vec::new();
    match &args.from {
        None => files.push((path.clone(), FIRST.replace("NAME", name))),
        Some(from) => {
            let found = oomc_stdlib::find(from).ok_or_else(|| unknown(from))?;
            files.push((path.clone(), renamed(found.text, name)));
            files.push((beside.clone(), found.tests.to_owned()));
        }
    }
    // Tests that lie there would be those of the new policy.
    if let Some(there) = [&path, &beside].into_iter().find(|path| fs::symlink_metadata(path).is_ok()) {
        return Err(exists(there));
    }
    let mut written: Vec<&Path> = Vec::new();
    for (path, text) in &files {
        if let Err(failure) = write_new(path, text) {
            // Half of a policy is none.
            for path in written {
                let _ = fs::remove_file(path);
            }
            return Err(failure);
        }
        written.push(path);
    }
    for path in &written {
        report.remark(format_args!("wrote {}", path.display()));
    }
    let path = path.display();
    report.remark(format_args!(
        "next: `oomc test {path}` runs its tests, `oomc check {path}` looks for mistakes"
    ));
    let names: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    report.result("new", Exit::Ok, json!({ "files": names }));
    Ok(Exit::Ok)
}

/// A name is that of a file, of a policy, and what is shown in the kernel's log.
fn named(name: &str) -> Result<(), Failure> {
    let refused = |what: &str, help: String| {
        Err(Failure::new(Exit::Usage, format!("`{name}` is no name of a policy: {what}")).help(help))
    };
    if let Some(stem) = name.strip_suffix(".oom").filter(|stem| !stem.is_empty()) {
        return refused("the ending is added", format!("write `oomc new {stem}`"));
    }
    let known = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.chars().all(known) {
        let help = "a letter, then letters, digits, `-` and `_`; it is written into the current folder";
        return refused("a name is one word", help.to_owned());
    }
    if name.len() > LONGEST {
        return refused("it is too long", format!("at most {LONGEST} letters"));
    }
    Ok(())
}

fn unknown(from: &str) -> Failure {
    let known: Vec<&str> = oomc_stdlib::FILES.iter().map(|policy| policy.name).collect();
    let near = suggest::nearest(&from.replace('-', "_"), known.iter().copied());
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Failure::new(Exit::Usage, format!("the library has no policy `{from}`"))
        .help(format!("{near}it has {}", known.join(", ")))
}

/// The text of a policy under another name.
fn renamed(text: &str, name: &str) -> String {
    let line = |line: &str| match line.starts_with("policy \"") {
        true => format!("policy \"{name}\"\n"),
        false => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn exists(path: &Path) -> Failure {
    Failure::refused(format!("{} is there already", path.display())).help("choose another name, or remove it")
}

/// Writes a file that is not there yet; what somebody else has made in the meantime is his.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::refused(format!("cannot write {}: {}", path.display(), reason(&error))),
    };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(|error| {
        let _ = fs::remove_file(path);
        failed(error)
    })
}
