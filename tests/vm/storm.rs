//! Many loaders at once; and, by `cargo xtask soak` alone, storms of OOM events while an operator works.
//!
//! Gives texts of cases by name, policy and script in one like the files of `tests/cases/run`.

/// Names the number of deaths.
const DEATHS: &str = "OOMC_STORM";

/// Loaders at once.
const LOADERS: u32 = 64;

const POLICY: &str = "param least = 1MiB range 1MiB .. 64MiB\n\
                      rule \"largest\": kill largest process in subtree where footprint > least reason \"storm\"\n\
                      rule \"any\": kill largest process in subtree\n";

/// Name and text of each.
pub(crate) fn cases() -> Vec<(&'static str, String)> {
    let deaths: Option<u64> = std::env::var(DEATHS).ok().and_then(|text| text.parse().ok());
    let storm = deaths.map(|deaths| {
        (
            "storm_over_eight_cgroups",
            format!(
                "{POLICY}\n#> cgroup /storm\n#> storm /storm cgroups 8 events {deaths}\n\
                 #> expect pins 0\n#> expect links 0\n"
            ),
        )
    });
    let loaders = [(
        "storm_of_loaders",
        format!(
            "{POLICY}\n#> cgroup /job\n#> crowd {LOADERS} loads --cgroup /job\n#> expect links 1\n\
                 #> expect pins 1\n#> unload --all\n#> expect pins 0\n#> expect links 0\n"
        ),
    )];
    storm.into_iter().chain(loaders).collect()
}
