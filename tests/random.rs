//! Random policies against the compiler: what is valid compiles.

use oomc_compiler::diag::Severity;
use oomc_compiler::{KernelView, Source};
use oomc_tests::generate;

/// Seed of the ordinary run.
const SEED: u64 = 1;

#[test]
fn valid_policies_compile() {
    let view = KernelView::embedded();
    let mut wrong = Vec::new();
    for text in generate::policies(SEED, 400) {
        let source = Source::new("random.oom", text.as_str());
        let Ok(compiled) = std::panic::catch_unwind(|| oomc_compiler::compile(&source, &view)) else {
            panic!("the compiler panics at\n{text}");
        };
        // A large one may exceed a limit of the kernel, and is told so.
        let errors: Vec<String> = compiled
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error && diagnostic.code.id() != "E0701")
            .map(|diagnostic| format!("{} {diagnostic}", diagnostic.code))
            .collect();
        if !errors.is_empty() {
            wrong.push(format!("{}\n{text}", errors.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} policies:\n{}",
        wrong.len(),
        wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn the_same_seed_gives_the_same_policies() {
    assert_eq!(generate::policies(7, 3), generate::policies(7, 3));
    assert_ne!(generate::policies(7, 3), generate::policies(8, 3));
}
