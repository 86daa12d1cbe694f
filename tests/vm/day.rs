//! A day of `oomc run` with churning cgroups: short in the ordinary run, long by `cargo xtask soak --stock`.
//!
//! Gives texts of cases by name, policy and script in one like the files of `tests/cases/stock`.

use std::time::Duration;

use oomc_vm::machine::Hardware;

/// Names the number of deaths of a long day.
const DEATHS: &str = "OOMC_DAY";

/// Of a short one.
const SHORT: u64 = 40;

const POLICY: &str = "#! test: stock\n\
                      rule \"largest\": kill largest process in subtree reason \"the day of {comm}\"\n\
                      #> cgroup /day\n";

/// What a day runs on: a long one takes its time.
pub(crate) fn hardware() -> Hardware {
    let limit = Duration::from_secs(6 * 3600);
    let patience = limit + Hardware::STOCK.patience;
    if deaths().is_some() { Hardware { limit, patience, ..Hardware::STOCK } } else { Hardware::STOCK }
}

fn deaths() -> Option<u64> {
    std::env::var(DEATHS).ok().and_then(|text| text.parse().ok())
}

/// Name and text of each: one policy for all cgroups; on a long day also one for each of ten, by the service.
pub(crate) fn cases() -> Vec<(String, Result<String, String>)> {
    let events = deaths().unwrap_or(SHORT);
    let day = |start: &str, cgroups: u32, anew: u64| {
        format!(
            "{POLICY}{start}#> service ready\n#> day /day cgroups {cgroups} anew {anew} events {events}\n\
             #> service stop\n#> expect pins 0\n"
        )
    };
    let one = day("#> service start day_of_one_policy.o --cgroup /day\n", 6, 5);
    let all = day(
        "#> place text /etc/oomc/policies.d/a.toml policy = \"{here}/day_of_the_service.o\"; cgroup = \"/day/*\"\n\
         #> service start --all\n",
        10,
        10,
    );
    let mut days = vec![("day_of_one_policy", one)];
    days.extend(deaths().map(|_| ("day_of_the_service", all + "#> place clear /etc/oomc\n")));
    days.into_iter().map(|(name, text)| (name.to_owned(), Ok(text))).collect()
}
