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
        let Ok(made) = std::panic::catch_unwind(|| both(text, &kernel)) else {
            eprintln!("--- {at} COMPILER PANIC\n{text}");
            bad += 1;
            continue;
        };
        let Some(both) = made else { continue };
        compile += t.elapsed();
        let t = std::time::Instant::now();
        if number("OOMC_ONLY", u64::MAX) != u64::MAX && number("OOMC_ONLY", 0) != at as u64 {
            continue;
        }
        for (m, scene) in generate::scenes(seed * 1000 + at as u64, machines).iter().enumerate() {
            match std::panic::catch_unwind(|| agree(&both, &kernel, scene)) {
                Ok(Ok(decision)) => *actions.entry(decision.action.to_string()).or_default() += 1,
                Ok(Err(text)) => {
                    bad += 1;
                    if bad < number("OOMC_SHOW", 3) {
                        eprintln!("--- {at}/{m}\n{}\n{text}", both.text);
                        if number("OOMC_VERBOSE", 0) > 0 {
                            for (i, c) in scene.machine.cgroups.iter().enumerate() {
                                eprintln!(
                                    "c{i} {} parent {:?} id {} serial {}{}{}{}{} max {:?} own {} {:?}",
                                    scene.machine.path(i),
                                    c.parent,
                                    c.id,
                                    c.serial,
                                    if c.removed { " removed" } else { "" },
                                    if c.bare { " bare" } else { "" },
                                    if c.group { " group" } else { "" },
                                    if c.no_walk { " no_walk" } else { "" },
                                    c.max,
                                    c.own.charged,
                                    c.labels
                                );
                            }
                            for (i, p) in scene.machine.processes.iter().enumerate() {
                                eprintln!(
                                    "p{i} in c{} pid {} {:?} adj {} anon {} file {} start {} threads {} {:?} kernel {} shares {:?}",
                                    p.cgroup,
                                    p.pid,
                                    p.comm,
                                    p.adj,
                                    p.anon,
                                    p.file,
                                    p.start,
                                    p.threads,
                                    p.life,
                                    p.kernel,
                                    p.shares_with
                                );
                            }
                            eprintln!("{:?} audit {:?}", scene.event, scene.audit);
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
