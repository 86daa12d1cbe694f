//! The bytes of random policies in the simulator against the oracle, on random machines.

use std::collections::BTreeMap;

use oomc_sim::Kernel;
use oomc_tests::agree::{agree, both};
use oomc_tests::generate;

#[test]
fn explore() {
    let kernel = Kernel::new(oomc_abi::resolve::KernelView::embedded()).unwrap();
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let seed = number("OOMC_SEED", 1);
    let policies = number("OOMC_POLICIES", 100) as usize;
    let machines = number("OOMC_MACHINES", 10) as usize;
    let start = std::time::Instant::now();
    let texts = generate::policies(seed, policies);
    eprintln!("generated {policies} policies in {:?}", start.elapsed());
    let (mut compile, mut decide) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    let mut actions: BTreeMap<String, usize> = BTreeMap::new();
    let mut bad = 0;
    for (at, text) in texts.iter().enumerate() {
        let t = std::time::Instant::now();
        let Some(both) = both(text, &kernel) else { continue };
        compile += t.elapsed();
        let t = std::time::Instant::now();
        for (m, scene) in generate::scenes(seed * 1000 + at as u64, machines).iter().enumerate() {
            match std::panic::catch_unwind(|| agree(&both, &kernel, scene)) {
                Ok(Ok(decision)) => *actions.entry(decision.action.to_string()).or_default() += 1,
                Ok(Err(text)) => {
                    bad += 1;
                    if bad < number("OOMC_SHOW", 3) {
                        eprintln!("--- {at}/{m}\n{}\n{text}", both.text);
                        if number("OOMC_VERBOSE", 0) > 0 {
                            eprintln!("{scene:#?}");
                        }
                    } else if bad < 40 {
                        eprintln!("--- {at}/{m} {}", text.lines().next().unwrap_or(""));
                    }
                }
                Err(_) => eprintln!("--- {at}/{m} PANIC\n{}", both.text),
            }
        }
        decide += t.elapsed();
    }
    eprintln!("compile {compile:?} decide {decide:?} bad {bad} {actions:?}");
    assert!(bad == 0);
}
