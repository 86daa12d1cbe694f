//! A field, a counter of `memory.stat`, or a kernel function, is one row of a table: shown by adding one of each.
//!
//! The repository is copied beside the build, rows are inserted into the copy's tables, and the copy's own tests run
//! cases that use them, print its book, and play them in the simulator and before the oracle. Nothing else of the copy
//! is changed but its version, and the files that speak of the counter in the end are counted. It lies in the target
//! directory, which it shares: what others wrote is built already, and a second run of the test builds nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use oomc_tests::{child, files, read, root};

/// The text from one mark up to another, which is left out.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no `{from}`"));
    let rest = &text[start..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("no `{to}` behind `{from}`"))]
}

/// A table with one row more, which is a row of its own with other words.
fn add(table: &str, row: &str, words: &[(&str, &str)]) -> String {
    let mut added = row.to_owned();
    for (old, new) in words {
        assert!(added.contains(old), "the row that is copied has no `{old}`:\n{added}");
        added = added.replace(old, new);
    }
    table.replacen(row, &format!("{row}{added}"), 1)
}

/// A field needs nothing but its row: from the policy down to the record by which a loader finds the member.
const FIELD: &str = r#"#! test: check, hir, ir, asm, object
#! emit: btf

kill largest process in subtree where minor_faults > 1000
"#;

/// No construct calls a new function, so its case is IR: the row is all that reading, checking and register allocation
/// need. The embedded BTF lacks the function; `cargo xtask btf` would mend that.
const ACQUIRE: &str = r#"#! test: ir, regalloc

function %f {
    fd0 = mem_cgroup.css.cgroup
block0:
    v0 = call bpf_get_root_mem_cgroup()
    br ne v0, 0, block1, block4
block1:
    v1 = load.ptr v0, fd0
    v2 = call bpf_cgroup_acquire(v1)
    br ne v2, 0, block2, block3
block2:
    call bpf_cgroup_release(v2)
    jump block3
block3:
    call bpf_put_mem_cgroup(v0)
    return 1
block4:
    return 0
}
"#;

/// A counter needs its row and a case that decides by it; the simulator and the oracle play the case.
const COUNTER: &str = r#"#! test: run

# A field and a counter that were added are read as all others are.

rule "clean": if cgroup.file_dirty < 1GiB then kill largest process in subtree where minor_faults >= 0
rule "wrong": kill smallest in subtree

#> cgroup /job max 60MiB
#> task big in /job anon 34MiB
#> task small in /job anon 5MiB
#> load --cgroup /job
#> grow small by 40MiB
#> expect big killed
#> expect small alive
"#;

/// The row of the counter, to be put before the events.
const COUNTER_ROW: &str = r#"                /// Page cache that was changed and not yet written, in bytes.
                file_dirty = FileDirty {
                    file_dirty: node_stat_item [NR_FILE_DIRTY],
                    field Bytes "page cache that was changed and not yet written"
                }
"#;

/// The files that may speak of the counter: its row, its case, and the tables of the book, which are printed.
const OF_THE_COUNTER: [&str; 5] = [
    "book/src/kernel/fields.md",
    "book/src/kernel/snapshot.md",
    "book/src/language/tests.md",
    "compiler/abi/src/amounts.rs",
    "tests/cases/run/added_row_counter.oom",
];

/// The version of the copy: to cargo, packages of the same name, version and place in their workspace are the same,
/// and it would take what one was built from for what the other is.
const VERSION: &str = "0.0.0-row";

/// The files that give a version, with the copy's.
fn versions() -> Vec<(PathBuf, String)> {
    let [manifest, lock] = ["Cargo.toml", "Cargo.lock"].map(|name| read(&root().join(name)));
    let version = between(&manifest, "version = \"", "\nedition").to_owned();
    let own = format!("version = {VERSION:?}");
    let manifest = manifest.replacen(&version, &own, 1);
    // A package of somebody else has a source behind its version.
    let packages = lock.split("[[package]]").map(|package| match package.contains("\nsource = ") {
        true => package.to_owned(),
        false => package.replace(&version, &own),
    });
    let lock = packages.collect::<Vec<_>>().join("[[package]]");
    vec![("Cargo.toml".into(), manifest), ("Cargo.lock".into(), lock)]
}

/// The tables of the copy, by path, and the cases that use their new rows.
fn changes() -> Vec<(PathBuf, String)> {
    let path = |name: &str| PathBuf::from(name);
    let fields = read(&root().join("compiler/abi/src/fields.rs"));
    let start = fields.find("pub static FIELDS").unwrap_or_else(|| panic!("no table of fields"));
    // Rows are told apart by how they begin; this one is of a number in `task_struct`.
    let row = fields[start..].split_inclusive("\n    },\n").find(|row| row.contains("name: \"pid\""));
    let row = row.unwrap_or_else(|| panic!("no row of `pid`"));
    let fields =
        add(&fields, row, &[("name: \"pid\"", "name: \"minor_faults\""), ("\"tgid\"", "\"min_flt\"")]);

    let kfuncs = read(&root().join("compiler/abi/src/kfuncs.rs"));
    let row = between(&kfuncs, "    /// Takes a reference on a task.\n", "    /// Gives it back.\n");
    let kfuncs = add(
        &kfuncs,
        row,
        &[
            ("TASK_ACQUIRE =", "CGROUP_ACQUIRE ="),
            ("\"bpf_task_acquire\"", "\"bpf_cgroup_acquire\""),
            (
                "struct task_struct *bpf_task_acquire(struct task_struct *p)",
                "struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp)",
            ),
        ],
    );

    let amounts = read(&root().join("compiler/abi/src/amounts.rs"));
    let events = "            }\n            events {\n";
    assert_eq!(amounts.matches(events).count(), 1, "the table of amounts has another form");
    let amounts = amounts.replacen(events, &format!("{COUNTER_ROW}{events}"), 1);
    vec![
        (path("compiler/abi/src/amounts.rs"), amounts),
        (path("compiler/abi/src/fields.rs"), fields),
        (path("compiler/abi/src/kfuncs.rs"), kfuncs),
        (path("tests/cases/hir/added_row_field.oom"), FIELD.to_owned()),
        (path("tests/cases/ir/added_row_acquire.ir"), ACQUIRE.to_owned()),
        (path("tests/cases/run/added_row_counter.oom"), COUNTER.to_owned()),
    ]
}

/// Writes what differs and no more: cargo builds again what is younger than its build.
fn write(path: &Path, content: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == content) {
        return;
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The repository in a folder, with what is changed.
fn copy(to: &Path, changes: &[(PathBuf, String)]) {
    let mut wanted: Vec<PathBuf> = changes.iter().map(|(path, _)| to.join(path)).collect();
    for from in files(&root()) {
        let path = from.strip_prefix(root()).unwrap_or(&from);
        if !changes.iter().any(|(changed, _)| changed == path) {
            let content = fs::read(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
            write(&to.join(path), &content);
            wanted.push(to.join(path));
        }
    }
    for (path, text) in changes {
        write(&to.join(path), text.as_bytes());
    }
    for path in files(to).into_iter().filter(|path| !wanted.contains(path)) {
        fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Builds one of the copy's tests and runs parts of it, which must be so many. What they print is blessed, so that there
/// is something to read.
fn run(copy: &Path, test: &str, parts: &[&str], count: usize) {
    let place = copy.parent().and_then(Path::parent).unwrap_or(copy);
    // A build for a named target has a folder of its own in the target directory, and only what lies there is built
    // already. What cargo knows of the compiler lies on top.
    let above = place.parent().filter(|above| above.join(".rustc_info.json").exists());
    let (shared, target) = (above.unwrap_or(place), above.and_then(|_| place.file_name()));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The compiler runs for a moment only, so it need not be fast.
    for package in ["oomc-abi", "oomc-grammar", "oomc-compiler"] {
        cargo.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=0"));
    }
    // The whole workspace, although one test is meant: so the packages of others have the features that the gate built
    // them with.
    cargo.args(["test", "--offline", "--locked", "--workspace", "--test", test]);
    if let Some(target) = target {
        cargo.arg("--target").arg(target);
    }
    cargo.arg("--").args(parts).env("CARGO_TARGET_DIR", shared).env("OOMC_BLESS", "1");
    let output =
        child::run(&mut cargo, copy, Duration::from_secs(600)).unwrap_or_else(|error| panic!("{error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(&format!(" {count} passed")), "{said}{errors}");
}

#[test]
fn a_row_and_a_case_are_all_that_a_field_or_a_function_needs() {
    let copy_of = Path::new(env!("CARGO_TARGET_TMPDIR")).join("add_row");
    copy(&copy_of, &[changes(), versions()].concat());
    run(&copy_of, "cases", &["added_row"], 2);
    let tables = [
        "the_tables_of_the_book_are_those_of_the_compiler",
        "the_chapter_of_tests_lists_what_can_be_given",
        "the_page_of_the_snapshot_is_its_schema",
    ];
    run(&copy_of, "docs", &tables, 3);
    let played = ["every_construct_has_a_case_in_the_machine", "every_construct_is_compared_with_the_kernel"];
    run(&copy_of, "covered", &played, 2);

    let speaks = |path: &PathBuf| {
        fs::read_to_string(path).is_ok_and(|text| text.contains("file_dirty"))
            && path.strip_prefix(&copy_of).is_ok_and(|path| path != Path::new("tests/add_row.rs"))
    };
    let of_counter: Vec<PathBuf> = files(&copy_of).into_iter().filter(speaks).collect();
    assert_eq!(of_counter, OF_THE_COUNTER.map(|path| copy_of.join(path)));

    let case = |name: &str| read(&copy_of.join("tests/cases").join(name));
    let part = |case: &str, name: &str| {
        let part = case.split("#== ").find(|part| part.starts_with(name));
        part.unwrap_or_else(|| panic!("nothing of `{name}`:\n{case}")).to_owned()
    };
    let field = case("hir/added_row_field.oom");
    for (stage, wanted) in [
        ("hir", "where (candidate0.minor_faults > 1000)"),
        ("ir", "= task_struct.min_flt"),
        ("asm", "; task_struct.min_flt"),
        ("object", "FieldByteOffset task_struct.min_flt"),
    ] {
        assert!(part(&field, stage).contains(wanted), "{stage}: no `{wanted}`:\n{field}");
    }
    let acquire = case("ir/added_row_acquire.ir");
    assert!(part(&acquire, "ir").contains("v2 = call bpf_cgroup_acquire(v1)"), "{acquire}");
    assert!(part(&acquire, "regalloc").contains("call bpf_cgroup_acquire\n"), "{acquire}");
}
