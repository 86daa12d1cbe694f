//! Documentation is executed: what a page shows as a policy compiles, what it shows as a mistake fails so.
//!
//! A fenced block of policy is opened by one of
//!
//! ```text
//! oom                            compiles without an error
//! oom,fail(E0302)                is refused with this code
//! oom,warn(W0601)                compiles, with this warning
//! oom,fail(E0501),btf(no_raise)  the same against the kernel of tests/btf/no_raise.btf
//! oom,file(job.oom)              the same; a file for the commands of the page (`transcripts`)
//! oom,tests                      tests of a policy that stands elsewhere: the grammar reads them
//! ```

use std::path::{Path, PathBuf};

use oomc_abi::amounts::{File, ROWS};
use oomc_abi::fields::{FIELDS, Field, Measure, Owner};
use oomc_abi::kfuncs::{KFUNCS, Kfunc};
use oomc_abi::scenario::{self, EXTRAS};
use oomc_compiler::diag::{Code, Severity};
use oomc_compiler::{KernelView, Parsed, Source, Stage};
use oomc_grammar::precedence::{Fix, Level, TABLE};
use oomc_sim::scenario::DEFAULTS;
use oomc_tests::{files, read, root, short};

/// Codes whose mistake cannot stand in a page: bytes that are no text, a file of megabytes, a clause of 64 KiB,
/// more errors than anybody reads, settings beside a policy, and a kernel without a member that every kernel with the hook has.
const NOT_SHOWABLE: &[&str] = &["E0102", "E0103", "E0109", "E0113", "E0117", "E0502"];

/// One fenced block.
struct Block {
    place: String,
    text: String,
    tests: bool,
    fail: Option<String>,
    warn: Option<String>,
    btf: Option<String>,
}

fn pages() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for folder in ["book/src", "examples", "compiler/src/diag/docs", "stdlib"] {
        found.extend(
            files(&root().join(folder))
                .into_iter()
                .filter(|path| path.extension().is_some_and(|end| end == "md")),
        );
    }
    found
}

/// The blocks of policy in a page. A block inside a list is indented with it.
fn blocks(path: &Path) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<(usize, bool)> = None;
    for (number, line) in (1..).zip(read(path).lines()) {
        let trimmed = line.trim_start();
        let Some(info) = trimmed.strip_prefix("```") else {
            if let (Some((indent, true)), Some(block)) = (open, found.last_mut()) {
                let line = line.get(indent..).unwrap_or("");
                // The book shows a file of the repository as it is.
                let included = line.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
                let included = included.map(|name| read(&path.parent().unwrap_or(path).join(name)));
                block.text.push_str(included.as_deref().unwrap_or(line).trim_end_matches('\n'));
                block.text.push('\n');
            }
            continue;
        };
        if open.take().is_some() {
            continue;
        }
        let mut words = info.split(',').map(str::trim);
        let policy = words.next() == Some("oom");
        open = Some((line.len() - trimmed.len(), policy));
        if policy {
            let place = format!("{}:{number}", short(path));
            let mut block =
                Block { place, text: String::new(), tests: false, fail: None, warn: None, btf: None };
            for word in words {
                let value = |key: &str| {
                    word.strip_prefix(key)?.strip_prefix('(')?.strip_suffix(')').map(str::to_owned)
                };
                match (value("fail"), value("warn"), value("btf"), value("file")) {
                    (Some(code), ..) => block.fail = Some(code),
                    (_, Some(code), ..) => block.warn = Some(code),
                    (_, _, Some(name), _) => block.btf = Some(name),
                    (.., Some(_)) => {}
                    _ if word == "tests" => block.tests = true,
                    _ => panic!("{}: `{word}` is nothing that a block of policy can say", block.place),
                }
            }
            found.push(block);
        }
    }
    found
}

fn view(btf: Option<&str>) -> Result<KernelView, String> {
    let Some(name) = btf else { return Ok(KernelView::embedded()) };
    let path = root().join("tests/btf").join(name).with_extension("btf");
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", short(&path)))?;
    KernelView::from_btf(&bytes).map_err(|error| format!("{}: {error}", short(&path)))
}

/// What is wrong with a block, if anything.
fn problem(block: &Block) -> Option<String> {
    let view = match view(block.btf.as_deref()) {
        Ok(view) => view,
        Err(error) => return Some(error),
    };
    let source = Source::new("page.oom", block.text.clone());
    if block.tests {
        let wrong = Parsed::new(source).diagnostics();
        return wrong.first().map(|first| format!("must be read, gave {} {first}", first.code));
    }
    let compiled = oomc_compiler::compile(&source, &view);
    let has = |code: &str| compiled.diagnostics.iter().any(|found| found.code.id() == code);
    let list = || {
        let found: Vec<String> =
            compiled.diagnostics.iter().map(|found| format!("{} {found}", found.code)).collect();
        if found.is_empty() { "nothing".to_owned() } else { found.join("; ") }
    };
    match (&block.fail, &block.warn) {
        (Some(code), _) if compiled.object.is_some() || !has(code) => {
            Some(format!("must fail with {code}, gave {}", list()))
        }
        (None, Some(code)) if compiled.object.is_none() || !has(code) => {
            Some(format!("must compile with {code}, gave {}", list()))
        }
        (None, None) if compiled.object.is_none() => Some(format!("must compile, gave {}", list())),
        _ => None,
    }
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn policies_in_pages_do_what_the_page_says() {
    let mut count = 0;
    let mut problems = Vec::new();
    for block in pages().iter().flat_map(|page| blocks(page)) {
        count += 1;
        if let Some(problem) = problem(&block) {
            problems.push(format!("{}: {problem}", block.place));
        }
    }
    report(&problems);
    assert!(count > 20, "only {count} policies were found: the search is broken");
}

#[test]
fn every_code_has_a_page_that_shows_it() {
    let mut problems = Vec::new();
    for code in Code::all() {
        let path = root().join("compiler/src/diag/docs").join(code.id()).with_extension("md");
        let title = read(&path).lines().next().unwrap_or("").to_owned();
        if !title.starts_with(&format!("# {code}: ")) {
            problems.push(format!("{}: the first line is `# {code}: what it says`", short(&path)));
        }
        let fault_of_the_author = code.id().get(1..3).is_some_and(|area| area < "07");
        let shown = blocks(&path).iter().any(|block| match code.severity() {
            Severity::Error => block.fail.as_deref() == Some(code.id()),
            Severity::Warning => block.warn.as_deref() == Some(code.id()),
        });
        if fault_of_the_author && !shown && !NOT_SHOWABLE.contains(&code.id()) {
            problems.push(format!("{}: shows no policy that gives {code}", short(&path)));
        }
    }
    report(&problems);
}

#[test]
fn every_page_of_a_code_has_its_code() {
    let problems: Vec<String> = files(&root().join("compiler/src/diag/docs"))
        .iter()
        .filter(|path| Code::find(&path.file_stem().unwrap_or_default().to_string_lossy()).is_none())
        .map(|path| format!("{}: no such code", short(path)))
        .collect();
    report(&problems);
}

#[test]
fn the_book_has_a_page_for_every_code() {
    let summary = read(&root().join("book/src/SUMMARY.md"));
    let mut problems = Vec::new();
    for code in Code::all() {
        let path = root().join("book/src/errors").join(code.id()).with_extension("md");
        let include = format!("{{{{#include ../../../compiler/src/diag/docs/{code}.md}}}}\n");
        if std::env::var_os("OOMC_BLESS").is_some() {
            std::fs::write(&path, &include).expect("the page can be written");
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != include {
            problems.push(format!("{}: holds the one line {include}", short(&path)));
        }
        if !summary.contains(&format!("(errors/{code}.md)")) {
            problems.push(format!("book/src/SUMMARY.md: does not list errors/{code}.md"));
        }
    }
    report(&problems);
}

#[test]
fn every_page_of_the_book_is_listed_and_every_link_leads_somewhere() {
    let book = root().join("book/src");
    let summary = read(&book.join("SUMMARY.md"));
    let mut problems = Vec::new();
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    for path in files(&book).into_iter().filter(is_page) {
        let name = path.strip_prefix(&book).unwrap_or(&path).display().to_string();
        if name != "SUMMARY.md" && !summary.contains(&format!("({name})")) {
            problems.push(format!("book/src/SUMMARY.md: does not list {name}"));
        }
    }
    for page in pages() {
        let text = read(&page);
        let includes = text.split("{{#include ").skip(1).filter_map(|rest| rest.split("}}").next());
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.chain(includes) {
            // `#part` of a page, `:part` of an included file.
            let target = link.split(['#', ':']).next().unwrap_or("");
            let outside = link.contains("://") || target.is_empty() || target.contains(' ');
            let folder = page.parent().unwrap_or(&page);
            if !outside && !folder.join(target).exists() {
                problems.push(format!("{}: leads nowhere: {link}", short(&page)));
            } else if let Some((_, part)) = link.split_once('#').filter(|_| !link.contains("://")) {
                let page_of_part = if target.is_empty() { page.clone() } else { folder.join(target) };
                if is_page(&page_of_part) && !parts(&page_of_part).contains(&part.to_owned()) {
                    problems.push(format!("{}: there is no such part: {link}", short(&page)));
                }
            }
        }
    }
    report(&problems);
}

/// The parts of a page that a link can name: its headings, as mdBook writes them.
fn parts(page: &Path) -> Vec<String> {
    let text = read(page);
    // Between two fences is no heading.
    let prose = text.split("\n```").step_by(2);
    let headings = prose.flat_map(str::lines).filter(|line| line.starts_with('#'));
    let id = |heading: &str| {
        let letters = heading.trim_start_matches('#').trim().chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '_' | '-' => Some(letter),
            letter => letter.is_alphanumeric().then(|| letter.to_ascii_lowercase()),
        });
        letters.collect::<String>()
    };
    headings.map(id).collect()
}

/// What the table of capabilities says of oomc is shown by a test that there is.
#[test]
fn every_capability_is_shown_by_a_test() {
    let page = read(&root().join("book/src/start/editor.md"));
    let table =
        page.split("## Beside others").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 20, "only {} capabilities were found: the search is broken", rows.len());
    let problems = rows.iter().filter(|row| {
        let shown = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        let words: Vec<&str> = shown.split('`').collect();
        let ["", file, ": ", test, ""] =
            words.iter().map(|word| word.trim_start_matches(' ')).collect::<Vec<_>>()[..]
        else {
            return true;
        };
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        !text.contains(&format!("#[test]\nfn {test}()"))
    });
    report(&problems.map(|row| format!("no such test: {row}")).collect::<Vec<_>>());
}

#[test]
fn every_example_builds() {
    let folder = root().join("examples");
    let mut count = 0;
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("examples can be read").flatten() {
        let path = entry.path().join("policy.oom");
        let readme = entry.path().join("README.md");
        count += 1;
        if !readme.exists() {
            problems.push(format!("{}: is missing", short(&readme)));
        }
        if !path.exists() {
            problems.push(format!("{}: is missing", short(&path)));
            continue;
        }
        problems.extend(refused(&path, &read(&path)));
        // The story shows the policy that it is about, not another one.
        if readme.exists() && !blocks(&readme).iter().any(|block| block.text == read(&path)) {
            problems.push(format!("{}: does not show the policy as it is", short(&readme)));
        }
    }
    report(&problems);
    assert!(count >= 5, "only {count} examples");
}

#[test]
fn every_policy_of_the_library_builds_and_says_what_it_is_for() {
    let folder = root().join("stdlib/policies");
    let mut problems = Vec::new();
    for policy in oomc_stdlib::FILES {
        let path = folder.join(policy.name).with_extension("oom");
        let doc = policy.doc();
        let mut lines = doc.lines();
        let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or("missing"));
        if !first.ends_with('.') || !second.is_empty() || lines.next().is_none() {
            problems.push(format!(
                "{}: begins with a comment: a sentence that says what it does, an empty line, when to take it",
                short(&path)
            ));
        }
        for (path, text) in [(path.clone(), policy.text), (path.with_extension("oomt"), policy.tests)] {
            if read(&path) != text {
                problems.push(format!("{}: not the text that the library holds", short(&path)));
            }
        }
        problems.extend(refused(&path, policy.text));
    }
    for path in files(&folder) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if oomc_stdlib::find(&name).is_none() {
            problems.push(format!("{}: not in FILES of stdlib/src/lib.rs", short(&path)));
        }
    }
    report(&problems);
}

/// The part of a policy's text that says what it does, and the tests behind it.
fn without_tests(text: &str) -> (&str, &str) {
    let at = text.find("\ntest \"").map_or(text.len(), |at| at + 1);
    text.split_at(at)
}

#[test]
fn the_book_has_a_page_for_every_policy_of_the_library() {
    let book = root().join("book/src");
    let mut pages = Vec::new();
    let mut table = String::new();
    for policy in oomc_stdlib::FILES {
        let name = policy.name;
        let (rules, own) = without_tests(policy.text);
        let rules: String =
            rules.lines().skip_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let tests: Vec<&str> = [own, policy.tests].into_iter().filter(|tests| !tests.is_empty()).collect();
        let page = format!(
            "# {name}\n\n{}\n```oom\n{}\n```\n\nTo begin with it: `oomc new NAME --from {name}`.\n\n## Its tests\n\n\
             ```oom,tests\n{}```\n",
            policy.doc(),
            rules.trim(),
            tests.join("\n"),
        );
        pages.push((format!("std/{name}.md"), page));
        table.push_str(&format!("| [{name}]({name}.md) | {} |\n", policy.summary()));
    }
    let index = format!(
        "# Ready policies\n\n\
         These policies come with oomc, each with its tests.\n\
         `oomc new NAME --from POLICY` writes one of them into the current folder, under a name of yours.\n\n\
         | policy | what it does |\n|---|---|\n{table}"
    );
    pages.push(("std/index.md".to_owned(), index));
    let mut problems = Vec::new();
    for (name, text) in &pages {
        let path = book.join(name);
        if std::env::var_os("OOMC_BLESS").is_some() {
            std::fs::write(&path, text).expect("the page can be written");
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != *text {
            problems.push(format!("{}: is not what the library has; OOMC_BLESS=1 rewrites it", short(&path)));
        }
    }
    for path in files(&book.join("std")) {
        if !pages.iter().any(|(name, _)| book.join(name) == path) {
            problems.push(format!("{}: no such policy", short(&path)));
        }
    }
    report(&problems);
}

fn refused(path: &Path, text: &str) -> Option<String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let compiled = oomc_compiler::compile(&Source::new(file, text), &KernelView::embedded());
    let list: Vec<String> =
        compiled.diagnostics.iter().map(|found| format!("{} {found}", found.code)).collect();
    compiled.object.is_none().then(|| format!("{}: {}", short(path), list.join("; ")))
}

#[test]
fn the_tables_of_the_book_are_those_of_the_compiler() {
    let of = |owner| FIELDS.iter().filter(move |field| field.owner == owner).map(field_row);
    let head = "| field | unit | meaning | missing when | kernel source |\n|---|---|---|---|---|\n";
    printed("kernel/fields.md", "process", head, of(Owner::Process));
    printed("kernel/fields.md", "cgroup", head, of(Owner::Cgroup));
    printed("kernel/fields.md", "event", head, of(Owner::Event));
    printed("kernel/fields.md", "machine", head, of(Owner::Machine));
    let head = "| function | needed by | what it does | errors | kernel source |\n|---|---|---|---|---|\n";
    printed("kernel/kfuncs.md", "kfuncs", head, KFUNCS.iter().map(kfunc_row));
    let head = "| operators | |\n|---|---|\n";
    printed("language/grammar.md", "operators", head, TABLE.iter().map(operator_row));
}

#[test]
fn the_page_of_the_plan_shows_what_is_printed() {
    let path = root().join("examples/headline/policy.oom");
    let source = Source::new("headline.oom", read(&path));
    let plan = oomc_compiler::dump(&source, &KernelView::embedded(), Stage::Plan).text;
    let plan = plan.unwrap_or_else(|| panic!("{} has no plan", short(&path)));
    printed("internals/plan.md", "headline", "```text\n", [plan, "```\n".to_owned()].into_iter());
}

#[test]
fn the_chapter_of_tests_lists_what_can_be_given() {
    let page = "language/tests.md";
    let head = "| property | unit | meaning |\n|---|---|---|\n";
    for (owner, mark) in [(Owner::Cgroup, "cgroup"), (Owner::Process, "process"), (Owner::Event, "event")] {
        printed(page, mark, head, scenario::names(owner).map(|name| given_row(owner, name)));
    }
    let head = "| cannot be given | because |\n|---|---|\n";
    let follow = FIELDS.iter().filter_map(|field| {
        let why = scenario::follows(field.owner, field.name)?;
        Some(format!("| `{}` | {why} |\n", field.name))
    });
    printed(page, "follow", head, follow);
    let head = "| what is not given | is |\n|---|---|\n";
    printed(page, "defaults", head, DEFAULTS.iter().map(|one| format!("| {} | {} |\n", one.of, one.value)));
}

fn given_row(owner: Owner, name: &str) -> String {
    let extra = EXTRAS.iter().find(|extra| extra.owner == owner && extra.name == name);
    let field = || FIELDS.iter().find(|field| field.owner == owner && field.name == name);
    let (unit, doc) = match extra {
        Some(extra) => (extra.unit, extra.doc),
        None => field().map(|field| (field.unit, field.doc)).expect("a field or an extra"),
    };
    format!("| `{name}` | {} | {doc} |\n", unit_word(unit))
}

fn unit_word(unit: Measure) -> &'static str {
    match unit {
        Measure::Bytes => "bytes",
        Measure::Ratio => "percent",
        Measure::Count => "count",
        Measure::Duration => "duration",
        Measure::Bool => "yes or no",
        Measure::Text => "string",
    }
}

/// The tables of the snapshot file are the doc comments of its schema.
#[test]
fn the_page_of_the_snapshot_is_its_schema() {
    let schema = read(&root().join("runtime/snapshot/src/schema.rs"));
    let head = "| field | type | |\n|---|---|---|\n";
    let names = ["Snapshot", "Cgroup", "Pressure", "Windows", "Process"];
    // Two of them are made of the table of amounts.
    for (name, file) in [("Statistics", File::Statistics), ("Events", File::Events)] {
        let rows = ROWS.iter().filter(|row| row.file == file);
        let rows = rows.map(|row| format!("| `{}` | whole number | {} |\n", row.member, row.doc));
        printed("kernel/snapshot.md", name, head, rows);
    }
    for name in names {
        let start = schema.find(&format!("pub struct {name} {{\n")).expect("a structure of the schema");
        let body = &schema[start..];
        let body = &body[..body.find("\n}\n").expect("its end")];
        printed("kernel/snapshot.md", name, head, schema_rows(body).into_iter());
    }
    assert_eq!(schema.matches("\npub struct ").count(), names.len(), "each has its table");
}

fn schema_rows(body: &str) -> Vec<String> {
    let (mut rows, mut doc) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if let Some((name, ty)) = line.strip_prefix("pub ").and_then(|line| line.split_once(": ")) {
            let ty = ty.trim_end_matches(',').trim_start_matches("Option<").trim_end_matches('>');
            let ty = match ty {
                "i64" | "u32" => "whole number",
                "f64" => "number",
                "bool" => "true or false",
                "String" => "string",
                "BTreeMap<String, String" => "object of strings",
                "Vec<Cgroup" | "Vec<Process" => "list",
                "Vec<i64" => "list of whole numbers",
                _ => "object",
            };
            assert!(!doc.is_empty(), "{name} says nothing of itself");
            rows.push(format!("| `{name}` | {ty} | {} |\n", doc.trim()));
            doc.clear();
        }
    }
    rows
}

fn operator_row(level: &Level) -> String {
    // `=` is read only so that the mistake can be named.
    let ops: Vec<String> =
        level.ops.iter().filter(|(_, text)| *text != "=").map(|(_, text)| format!("`{text}`")).collect();
    let place = match level.fix {
        Fix::Prefix => "before its operand",
        Fix::Left => "between two operands",
    };
    format!("| {} | {place} |\n", ops.join(" "))
}

fn field_row(field: &Field) -> String {
    let unit = unit_word(field.unit);
    let base = field.base.map(|base| format!("; a bare percent is of `{base}`")).unwrap_or_default();
    let missing = if field.missing.is_empty() { "never" } else { field.missing };
    format!("| `{}` | {unit}{base} | {} | {missing} | {} |\n", field.name, field.doc, field.source)
}

fn kfunc_row(kfunc: &Kfunc) -> String {
    let needed = kfunc
        .surface
        .map_or_else(|| "every policy that walks or reads".to_owned(), |word| format!("`{word}`"));
    let errors: Vec<String> =
        kfunc.errors.iter().map(|(name, meaning)| format!("`{name}`: {meaning}")).collect();
    let doc: Vec<&str> = kfunc.doc.lines().map(str::trim).collect();
    format!(
        "| `{}` | {needed} | {} | {} | {} |\n",
        kfunc.name,
        doc.join(" ").trim(),
        errors.join("; "),
        kfunc.source
    )
}

/// Compares the part of a page between two marks with what the compiler's table prints, or writes it there.
fn printed(page: &str, mark: &str, head: &str, rows: impl Iterator<Item = String>) {
    let path = root().join("book/src").join(page);
    let text = read(&path);
    let (open, close) = (format!("<!-- table: {mark} -->\n"), format!("<!-- end: {mark} -->"));
    let start =
        text.find(&open).unwrap_or_else(|| panic!("{}: no `{}`", short(&path), open.trim())) + open.len();
    let end = text.find(&close).unwrap_or_else(|| panic!("{}: no `{close}`", short(&path)));
    let table: String = std::iter::once(head.to_owned()).chain(rows).collect();
    if std::env::var_os("OOMC_BLESS").is_some() {
        let new = format!("{}{table}{}", &text[..start], &text[end..]);
        std::fs::write(&path, new).expect("the page can be written");
        return;
    }
    assert!(
        text[start..end] == table,
        "{}: the table `{mark}` is not what the compiler has; OOMC_BLESS=1 rewrites it",
        short(&path)
    );
}
