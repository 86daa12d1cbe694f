//! `cargo xtask demo`: an example policy, seen at work.
//!
//! Compiles the policy of the README, boots the machine, lets a job run into its limit, and tells
//! what the kernel did, in its own numbers.

use std::fs;

use oomc_vm::report::Report;
use oomc_vm::{run, script};

use crate::{build, say};

/// The example.
const POLICY: &str = "examples/headline/policy.oom";

/// What happens; each `show` is told below, in the same order. The ancestor's limit is what ends
/// the rises: up to it the policy may go, and there it has to kill.
const SCRIPT: &str = "\
#> cgroup /site max 110MiB
#> cgroup /site/job max 100MiB
#> task big in /site/job anon 60MiB
#> task small in /site/job anon 10MiB
#> show /site/job memory.max
#> load headline --cgroup /site/job
#> show
#> status
#> show
#> grow small by 35MiB
#> show /site/job memory.max
#> grow small by 25MiB
#> show /site/job memory.max
#> show /site/job memory.events
#> show log \"oom bpf handler\"
#> show log \"Killed process\"
#> expect big killed
#> expect small alive
#> unload --cgroup /site/job
#> show
";

pub(crate) fn run(_args: &[String]) -> Result<(), String> {
    let tools = build::tools()?;
    let path = build::root().join(POLICY);
    let policy =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut case = script::parse("demo", &format!("#! policy: none\n{SCRIPT}"))?;
    case.policies.push(("headline".to_owned(), policy.clone()));
    say("Compiling the policy and booting the kernel under test …");
    let mut report = None;
    run::run(&tools, &build::scratch("demo"), vec![case], &[], &mut |result| report = Some(result))?;
    tell(policy.trim(), &report.ok_or("the machine said nothing")?)
}

/// The story, in the numbers that the kernel gave.
fn tell(policy: &str, report: &Report) -> Result<(), String> {
    if let Some(failure) = &report.failure {
        return Err(format!("{failure}\n{}\n{}", report.steps.join("\n"), report.log.join("\n")));
    }
    let [before, loaded, status, raised, at_end, events, handler, killed, unloaded] = report.shown.as_slice()
    else {
        return Err(format!("the machine showed {} things, not what was asked for", report.shown.len()));
    };
    let told = format!(
        "\nThe policy, {POLICY}:\n\n{}\n\n\
         The cgroup /site may use 110 MiB, and /site/job in it 100 MiB. In /site/job run two processes:\n\
         `big` holds 60 MiB, `small` holds 10 MiB.\n\
         memory.max of /site/job: {} bytes ({})\n\n\
         $ oomc load headline.o --cgroup /site/job\n{}\n\n\
         $ oomc status\n{}\n\n\
         `small` grows by 35 MiB: the job needs 105 MiB and has 100. Nobody dies, the limit rises:\n\
         memory.max of /site/job: {} bytes ({})\n\n\
         `small` grows on by 25 MiB. Above the limit of /site no rise helps, so the limit stays,\n\
         and the largest process is killed:\n\
         memory.max of /site/job: {} bytes ({})\n\n\
         memory.events of /site/job:\n{}\n\n\
         The kernel's log:\n{}\n{}\n\n\
         `big` ended by signal 9 (SIGKILL), seen by its parent; `small` runs on.\n\n\
         $ oomc unload --cgroup /site/job\n{}",
        indent(policy),
        before,
        mebibytes(before),
        indent(loaded),
        indent(status),
        raised,
        mebibytes(raised),
        at_end,
        mebibytes(at_end),
        indent(events),
        indent(handler),
        indent(killed),
        indent(unloaded),
    );
    say(&told);
    Ok(())
}

fn indent(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn mebibytes(text: &str) -> String {
    text.parse::<u64>().map_or_else(
        |_| "no limit".to_owned(),
        |bytes| format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    )
}
