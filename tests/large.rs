//! Policies of up to 100 KB build, or are refused, within bounds: the heap that they need, and how what they need grows
//! with their size.
//!
//! Time of the processor is compared with time of the processor, so that a slow machine changes nothing. Memory is what
//! the kernel says was resident at most, of a process that builds one policy: this program starts itself for each.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_compiler::diag::{Severity, codes};

/// The largest policy, and the largest of one clause.
const MOST: usize = 100_000;
const CLAUSE: usize = 60_000;

/// Policies of any size of one kind: what stands before, what is repeated with a number, what stands behind.
struct Kind {
    name: &'static str,
    /// MiB that the largest may need beyond what is resident before. The goal is 100; a row above that says where it is
    /// missed, and by how much.
    memory: u64,
    before: &'static str,
    each: fn(usize) -> String,
    behind: &'static str,
}

const KILL: &str = "kill largest process in subtree\n";

const KINDS: &[Kind] = &[
    Kind {
        name: "rises",
        memory: 110,
        before: "",
        each: |n| format!("if cgroup.usage > {}% then raise_limit {}%\n", n % 99 + 1, n % 50 + 1),
        behind: KILL,
    },
    Kind {
        name: "kills that differ in numbers",
        memory: 100,
        before: "",
        each: |n| format!("kill largest process in subtree where rss > {}MiB\n", n + 1),
        behind: "",
    },
    Kind {
        name: "kills that differ in shape",
        memory: 100,
        before: "param step = 25% range 1% .. 100%\nlabel tier: count = 100\n\
                 state grown: counter per cgroup resets after 1h\n",
        each: shape,
        behind: KILL,
    },
    Kind {
        name: "protections",
        memory: 100,
        before: "",
        each: |n| format!("never kill process where comm == \"p{n}*\" or rss > {n}MiB\n"),
        behind: KILL,
    },
    Kind {
        name: "preferences",
        memory: 100,
        before: "",
        each: |n| format!("avoid process where comm in [\"a{n}\", \"b{n}*c\"]\n"),
        behind: KILL,
    },
    Kind {
        name: "one list of patterns",
        memory: 100,
        before: "never kill process where comm in [",
        each: |n| format!("\"a{n}*b?{n}\", "),
        behind: "\"x\"]\nkill largest process in subtree\n",
    },
    Kind {
        name: "patterns of paths",
        memory: 100,
        before: "",
        each: |n| format!("never kill cgroup where path in [\"/a{n}/**/b*\", \"/c{n}/*/d\"]\n"),
        behind: KILL,
    },
    Kind {
        name: "kills in what was picked",
        memory: 100,
        before: "pick tenant = largest cgroup in children of cgroup\n",
        each: |n| format!("kill largest process in subtree of tenant where rss > {n}MiB\n"),
        behind: "",
    },
    Kind {
        name: "picks",
        memory: 170,
        before: "",
        each: |n| {
            format!(
                "pick p{n} = largest cgroup in children of cgroup where usage > {n}MiB\n\
                 kill largest in subtree of p{n}\n"
            )
        },
        behind: "",
    },
    Kind {
        name: "long conditions",
        memory: 100,
        before: "",
        each: |n| {
            let terms = (0..40).map(|at| format!("(comm != \"c{at}\" or footprint / {} > {n}MiB)", at + 2));
            format!(
                "kill process in subtree where {} by rss * {n} / 7\n",
                terms.collect::<Vec<_>>().join(" and ")
            )
        },
        behind: KILL,
    },
    Kind {
        name: "quantifiers",
        memory: 100,
        before: "",
        each: |n| {
            format!(
                "kill cgroup c in subtree where (any process p in c where (p.comm == \"q{n}\" and p.rss > {n}MiB))\n"
            )
        },
        behind: KILL,
    },
];

/// Five kinds of rules in turn.
fn shape(n: usize) -> String {
    match n % 5 {
        0 => format!(
            "rule \"r{n}\": if cgroup.usage > {}% and grown < 3 then {{ raise_limit step up to parent.limit \
             count grown }} else kill largest process in subtree where rss > {}MiB by rss desc, age\n",
            n % 90 + 1,
            n + 1
        ),
        1 => format!(
            "rule \"r{n}\": kill cgroup c in children of cgroup where c.tier > {n} and (any process in c where \
             comm == \"m{n}\") by c.usage reason \"it was {{name}}\"\n"
        ),
        2 => format!("avoid process where comm in [\"a{n}\", \"b{n}\"]\n"),
        3 => format!(
            "rule \"r{n}\": {{ kill youngest process in subtree where comm == \"x{n}-*\" until freed {}MiB at most 4 \
             notify \"n{n}\" }}\n",
            n + 1
        ),
        _ => format!(
            "rule \"r{n}\": kill largest in subtree where task.signal.nr_threads > {n} or home.tier < {n}\n"
        ),
    }
}

impl Kind {
    fn policy(&self, bytes: usize) -> String {
        let bytes =
            if self.before.ends_with('\n') || self.before.is_empty() { bytes } else { bytes.min(CLAUSE) };
        let mut text = self.before.to_owned();
        let mut n = 0;
        loop {
            let more = (self.each)(n);
            if text.len() + more.len() + self.behind.len() > bytes {
                return text + self.behind;
            }
            let _ = write!(text, "{more}");
            n += 1;
        }
    }
}

/// Whether it is built; if it is not, the limits of the kernel are why.
fn builds(kind: &Kind, text: &str) -> bool {
    let source = Source::new("large.oom", text);
    let compiled = oomc_compiler::compile(&source, &KernelView::embedded());
    let errors: Vec<String> = compiled
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| format!("{}: {}", found.code, found.message))
        .collect();
    let refused = compiled.diagnostics.iter().any(|found| found.code == codes::PROGRAM_TOO_LARGE);
    assert!(compiled.object.is_some() || refused, "{}: {errors:?}", kind.name);
    compiled.object.is_some()
}

/// What this thread has had of a processor so far: in nanoseconds, first in the file.
fn spent() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that counts");
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number"))
}

/// A line of `/proc/self/status`, in KiB.
fn resident(line: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("a process");
    let found = text.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    found.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The median of three.
fn time(work: impl Fn()) -> Duration {
    let mut times = [0; 3].map(|_| {
        let start = spent();
        work();
        spent().saturating_sub(start)
    });
    times.sort();
    times[1]
}

/// Says to the process that starts it: which kind it builds, by its place.
const KIND: &str = "OOMC_LARGE_KIND";

/// Builds the largest policy of a kind in a process of its own; gives whether it was built, and the memory in KiB.
fn alone(number: usize) -> (bool, u64) {
    let program = std::env::current_exe().expect("a program");
    let output =
        Command::new(program).args(["one_policy", "--nocapture"]).env(KIND, number.to_string()).output();
    let output = output.expect("it can be started again");
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().find_map(|line| line.strip_prefix("built: ")?.split_once(", KiB: "));
    let (built, memory) = said.unwrap_or_else(|| panic!("{text}"));
    (built == "true", memory.parse().expect("a number"))
}

/// Nothing, unless [`KIND`] is set.
#[test]
fn one_policy() {
    let Some(kind) = std::env::var(KIND).ok().and_then(|number| KINDS.get(number.parse::<usize>().ok()?))
    else {
        return;
    };
    let large = kind.policy(MOST);
    assert!(builds(kind, KILL), "types of the kernel are read, too");
    let before = resident("VmRSS:");
    let built = builds(kind, &large);
    eprintln!("built: {built}, KiB: {}", resident("VmHWM:").saturating_sub(before));
}

#[test]
fn large_policies_are_built_or_refused_within_bounds() {
    let mut beyond = Vec::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let (built, most) = alone(number);
        let [small, large] = [MOST / 20, MOST / 5].map(|bytes| kind.policy(bytes)).map(|text| {
            time(|| {
                builds(kind, &text);
            })
        });
        let said = if built { "built" } else { "refused" };
        eprintln!("{}: {said}, {most} KiB; {small:?}, of four times the size {large:?}", kind.name);
        if most > kind.memory << 10 || large > small * 8 {
            beyond.push(kind.name);
        }
    }
    assert_eq!(beyond, [""; 0]);
}
