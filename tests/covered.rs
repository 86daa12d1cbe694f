//! Every construct and every field has a case that runs in the machine: a new row without one fails here.

use std::collections::HashSet;

use oomc_compiler::{KernelView, Source};
use oomc_tests::{constructs, files, read, root};

/// What happens to no policy in a machine: parts of `test` blocks, which say what a model does.
const IN_TESTS: [&str; 7] = ["`test`", "`given`", "`on`", "`system`", "`oom`", "`expect`", "`nobody`"];

#[test]
fn every_construct_has_a_case_in_the_machine() {
    let view = KernelView::embedded();
    let mut seen = HashSet::new();
    for path in files(&root().join("tests/cases/run")) {
        if path.extension().is_none_or(|end| end != "oom") {
            continue;
        }
        let case = read(&path);
        // A case may have more policies than the file itself, each in one line.
        let others = case.lines().filter_map(|line| line.strip_prefix("#> policy ")?.split_once(':'));
        for policy in others.map(|(_, policy)| policy).chain([case.as_str()]) {
            let source = Source::new("case.oom", policy);
            let Some(policy) = oomc_compiler::check(&source, &view).policy else { continue };
            seen.extend(constructs::of(&policy));
            let without: Vec<&str> =
                source.text.lines().map(|line| line.split('#').next().unwrap_or("")).collect();
            seen.extend(constructs::words(&without.join("\n")));
        }
    }
    let missing: Vec<String> = constructs::all()
        .into_iter()
        .filter(|construct| !seen.contains(construct) && !IN_TESTS.contains(&construct.as_str()))
        .collect();
    assert!(missing.is_empty(), "no case in tests/cases/run for:\n{}", missing.join("\n"));
}
