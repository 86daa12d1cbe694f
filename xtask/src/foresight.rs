//! The part of `cargo xtask bench` about what is known before a policy is loaded: how fast tests run, and how fast
//! a large machine is read and tried, and two policies are compared on it.
//!
//! Runs the program itself, small and large in turn, so that both see the same computer.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::bench::{Cost, median, one, words};

/// Tests of the two files.
const TESTS: [usize; 2] = [100, 1_000];
/// A thousand tests take at most so many seconds.
const TESTS_GOAL: f64 = 2.0;

/// Cgroups and processes of the two machines.
const MACHINES: [(usize, usize); 2] = [(500, 5_000), (5_000, 50_000)];
/// The large one is read in at most so many seconds.
const READ_GOAL: f64 = 5.0;

/// Runs of each.
const RUNS: usize = 11;

const POLICY: &str = r#"label tier: count = 100
state grown: counter per cgroup resets after 1h
never kill process where comm in ["sshd", "systemd"]
avoid cgroup where tier >= 200
rule "grow": if grown < 3 then {
    raise_limit 25% up to parent.limit
    count grown
}
rule "kill": kill largest process in subtree where footprint > 16MiB by home.tier asc, footprint desc reason "{comm}"
"#;

/// One policy with so many tests, of two events each.
fn policy(tests: usize) -> String {
    let mut text = POLICY.to_owned();
    for number in 0..tests {
        let (tier, size) = (50 + number % 100, 20 + number % 200);
        let _ = write!(
            text,
            r#"test "number {number}" {{
    given {{
        "/job" {{ limit 1GiB grown 3 }}
        "/job/a" {{ tier {tier} }}
        "/job/a#100" {{ comm "worker" rss {size}MiB }}
        "/job/b#101" {{ comm "sshd" rss 300MiB }}
        "/job/b#102" {{ comm "shell" rss 17MiB }}
        "/job/b#103" {{ comm "small" rss 1MiB }}
    }}
    on oom in "/job"
    expect kill process "{first}" by rule "kill"
    after 10s
    on oom in "/job"
    expect kill process "{second}"
}}
"#,
            first = if tier <= 100 { "/job/a#100" } else { "/job/b#102" },
            second = if tier <= 100 { "/job/b#102" } else { "/job/a#100" },
        );
    }
    text
}

/// Measures both, and says how it went.
///
/// # Errors
/// A file cannot be written, or the program fails.
pub(crate) fn measure(oomc: &Path, folder: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("cannot write below {}: {error}", folder.display());
    let mut commands = Vec::new();
    for tests in TESTS {
        let file = folder.join(format!("tests-{tests}.oom"));
        fs::write(&file, policy(tests)).map_err(failed)?;
        commands.push(words(&[oomc, "-q".as_ref(), "test".as_ref(), &file]));
    }
    for (cgroups, processes) in MACHINES {
        let root = folder.join(format!("machine-{processes}"));
        machine(&root, cgroups, processes).map_err(failed)?;
        let (cgroup, proc, out) = (root.join("cgroup"), root.join("proc"), root.join("snapshot.json"));
        let mut command = words(&[oomc, "-q".as_ref(), "snapshot".as_ref(), "-o".as_ref(), &out]);
        command.extend(words(&["--cgroup-root".as_ref(), &cgroup, "--proc-root".as_ref(), &proc]));
        commands.push(command);
        // Made once, so that it can be tried.
        commands.last().map_or(Ok(()), |command| one(command).map(drop))?;
        let policy = folder.join(format!("tests-{}.oom", TESTS[0]));
        let mut command = words(&[oomc, "-q".as_ref(), "sim".as_ref(), &policy, "--snapshot".as_ref(), &out]);
        command.push("--system".to_owned());
        commands.push(command);
        // With itself: each place is asked twice, and the program ends well.
        let command = [oomc, "-q".as_ref(), "diff".as_ref(), &policy, &policy, "--snapshot".as_ref(), &out];
        commands.push(words(&command));
    }
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); commands.len()];
    for counted in std::iter::once(false).chain(std::iter::repeat_n(true, RUNS)) {
        for (command, costs) in commands.iter().zip(&mut costs) {
            let cost = one(command)?;
            if counted {
                costs.push(cost);
            }
        }
    }
    for (_, processes) in MACHINES {
        let root = folder.join(format!("machine-{processes}"));
        fs::remove_dir_all(&root).map_err(failed)?;
    }
    Ok(told(&costs))
}

fn told(costs: &[Vec<Cost>]) -> String {
    let seconds =
        |at: usize| costs.get(at).map_or(f64::NAN, |costs| median(costs, |cost| cost.nanoseconds) / 1e9);
    let mut text = String::new();
    let goal = |value: f64, goal: f64| if value <= goal { "met" } else { "NOT met" };
    let (few, many) = (seconds(0), seconds(1));
    let per_test = (many - few) / (TESTS[1] - TESTS[0]) as f64;
    _ = writeln!(text, "tests of one policy, two events each, medians of {RUNS} runs in turn");
    _ = writeln!(text, "  {:>6} tests  {few:.3} s", TESTS[0]);
    _ = writeln!(
        text,
        "  {:>6} tests  {many:.3} s, ratio {:.2}, {:.0} µs for a test more; goal {TESTS_GOAL} s: {}",
        TESTS[1],
        many / few,
        per_test * 1e6,
        goal(many, TESTS_GOAL)
    );
    _ = writeln!(text, "a machine is read, and a policy tried on it, medians of {RUNS} runs in turn");
    for (at, (cgroups, processes)) in MACHINES.into_iter().enumerate() {
        let first = TESTS.len() + 3 * at;
        let (read, tried, compared) = (seconds(first), seconds(first + 1), seconds(first + 2));
        // Every third has a limit of its own, and so has the machine.
        let places = cgroups.div_ceil(3) + 1;
        _ = write!(
            text,
            "  {cgroups:>6} cgroups, {processes:>6} processes  read {read:.3} s, tried {tried:.3} s, two policies \
             compared at {places} places {compared:.3} s"
        );
        if at == 0 {
            text.push('\n');
        } else {
            let ratio = read / seconds(TESTS.len());
            _ = writeln!(text, "; read ratio {ratio:.2}, goal {READ_GOAL} s: {}", goal(read, READ_GOAL));
        }
    }
    text
}

/// A copy of what the kernel shows of a machine.
fn machine(root: &Path, cgroups: usize, processes: usize) -> io::Result<()> {
    let file = |path: &str, text: String| {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    };
    file("proc/meminfo", "MemTotal: 67108864 kB\n".to_owned())?;
    file("proc/uptime", "100000.00 0.00\n".to_owned())?;
    file("cgroup/memory.stat", "anon 1000000000\nfile 1000000000\n".to_owned())?;
    // Every hundredth stands below the root, the others below those.
    let path = |number: usize| match number % 100 {
        0 => format!("slice-{number}"),
        _ => format!("slice-{}/job-{number}", number - number % 100),
    };
    for number in 0..cgroups {
        let at = |name: &str| format!("cgroup/{}/{name}", path(number));
        let size = 1 + number * 7_919 % 400;
        file(&at("memory.current"), format!("{}\n", size << 20))?;
        file(&at("memory.max"), if number % 3 == 0 { "1073741824\n" } else { "max\n" }.to_owned())?;
        for name in ["memory.high", "memory.swap.max"] {
            file(&at(name), "max\n".to_owned())?;
        }
        for name in ["memory.low", "memory.min", "memory.swap.current", "memory.oom.group"] {
            file(&at(name), "0\n".to_owned())?;
        }
        let stat =
            format!("anon {}\nfile 4096\nkernel 8192\nshmem 0\ninactive_file 0\npgscan 3\n", size << 19);
        file(&at("memory.stat"), stat)?;
        file(&at("memory.events"), "low 0\nhigh 0\nmax 1\noom 0\noom_kill 0\n".to_owned())?;
        let pressure = "avg10=0.10 avg60=0.00 avg300=0.00 total=1";
        file(&at("memory.pressure"), format!("some {pressure}\nfull {pressure}\n"))?;
    }
    for number in 0..processes {
        let pid = 100 + number;
        let at = |name: &str| format!("proc/{pid}/{name}");
        let name = format!("task-{}", number % 37);
        let stat = format!("{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 0 0\n");
        file(&at("stat"), stat)?;
        file(&at("comm"), format!("{name}\n"))?;
        file(&at("oom_score_adj"), "0\n".to_owned())?;
        file(&at("cgroup"), format!("0::/{}\n", path(number % cgroups)))?;
        let size = 100 + number * 7_919 % 65_521;
        file(
            &at("status"),
            format!("Uid:\t0\t0\t0\t0\nRssAnon:\t{size} kB\nRssFile:\t4 kB\nVmPTE:\t40 kB\n"),
        )?;
    }
    Ok(())
}
