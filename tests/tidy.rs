//! Rules of the repository that a compiler does not check.

use std::path::{Path, PathBuf};

use oomc_tests::{files, read, root, short};

/// Text files that belong to the project, with their short names.
fn texts() -> Vec<(PathBuf, String)> {
    let endings = [
        "rs", "toml", "md", "oom", "oomt", "pest", "c", "h", "lock", "json", "config", "patch", "yml", "asm",
    ];
    let mut found: Vec<(PathBuf, String)> = files(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| endings.iter().any(|known| end == *known)))
        .map(|path| {
            let name = short(&path);
            (path, name)
        })
        .collect();
    found.extend(
        [".ci/run", ".gitignore"]
            .iter()
            .map(|name| (root().join(name), (*name).to_owned()))
            .filter(|(path, _)| path.exists()),
    );
    found
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The loader's own words, compiled for another machine: without the core library, which is not there for it.
#[test]
fn a_32_bit_machine_is_refused_with_a_sentence() {
    let module = read(&root().join("runtime/src/page.rs"));
    let start = module.find("#[cfg(not(target_pointer_width").expect("the loader looks at the width");
    let end = start + module[start..].find(");\n").expect("its end") + 2;
    let text = format!(
        "#![feature(no_core, rustc_attrs)]\n#![no_core]\n#[rustc_builtin_macro]\n\
         macro_rules! compile_error {{ ($text:expr $(,)?) => {{}}; }}\n{}\n",
        &module[start..end]
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("width");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("width.rs");
    std::fs::write(&file, text).expect("a file");
    let errors = |target: &str| {
        let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--target", target, "--crate-type", "lib", "--emit", "metadata", "-o"])
            .args([&folder.join("width.rmeta"), &file])
            .env("RUSTC_BOOTSTRAP", "1")
            .output()
            .expect("a compiler");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let errors: Vec<String> = said
            .lines()
            .filter(|line| line.starts_with("error: ") && !line.contains("aborting"))
            .map(str::to_owned)
            .collect();
        (output.status.success(), errors)
    };
    for target in ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] {
        assert_eq!(errors(target), (true, Vec::new()), "{target}");
    }
    for target in ["i686-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf"] {
        let (success, errors) = errors(target);
        assert!(
            !success && errors.len() == 1 && errors[0].contains("oomc runs on 64-bit machines only"),
            "{errors:?}"
        );
    }
}

#[test]
fn the_top_level_is_known() {
    let known = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "book",
        "clippy.toml",
        "compiler",
        "deny.toml",
        "examples",
        "grammar",
        "packaging",
        "runtime",
        "rustfmt.toml",
        "stdlib",
        "tests",
        "xtask",
    ];
    let mut found: Vec<String> = std::fs::read_dir(root())
        .expect("the repository can be read")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target" && !name.ends_with(".o"))
        .collect();
    found.sort();
    assert_eq!(found, known, "the top level holds exactly these");
}

#[test]
fn every_module_says_what_it_is_for() {
    let problems: Vec<String> = files(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter_map(|path| {
            let text = read(&path);
            let first = text.lines().next().unwrap_or("");
            let words = first.strip_prefix("//! ").unwrap_or("");
            (words.is_empty() || words.contains("to be written")).then(|| {
                format!("{}: the first line must say what the module is for (`//! …`)", short(&path))
            })
        })
        .collect();
    report(&problems);
}

/// What an author is told stands together, beside the stage that finds the mistake.
#[test]
fn the_front_end_builds_diagnostics_in_constructors() {
    let folders = ["compiler/src/hir/", "compiler/src/resolve/", "compiler/src/syntax/"];
    let builds = ["Diagnostic", "::new("].concat();
    let problems: Vec<String> = files(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| (short(&path), read(&path)))
        .filter(|(name, _)| folders.iter().any(|folder| name.starts_with(folder)))
        .filter(|(name, text)| !name.contains("/errors") && text.contains(&builds))
        .map(|(name, _)| format!("{name}: diagnostics are built by the functions of `errors` beside it"))
        .collect();
    report(&problems);
}

#[test]
fn unsafe_code_stands_in_one_file() {
    // Assembled, so that this file does not hold the words it looks for.
    let keyword = ["un", "safe"].concat();
    let uses = ["{", "fn ", "impl ", "extern "].map(|next| format!("{keyword} {next}"));
    // The machine's first process talks to the kernel itself, and the reference loader is a C library.
    let allowed = |name: &str| name == "runtime/src/sys.rs" || name.starts_with("tests/");
    let problems: Vec<String> = files(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| (short(&path), read(&path)))
        .filter(|(name, text)| !allowed(name) && uses.iter().any(|word| text.contains(word.as_str())))
        .map(|(name, _)| format!("{name}: system calls belong in runtime/src/sys.rs"))
        .collect();
    report(&problems);
}

#[test]
fn every_dependency_has_a_purpose() {
    let text = read(&root().join("Cargo.toml"));
    let mut inside = false;
    let mut comment = false;
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            comment = false;
        } else if inside && line.starts_with('#') {
            comment = true;
        } else if inside && line.is_empty() {
            comment = false;
        } else if inside && line.contains('=') && !line.contains("path =") && !comment {
            problems.push(format!("Cargo.toml:{number}: a line above must say what this is for: {line}"));
        }
    }
    report(&problems);
}

#[test]
fn every_dependency_comes_from_the_workspace() {
    let mut problems = Vec::new();
    for path in files(&root())
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") && path.parent() != Some(&root()))
        // A workspace of its own, which says why.
        .filter(|path| !read(path).contains("\n[workspace]\n"))
    {
        let mut inside = false;
        for (number, line) in (1..).zip(read(&path).lines()) {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && line.contains('=') && !line.contains("workspace = true") {
                problems.push(format!("{}:{number}: name it in the root Cargo.toml: {line}", short(&path)));
            }
        }
    }
    report(&problems);
}

#[test]
fn packages_come_from_the_public_registry() {
    // The name under which cargo writes the public registry, wherever a mirror of it is.
    let index = "registry+https://github.com/rust-lang/";
    let problems: Vec<String> = read(&root().join("Cargo.lock"))
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| !source.trim_matches('"').starts_with(index))
        .map(|source| format!("Cargo.lock: {source}"))
        .collect();
    report(&problems);
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Assembled, so that this file does not hold what it looks for.
    let places =
        [["/ho", "me/"], ["/ro", "ot/"], ["/wo", "rk/"], ["/tm", "p/w"], ["/tm", "p/t-"], ["C:", "\\"]]
            .map(|parts| parts.concat());
    let mut problems = Vec::new();
    for (path, name) in texts() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            for place in &places {
                if line.contains(place.as_str()) && !line.contains(&format!("://{place}")) {
                    problems.push(format!("{name}:{number}: {line}"));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn no_merge_is_left_unfinished() {
    let mark = |line: &str| ["<<<<<<< ", ">>>>>>> ", "||||||| "].iter().any(|mark| line.starts_with(mark));
    let mut problems = Vec::new();
    for (path, name) in texts() {
        let lines = read(&path);
        let found = (1..).zip(lines.lines()).filter(|(_, line)| mark(line));
        problems.extend(found.map(|(number, _)| format!("{name}:{number}: a mark of a merge")));
    }
    report(&problems);
}

#[test]
fn the_changelog_is_open() {
    let text = read(&root().join("CHANGELOG.md"));
    let unreleased = text.split("\n## ").nth(1).unwrap_or("");
    assert!(unreleased.starts_with("Unreleased"), "the first section of CHANGELOG.md is `## Unreleased`");
    assert!(unreleased.contains("\n* "), "`## Unreleased` names at least one change");
}

#[test]
fn markdown_has_one_sentence_per_line() {
    let mut problems = Vec::new();
    for (path, name) in texts().into_iter().filter(|(_, name)| name.ends_with(".md")) {
        let mut fenced = false;
        for (number, line) in (1..).zip(read(&path).lines()) {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let prose = !fenced && !line.starts_with('|') && !line.starts_with("    ");
            if prose && two_sentences(line) {
                problems.push(format!("{name}:{number}: two sentences: {line}"));
            }
        }
    }
    report(&problems);
}

/// A full stop or question mark, a space, and a capital letter, outside of code.
fn two_sentences(line: &str) -> bool {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("x");
    let letters: Vec<char> = prose.chars().collect();
    letters.windows(4).any(|four| match four {
        // Two letters before the stop: `e.g. X`, `1. Xyz` and initials are no ends of sentences.
        [before, '.' | '?' | '!', ' ', next] => before.is_lowercase() && next.is_uppercase(),
        _ => false,
    })
}

#[test]
fn cases_lie_in_folders_that_say_what_belongs_there() {
    let cases = root().join("tests/cases");
    let mut problems = Vec::new();
    for path in files(&cases) {
        let folder = path.parent().unwrap_or(Path::new(""));
        if !folder.join("README.md").exists() {
            problems.push(format!("{}: its folder has no README.md", short(&path)));
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name.chars().last().is_some_and(|last| last.is_ascii_digit()) && name.contains("test") {
            problems.push(format!("{}: name the behaviour, not a number", short(&path)));
        }
    }
    report(&problems);
}

/// Whoever wants something of a policy asks for a value of `compiler/src/pipeline`: two parsers of one text would be
/// two opinions.
#[test]
fn texts_are_parsed_in_one_place() {
    let asks = |path: &PathBuf| read(path).contains("lower_cst::parse(");
    let rust = files(&root()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    // This file holds the words that it looks for.
    let found: Vec<String> = rust.filter(asks).map(|path| short(&path)).collect();
    assert_eq!(found, ["compiler/src/pipeline/parsed.rs", "tests/tidy.rs"]);
}

/// Who builds from source reads which Rust that needs.
#[test]
fn the_readme_names_the_least_rust() {
    let manifest = read(&root().join("Cargo.toml"));
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = line.unwrap_or_default().trim_matches('"');
    let said = format!("Rust {version} or later");
    assert!(
        !version.is_empty() && read(&root().join("README.md")).contains(&said),
        "README.md says `{said}`"
    );
}
