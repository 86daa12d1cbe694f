//! Many loaders at once, and a storm of OOM events while an operator works: a short one in the gate, long ones by
//! `cargo xtask soak`.
//!
//! Gives texts of cases by name, policy and script in one like the files of `tests/cases/run`.

use std::time::Duration;

use oomc_vm::machine::Hardware;

/// Names the number of deaths.
const DEATHS: &str = "OOMC_STORM";
/// Unless it says otherwise.
const FEW: u64 = 120;

/// Is set where the kernel can make allocations fail: then they do, in a storm while policies decide, and in one while
/// they are loaded, set and taken away.
const FAULTS: &str = "OOMC_STORM_FAULTS";

/// Loaders at once.
const LOADERS: u32 = 64;

const POLICY: &str = "param least = 1MiB range 1MiB .. 64MiB\n\
                      rule \"largest\": kill largest process in subtree where footprint > least reason \"storm\"\n\
                      rule \"any\": kill largest process in subtree\n";

/// What a storm runs on: the kernel that checks every access needs memory for that, and a storm takes its time.
pub(crate) fn hardware() -> Hardware {
    let limit = Duration::from_secs(6 * 3600);
    let patience = limit + Hardware::CASES.patience;
    if deaths().is_some() {
        Hardware { memory: 1536, limit, patience, ..Hardware::CASES }
    } else {
        Hardware::CASES
    }
}

fn deaths() -> Option<u64> {
    std::env::var(DEATHS).ok().and_then(|text| text.parse().ok())
}

/// Name and text of each.
pub(crate) fn cases() -> Vec<(&'static str, String)> {
    let storm = format!("#> storm /storm cgroups 8 events {}\n", deaths().unwrap_or(FEW));
    let beneath = |faults: &str| format!("#> faults beneath {faults}\n{storm}#> faults end\n");
    let steps = if std::env::var_os(FAULTS).is_none() {
        vec![("storm_over_eight_cgroups", storm)]
    } else {
        vec![
            ("storm_without_memory_for_decisions", beneath("out_of_memory 50%")),
            ("storm_without_memory_for_oomc", beneath("__sys_bpf 5% of oomc")),
        ]
    };
    let storms = steps.into_iter().map(|(name, steps)| {
        (name, format!("{POLICY}\n#> cgroup /storm\n{steps}#> expect pins 0\n#> expect links 0\n"))
    });
    let loaders = [(
        "storm_of_loaders",
        format!(
            "{POLICY}\n#> cgroup /job\n#> crowd {LOADERS} loads --cgroup /job\n#> expect links 1\n\
                 #> expect pins 1\n#> unload --all\n#> expect pins 0\n#> expect links 0\n"
        ),
    )];
    storms.chain(loaders).collect()
}
