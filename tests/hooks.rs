//! What a repository of policies takes to refuse wrong ones: the hook for git, those for pre-commit, the action for GitHub.
//!
//! Git runs the hook; of the other two the commands are run as they would be.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oomc_tests::child::fresh_folder;
use oomc_tests::{read, root};
use serde::Deserialize;

const GOOD: &str = "kill largest in subtree\n\ntest \"the larger one\" {\n    given {\n        \"/job\" { limit 1GiB }\n        \
                    \"/job#101\" { rss 700MiB }\n        \"/job#102\" { rss 100MiB }\n    }\n    on oom in \"/job\"\n    \
                    expect kill process \"/job#101\"\n}\n";

/// What is wrong, as a policy's text, and a word that says so.
fn wrong() -> [(String, &'static str); 3] {
    [
        (GOOD.replace("largest", "larges"), "larges"),
        (GOOD.replace("kill largest in", "kill  largest in"), "not in canonical form"),
        (GOOD.replace("\"/job#101\"\n}", "\"/job#102\"\n}"), "FAILED"),
    ]
}

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hooks").join(name);
    fresh_folder(&folder, files).unwrap();
    folder
}

/// Runs a program that finds this `oomc` first.
fn run(folder: &Path, program: &str, args: &[&str], variables: &BTreeMap<String, String>) -> (bool, String) {
    let own = Path::new(env!("CARGO_BIN_EXE_oomc")).parent().unwrap();
    let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.current_dir(folder).args(args).env("PATH", path).envs(variables);
    // Nobody's own settings of git.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{program} (Debian package {program}): {error}"));
    (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn git(folder: &Path, args: &[&str]) -> (bool, String) {
    let who = ["-c", "user.name=author", "-c", "user.email=author@example.org"];
    run(folder, "git", &[&who, args].concat(), &BTreeMap::new())
}

#[test]
fn the_hook_refuses_what_would_be_committed() {
    let at = folder("git", &[("policies/job.oom", GOOD), ("other.txt", "x")]);
    assert!(git(&at, &["init", "--quiet"]).0);
    fs::create_dir_all(at.join(".git/hooks")).unwrap();
    fs::copy(root().join("packaging/git/pre-commit"), at.join(".git/hooks/pre-commit")).unwrap();
    let commit = || {
        assert!(git(&at, &["add", "--all"]).0);
        git(&at, &["commit", "--quiet", "--message", "x"])
    };
    let (done, said) = commit();
    assert!(done, "{said}");
    for (text, word) in wrong() {
        fs::write(at.join("policies/job.oom"), text).unwrap();
        let (done, said) = commit();
        assert!(!done && said.contains(word), "{word}: {said}");
    }
    // What is staged counts, not what lies in the folder.
    fs::write(at.join("policies/job.oom"), GOOD.replace("700", "800")).unwrap();
    assert!(git(&at, &["add", "--all"]).0);
    fs::write(at.join("policies/job.oom"), "nothing\n").unwrap();
    let (done, said) = git(&at, &["commit", "--quiet", "--message", "x"]);
    assert!(done, "{said}");
    // A change of something else is nobody's business here.
    fs::write(at.join("other.txt"), "y").unwrap();
    assert!(git(&at, &["add", "other.txt"]).0);
    let (done, said) = git(&at, &["commit", "--quiet", "--message", "x"]);
    assert!(done, "{said}");
}

#[derive(Deserialize)]
struct Hook {
    entry: String,
    language: String,
    files: String,
}

#[test]
fn the_hooks_of_pre_commit_refuse_what_is_wrong() {
    let hooks: Vec<Hook> = serde_saphyr::from_str(&read(&root().join(".pre-commit-hooks.yaml"))).unwrap();
    assert_eq!(hooks.len(), 3);
    let at = folder("pre-commit", &[]);
    // pre-commit puts the names of files behind the entry.
    let runs = |hook: &Hook| {
        assert_eq!((hook.language.as_str(), hook.files.as_str()), ("system", "\\.oomt?$"));
        let words: Vec<&str> = hook.entry.split(' ').collect();
        run(&at, words[0], &[&words[1..], &["job.oom"]].concat(), &BTreeMap::new())
    };
    fs::write(at.join("job.oom"), GOOD).unwrap();
    for hook in &hooks {
        let (good, said) = runs(hook);
        assert!(good, "{}: {said}", hook.entry);
    }
    for ((text, word), hook) in wrong().into_iter().zip(&hooks) {
        fs::write(at.join("job.oom"), text).unwrap();
        let (good, said) = runs(hook);
        assert!(!good && said.contains(word), "{}: {said}", hook.entry);
    }
}

#[derive(Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
    runs: Runs,
}

#[derive(Deserialize)]
struct Input {
    default: String,
}

#[derive(Deserialize)]
struct Runs {
    using: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    shell: String,
    run: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// Runs the steps up to the one that fails, as GitHub does, and gives its name and what was said.
fn act(action: &Action, at: &Path, given: &[(&str, &str)]) -> (Option<String>, String) {
    let mut all = String::new();
    for step in &action.runs.steps {
        let value = |text: &String| {
            let name = text.trim_start_matches("${{ inputs.").trim_end_matches(" }}");
            let input = action.inputs.get(name).unwrap_or_else(|| panic!("there is no input {text}"));
            let given = given.iter().find(|(known, _)| *known == name);
            given.map_or_else(|| input.default.clone(), |(_, value)| (*value).to_owned())
        };
        let variables = step.env.iter().map(|(name, text)| (name.clone(), value(text))).collect();
        assert!(!step.run.contains("${{"), "{}: what is given is no part of a program", step.name);
        let (good, said) = run(at, &step.shell, &["-e", "-o", "pipefail", "-c", &step.run], &variables);
        all.push_str(&said);
        if !good {
            return (Some(step.name.clone()), all);
        }
    }
    (None, all)
}

#[test]
fn the_action_names_the_line() {
    let action: Action = serde_saphyr::from_str(&read(&root().join("packaging/github/action.yml"))).unwrap();
    assert_eq!(action.runs.using, "composite");
    let at = folder("action", &[("policies/job.oom", GOOD)]);
    let (failed, said) = act(&action, &at, &[]);
    assert_eq!(failed, None, "{said}");
    for ((text, word), step) in wrong().into_iter().zip(["Check", "Form", "Test"]) {
        fs::write(at.join("policies/job.oom"), text).unwrap();
        let (failed, said) = act(&action, &at, &[("path", "policies")]);
        assert!(failed.as_deref() == Some(step) && said.contains(word), "{step}: {failed:?} {said}");
        assert!(step == "Form" || said.contains("::error file=policies/job.oom,line="), "{said}");
    }
    fs::write(at.join("policies/job.oom"), format!("const floor = 4KiB\n\n{GOOD}")).unwrap();
    assert_eq!(act(&action, &at, &[]).0, None);
    assert_eq!(act(&action, &at, &[("deny-warnings", "true")]).0.as_deref(), Some("Check"));
    // What is given is a word, whatever stands in it.
    let (failed, said) = act(&action, &at, &[("path", "$(touch broken); x")]);
    assert!(failed.is_some() && !at.join("broken").exists(), "{said}");
}
