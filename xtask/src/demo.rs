//! `cargo xtask demo`: an example policy, seen at work.
//!
//! Compiles the policy of the README, runs its tests in the simulator, boots a machine, lets a job run towards its limit,
//! and tells what was done, in the kernel's own numbers. The kernel is one as Debian ships it, on which `oomc run` asks the
//! policy; with `--hook` it is the kernel under test, which asks the policy itself and is built first.

use std::fs;
use std::process::Command;

use oomc_vm::report::Report;
use oomc_vm::run::Tools;
use oomc_vm::{run, script};

use crate::{build, say, stock};

/// The example.
const POLICY: &str = "examples/headline/policy.oom";

/// What happens on a kernel as Debian ships it; each `show` is told below, in the same order. With a headroom of 12 MiB a
/// limit of 130 MiB is nearly met above 90 %, one of 100 MiB below.
const STOCK: &str = "\
#> cgroup /job max 130MiB
#> task big in /job anon 60MiB
#> task small in /job anon 40MiB
#> service start headline.o --cgroup /job --headroom 12MiB
#> wait 12s
#> service said
#> show
#> grow small by 20MiB
#> wait 1s
#> show /job memory.max
#> service said
#> show
#> kill small
#> expect small killed
#> write /job memory.max 100M
#> wait 3s
#> task third in /job anon 20MiB
#> grow third by 12MiB
#> expect big killed
#> expect third alive
#> wait 1s
#> service said
#> show
#> show /job memory.events
#> service stop
#> show /job memory.high
";

/// What happens with the hook; each `show` is told below, in the same order. The ancestor's limit is what ends
/// the rises: up to it the policy may go, and there it has to kill.
const HOOK: &str = "\
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

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    match args {
        [] => stock(),
        [hook] if hook == "--hook" => hooked(),
        _ => Err("`cargo xtask demo` takes `--hook` or nothing".to_owned()),
    }
}

/// On a kernel as Debian ships it.
fn stock() -> Result<(), String> {
    let tools = build::tools_for(stock::image()?)?;
    let policy = simulated(&tools)?;
    say("Booting a kernel as Debian ships it …");
    tell_stock(&policy, &played(&tools, STOCK, &policy)?)
}

/// On the kernel under test.
fn hooked() -> Result<(), String> {
    let tools = build::tools()?;
    let policy = simulated(&tools)?;
    say("Booting the kernel under test …");
    tell(policy.trim(), &played(&tools, HOOK, &policy)?)
}

/// The policy's text; its tests are run before, in the simulator.
fn simulated(tools: &Tools) -> Result<String, String> {
    let path = build::root().join(POLICY);
    say(&format!("The simulator, which runs the very bytes that the kernel runs:\n\n$ oomc test {POLICY}"));
    build::loud(Command::new(&tools.oomc).current_dir(build::root()).args(["test", POLICY]), "oomc test")?;
    fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Plays a script in a machine.
fn played(tools: &Tools, script: &str, policy: &str) -> Result<Report, String> {
    let mut case = script::parse("demo", &format!("#! policy: none\n{script}"))?;
    case.policies.push(("headline".to_owned(), policy.to_owned()));
    let mut report = None;
    run::run(tools, &build::scratch("demo"), vec![case], &[], &mut |result| report = Some(result))?;
    let report: Report = report.ok_or("the machine said nothing")?;
    match &report.failure {
        Some(failure) => Err(format!("{failure}\n{}\n{}", report.steps.join("\n"), report.log.join("\n"))),
        None => Ok(report),
    }
}

/// The story without the hook.
fn tell_stock(policy: &str, report: &Report) -> Result<(), String> {
    let [started, raised, first, second, events, high] = report.shown.as_slice() else {
        return Err(format!("the machine showed {} things, not what was asked for", report.shown.len()));
    };
    say(&format!(
        "\nThe policy, {POLICY}:\n\n{}\n\n\
         The cgroup /job may use 130 MiB. In it run two processes: `big` holds 60 MiB, `small` holds 40 MiB.\n\
         This kernel asks no policy, so `oomc run` does, before the limit is met:\n\n\
         $ oomc run headline.o --cgroup /job --headroom 12MiB\n{}\n\n\
         `small` grows by 20 MiB. Nobody dies, the limit rises:\n{}\n\
         memory.max of /job: {raised} bytes ({})\n\n\
         `small` ends, the limit is lowered to 100 MiB, and `third` grows to 32 MiB. Now the headroom begins at 88 %,\n\
         and the largest process is killed before the kernel's own killer looks:\n{}\n\n\
         memory.events of /job (`oom_kill` counts the kernel's own kills):\n{}\n\n\
         `oomc run` ends, and memory.high is what it was: {}\n\n\
         `cargo xtask demo --hook` shows the same on a kernel that asks the policy itself; it is built first.",
        indent(policy.trim()),
        indent(&messages(started)),
        indent(&messages(first)),
        mebibytes(raised),
        indent(&messages(second)),
        indent(events),
        mebibytes(high),
    ));
    Ok(())
}

/// The sentences of entries of the journal.
fn messages(entries: &str) -> String {
    let lines = entries.lines().filter_map(|line| line.trim().strip_prefix("MESSAGE="));
    lines.collect::<Vec<_>>().join("\n")
}

/// The story with the hook, in the numbers that the kernel gave.
fn tell(policy: &str, report: &Report) -> Result<(), String> {
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
