//! Mistakes as people make them: what each costs, and whether the help repairs it.
//!
//! `tests/mistakes/written` holds texts that do not compile, or did not when they were collected;
//! `tests/mistakes/certain` such as compile and are certainly not meant. `tests/mistakes/table.txt` says of each how
//! many diagnostics it costs, with code, line, column, help and what each fix makes of it; `OOMC_BLESS=1` writes it.

#![expect(clippy::disallowed_methods, reason = "the compiler reads no files; this test does")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oomc_compiler::diag::fix::repair;
use oomc_compiler::diag::{Diagnostic, Fix, Severity};
use oomc_compiler::{KernelView, Source, compile};

/// Said of every policy with `never`: it hides nothing, and tells nothing of a mistake.
const ALWAYS: &str = "W0603";

/// Files with so many mistakes; every other one has one.
const SEVERAL: &[(&str, usize)] = &[
    // Accepted: what they say is the language's, or harmless.
    ("44_crlf", 0),
    ("d8_pid", 0),
    ("f7_trailing_comma", 0),
    ("g8_hash_in_string", 0),
    ("j4_noeol", 0),
    ("i4_then_two", 0),
    ("audit_default", 0),
    ("f", 0),
    ("labelrange", 0),
    ("oomkill0", 0),
    ("pathrel", 0),
    ("pathstar", 0),
    ("raiselow", 0),
    ("sizeterm", 0),
    ("threeelse", 0),
    ("cnt2", 0),
    ("cnt4", 0),
    // Two mistakes in one text.
    ("e7_given_units", 2),
    ("e8_expect_unknown", 2),
    ("cascade5", 2),
];

/// The top folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files in a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A text that a policy is read from.
struct Mistake {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn mistakes(folder: &str) -> Vec<Mistake> {
    let folder = root().join("tests/mistakes").join(folder);
    let one = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", short(&path)));
        Mistake { name, path, bytes }
    };
    files(&folder).into_iter().map(one).collect()
}

/// What is said of a text, in order.
fn said(text: &str, view: &KernelView) -> Vec<Diagnostic> {
    let said = compile(&Source::new("policy.oom", text), view).diagnostics;
    said.into_iter().filter(|one| one.code.id() != ALWAYS).collect()
}

/// Line and column of a place; columns count characters.
fn place(text: &str, diagnostic: &Diagnostic) -> String {
    let Some(span) = diagnostic.span() else { return "-".to_owned() };
    let before = text.get(..span.range().start).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{line}:{column}")
}

fn like(one: &Diagnostic, list: &[Diagnostic]) -> usize {
    list.iter().filter(|other| other.code == one.code && other.message == one.message).count()
}

/// What a fix makes of a text: `repaired`, or why not.
fn outcome(text: &str, fixed: &Diagnostic, fix: &Fix, view: &KernelView) -> String {
    let Some(text_after) = fix.apply(text) else { return "does not fit the text".to_owned() };
    let (before, after) = (said(text, view), said(&text_after, view));
    if like(fixed, &after) >= like(fixed, &before) {
        return "not repaired".to_owned();
    }
    // What an error hid comes to light: warnings, and what the author must still decide.
    let new: Vec<String> = after
        .iter()
        .filter(|one| one.severity == Severity::Error && like(one, &after) > like(one, &before))
        .map(|one| format!("{} {}", one.code, one.message))
        .collect();
    if new.is_empty() { "repaired".to_owned() } else { format!("then {}", new.join("; ")) }
}

/// The text in one line, as far as a reader needs it.
fn shown(text: &str) -> String {
    let line = text
        .trim_end()
        .escape_debug()
        .to_string()
        .replace("\\n", " ⏎ ")
        .replace("\\\"", "\"")
        .replace("\\'", "'");
    if line.chars().count() > 100 { line.chars().take(99).chain(['…']).collect() } else { line }
}

fn row(out: &mut String, mistake: &Mistake, view: &KernelView) {
    let Mistake { name, bytes, .. } = mistake;
    let Ok(source) = Source::from_bytes("policy.oom", bytes) else {
        let unreadable = Source::from_bytes("policy.oom", bytes).err();
        let code = unreadable.as_ref().map_or("-", |one| one.code.id());
        let help = unreadable.as_ref().and_then(|one| one.help.clone()).unwrap_or_default();
        let _ = writeln!(out, "{name}: 1\n    {code} -\n        help: {help}\n");
        return;
    };
    let text = source.text.as_str();
    let said = said(text, view);
    let _ = writeln!(out, "{name}: {}\n    | {}", said.len(), shown(text));
    for one in &said {
        let _ = writeln!(out, "    {} {} {}", one.code, place(text, one), one.message);
        let _ = writeln!(out, "        help: {}", one.help.as_deref().unwrap_or("-"));
        for fix in &one.fixes {
            let sure = if fix.certain { "certain" } else { "possible" };
            let after = fix.apply(text).unwrap_or_default();
            let _ = writeln!(out, "        {sure}: {} | {}", outcome(text, one, fix, view), shown(&after));
        }
    }
    out.push('\n');
}

#[test]
fn the_table_says_what_each_mistake_costs() {
    let view = KernelView::embedded();
    let mut table = String::from(
        "What each text of tests/mistakes costs: how many diagnostics, code, line and column of each, its help,\n\
         and what becomes of the text with each of its fixes. W0603 is left out.\n\n",
    );
    for folder in ["written", "certain"] {
        let _ = writeln!(table, "== {folder}\n");
        mistakes(folder).iter().for_each(|mistake| row(&mut table, mistake, &view));
    }
    let path = root().join("tests/mistakes/table.txt");
    if std::env::var_os("OOMC_BLESS").is_some() {
        std::fs::write(&path, &table).unwrap_or_else(|error| panic!("{}: {error}", short(&path)));
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(table.lines()).find(|(golden, now)| golden != now);
    assert!(
        golden == table,
        "tests/mistakes/table.txt says otherwise: {differs:?}; OOMC_BLESS=1 rewrites it"
    );
}

#[test]
fn one_mistake_costs_one_diagnostic() {
    let view = KernelView::embedded();
    let mut problems = Vec::new();
    for mistake in ["written", "certain"].into_iter().flat_map(mistakes) {
        let Ok(source) = Source::from_bytes("policy.oom", &mistake.bytes) else { continue };
        let wanted = SEVERAL.iter().find(|(name, _)| *name == mistake.name).map_or(1, |(_, count)| *count);
        let found = said(&source.text, &view);
        if found.len() != wanted {
            let codes: Vec<String> =
                found.iter().map(|one| format!("{} {}", one.code, one.message)).collect();
            problems.push(format!(
                "{}: {} instead of {wanted}: {}",
                mistake.name,
                found.len(),
                codes.join("; ")
            ));
        }
        for one in found.iter().filter(|one| one.help.as_deref().unwrap_or("").is_empty()) {
            problems.push(format!("{}: {} has no help", mistake.name, one.code));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The kernel that the header of a case names.
fn view_of(text: &str) -> KernelView {
    let named = text.lines().find_map(|line| line.strip_prefix("#! btf:"));
    let Some(name) = named else { return KernelView::embedded() };
    let path = root().join("tests/btf").join(name.trim());
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", short(&path)));
    KernelView::from_btf(&bytes).unwrap_or_else(|error| panic!("{}: {error}", short(&path)))
}

fn texts() -> Vec<(PathBuf, String)> {
    let cases = files(&root().join("tests/cases/check"));
    let is_policy = |path: &Path| path.extension().is_some_and(|end| end == "oom");
    let own = ["written", "certain"].into_iter().flat_map(mistakes).map(|mistake| mistake.path);
    let all = cases.into_iter().filter(|path| is_policy(path)).chain(own);
    all.filter_map(|path| std::fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

/// Repairs after which the author has another mistake to repair, which the first one hid, or which stands in the same
/// place: a beginning of the file's name and the code.
const HIDES_ANOTHER: &[(&str, &str)] = &[
    ("mistyped_word.oom", "E0101"),
    ("number_that_does_not_fit.oom", "E0304"),
    ("params_have_a_range.oom", "E0312"),
    ("picks_are_cgroups.oom", "E0208"),
    ("tests_of_what_cannot_be.oom", "E0409"),
    ("the_event.oom", "E0208"),
    ("b2_emoji_before.txt", "E0209"),
    ("j6_ls.txt", "E0104"),
    ("cascade4.txt", "E0101"),
];

#[test]
fn every_fix_repairs_its_mistake_and_makes_no_other() {
    let (mut problems, mut tried, mut certain) = (Vec::new(), 0, 0);
    for (path, text) in texts() {
        let view = view_of(&text);
        for one in said(&text, &view) {
            for fix in &one.fixes {
                tried += 1;
                certain += usize::from(fix.certain);
                let outcome = outcome(&text, &one, fix, &view);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let hides = HIDES_ANOTHER.contains(&(&*name, one.code.id())) && outcome.starts_with("then ");
                if outcome != "repaired" && !hides {
                    let (code, title) = (one.code, &fix.title);
                    problems.push(format!(
                        "{} {code} {}: {title}: {outcome}",
                        short(&path),
                        place(&text, &one)
                    ));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert!(tried > 100 && certain > 60, "only {tried} fixes were tried, {certain} of them certain");
}

#[test]
fn what_is_repaired_is_repaired() {
    let view = KernelView::embedded();
    for mistake in ["written", "certain"].into_iter().flat_map(mistakes) {
        let Ok(source) = Source::from_bytes("policy.oom", &mistake.bytes) else { continue };
        let check = |text: &str| said(text, &view);
        let once = repair(&source.text, true, &check);
        let twice = repair(&once.text, true, &check);
        assert!(twice.made.is_empty(), "{}: a second run repairs more", mistake.name);
        assert!(once.left.len() <= check(&source.text).len().max(2), "{}: {:?}", mistake.name, once.left);
    }
}
