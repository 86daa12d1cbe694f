//! Words that people bring from other tools, and what is meant by them here.
//!
//! One row for each word: systemd's settings, files of cgroup v1 and v2, columns of `ps` and `top`, words of other
//! languages. Takes a word and where it stands, gives ours and a remark. Knows nothing of grammar or scope.

use oomc_abi::fields::Owner;

/// Where a foreign word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// As a field of a cgroup.
    Cgroup,
    /// As a field of a process.
    Process,
    /// As a ranking word.
    Rank,
    /// As what is selected.
    Unit,
    /// Where a clause begins.
    Clause,
    /// As the mode.
    Mode,
}

impl Use {
    /// The use of a name that should be a field of this owner.
    #[must_use]
    pub fn field_of(owner: Owner) -> Option<Self> {
        match owner {
            Owner::Cgroup => Some(Self::Cgroup),
            Owner::Process => Some(Self::Process),
            _ => None,
        }
    }
}

/// What a foreign word is called here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Instead of it; empty if nothing can stand in its place alone.
    pub word: &'static str,
    /// It means the same.
    pub certain: bool,
    /// What else should be known; empty if nothing.
    pub remark: &'static str,
}

const fn same(word: &'static str) -> Ours {
    Ours { word, certain: true, remark: "" }
}

const fn near(word: &'static str, remark: &'static str) -> Ours {
    Ours { word, certain: false, remark }
}

const fn told(remark: &'static str) -> Ours {
    Ours { word: "", certain: false, remark }
}

const LIMIT: Ours = Ours {
    word: "own_limit",
    certain: true,
    remark: "`own_limit` is this file; `limit` is the smallest one from here up to the root",
};

const MANAGED: Ours = told(
    "systemd-oomd keeps it to itself: write it down as a `label`, or as `avoid cgroup \"/path\"` and `prefer cgroup \"/path\"`",
);

const MEMORY: &str = "what the cgroup uses is `cgroup.usage`, what it may use `cgroup.limit`; the machine's memory is \
                      `machine.memory`, and what of it is left `machine.available`";

const COMMAND: &str =
    "`comm` is the command's name, at most 15 bytes; its arguments and its path are not known";

/// Rows by use, written small and with dots and hyphens as `_`.
static WORDS: &[(Use, &[&str], Ours)] = &[
    (
        Use::Cgroup,
        &["memory_max", "memorymax", "memory_limit", "memorylimit", "memory_limit_in_bytes", "mem_limit"],
        LIMIT,
    ),
    (
        Use::Cgroup,
        &[
            "memory_current",
            "memorycurrent",
            "memory_usage",
            "memory_usage_in_bytes",
            "current",
            "mem_usage",
            "memory_used",
            "used",
        ],
        same("usage"),
    ),
    (Use::Cgroup, &["memory_high", "memoryhigh"], same("high")),
    (Use::Cgroup, &["memory_low", "memorylow", "memory_soft_limit_in_bytes"], same("low")),
    (Use::Cgroup, &["memory_min", "memorymin"], same("min")),
    (Use::Cgroup, &["memory_swap_current", "memoryswapcurrent", "swap_current", "swap_usage"], same("swap")),
    (Use::Cgroup, &["memory_swap_max", "memoryswapmax", "swap_max"], same("swap_limit")),
    (Use::Cgroup, &["memory_oom_group", "group", "oomgroup"], same("oom_group")),
    (Use::Cgroup, &["memory_stat_anon", "rss", "anonymous"], same("anon")),
    (Use::Cgroup, &["memory_stat_file", "cache", "page_cache", "pagecache"], same("file")),
    (Use::Cgroup, &["memory_stat_shmem", "tmpfs"], same("shmem")),
    (Use::Cgroup, &["memory_stat_kernel", "kmem", "kernel_memory"], same("kernel")),
    (Use::Cgroup, &["memory_events_oom_kill", "oom_kill", "oom_kills"], same("events.oom_kill")),
    (Use::Cgroup, &["memory_events_oom", "oom_events"], same("events.oom")),
    (Use::Cgroup, &["memory_events_max"], same("events.max")),
    (
        Use::Cgroup,
        &["pids_current", "tasksmax", "tasks", "nr_tasks", "nr_procs", "processes", "pids"],
        near("nr_processes", "`nr_processes` counts processes of the whole subtree, not threads"),
    ),
    (
        Use::Cgroup,
        &["unit", "slice", "service", "scope", "cgroup_name"],
        near("name", "`name` is the last part of the path, for example \"web.service\""),
    ),
    (Use::Cgroup, &["cgroup_path", "cgrouppath", "control_group", "cgroup"], same("path")),
    (Use::Cgroup, &["memory", "mem", "ram"], told(MEMORY)),
    (
        Use::Cgroup,
        &["memavailable", "mem_available", "available_memory", "memfree", "mem_free", "free_memory", "free"],
        told(
            "what the machine has left is `machine.available`: compare it with an amount, or `10% of machine.memory`",
        ),
    ),
    (
        Use::Cgroup,
        &["swapfree", "swap_free", "free_swap", "swaptotal", "swap_total"],
        told("the swap of the machine is `machine.swap`, and what of it is free `machine.swap_free`"),
    ),
    (
        Use::Cgroup,
        &[
            "managedoompreference",
            "managedoommemorypressure",
            "managedoomswap",
            "managedoommemorypressurelimit",
            "oompolicy",
            "priority",
            "memory_priority",
            "memory_oom_priority",
        ],
        MANAGED,
    ),
    (
        Use::Cgroup,
        &["memory_pressure", "pressure", "psi", "memory_psi"],
        told(
            "name the kind and the window: `pressure.full.avg10` when nobody gets on, `pressure.some.avg10` when somebody waits; also `avg60` and `avg300`",
        ),
    ),
    (
        Use::Process,
        &["oom_score"],
        near(
            "badness",
            "`badness` is the number that `oom_score` is scaled from: the same order, but pages instead of 0 to 2000",
        ),
    ),
    (
        Use::Process,
        &["oomscoreadjust", "oom_score_adjust", "oomscoreadj", "oom_score_adjustment", "score_adj"],
        same("oom_score_adj"),
    ),
    (
        Use::Process,
        &["oom_adj", "oomadj"],
        near(
            "oom_score_adj",
            "the old `oom_adj` ran from -17 to 15, `oom_score_adj` runs from -1000 to 1000",
        ),
    ),
    (
        Use::Process,
        &["vmrss", "rss_kb", "memory_rss", "resident", "res", "usage_rss", "memory_usage", "memory_info"],
        same("rss"),
    ),
    (
        Use::Process,
        &["memory", "mem", "ram", "memtotal", "total_memory"],
        told(
            "a process has `rss` and `footprint`, the cgroup whose limit was hit `cgroup.limit` and `cgroup.usage`; the memory of the machine is `machine.memory`, and what the kernel scores against `oom.total`",
        ),
    ),
    (Use::Process, &["rssanon", "vmanon", "anonymous", "private"], same("anon")),
    (Use::Process, &["rssfile"], same("file")),
    (Use::Process, &["rssshmem", "shared"], same("shmem")),
    (Use::Process, &["vmswap", "swap_usage", "swapped"], same("swap")),
    (Use::Process, &["vmpte", "page_tables", "pagetables"], same("pgtables")),
    (
        Use::Process,
        &["size", "total_vm"],
        near("footprint", "`footprint` is rss, swap and page tables together"),
    ),
    (
        Use::Process,
        &[
            "command",
            "cmd",
            "cmdline",
            "exe",
            "argv",
            "executable",
            "binary",
            "args",
            "process_name",
            "procname",
            "image",
        ],
        near("comm", COMMAND),
    ),
    (
        Use::Process,
        &["user", "username", "owner", "euid", "ruid", "user_id"],
        told("users are numbers here: `uid` is one, and `id -u NAME` prints it"),
    ),
    (Use::Process, &["threads", "num_threads", "nlwp", "thread_count"], same("nr_threads")),
    (
        Use::Process,
        &["start_time", "starttime", "uptime", "etime", "runtime", "lifetime"],
        near("age", "`age` is how long it has run: the youngest has the smallest"),
    ),
    (
        Use::Process,
        &["exiting", "zombie"],
        near("dying", "`dying` is true when an OOM killer chose it, or when it exits already"),
    ),
    (
        Use::Process,
        &["kthread", "is_kthread", "kernel_thread", "is_kernel_thread", "kernel", "pf_kthread"],
        told(
            "kernel threads, init and what has an `oom_score_adj` of -1000 are never candidates: leave the condition out",
        ),
    ),
    (
        Use::Process,
        &["cpu", "cpu_usage", "pcpu", "load", "io", "nice", "priority", "prio"],
        told("memory decides: how busy a process is, is not known here; `age` and `oom_score_adj` are"),
    ),
    (Use::Process, &["tgid", "process_id"], same("pid")),
    (Use::Process, &["score"], same("badness")),
    (
        Use::Rank,
        &[
            "biggest",
            "greatest",
            "heaviest",
            "fattest",
            "hungriest",
            "max",
            "maximum",
            "highest",
            "most",
            "top",
            "bigger",
            "larger",
        ],
        same("largest"),
    ),
    (
        Use::Rank,
        &["littlest", "lightest", "least", "min", "minimum", "lowest", "tiniest", "smaller"],
        same("smallest"),
    ),
    (Use::Rank, &["newest", "latest", "last", "newer", "younger", "freshest", "recent"], same("youngest")),
    (Use::Rank, &["eldest", "first", "earliest", "older"], same("oldest")),
    (Use::Rank, &["baddest"], same("worst")),
    (Use::Rank, &["each", "every", "any", "everything", "everybody", "everyone"], same("all")),
    (Use::Unit, &["task", "proc", "program", "pid"], same("process")),
    (Use::Unit, &["processes", "tasks", "procs"], same("process")),
    (
        Use::Unit,
        &[
            "container",
            "service",
            "group",
            "slice",
            "pod",
            "unit",
            "scope",
            "memcg",
            "containers",
            "services",
            "groups",
            "pods",
        ],
        same("cgroup"),
    ),
    (
        Use::Unit,
        &["leaf", "leaves", "leafs"],
        told("leaves are a place: `kill largest cgroup in leaves of cgroup`"),
    ),
    (
        Use::Clause,
        &["protect", "exclude", "ignore", "omit", "whitelist", "allowlist", "skip", "spare", "except"],
        same("never kill"),
    ),
    (Use::Clause, &["deprioritize", "deprioritise", "depreference", "unprefer"], same("avoid")),
    (Use::Clause, &["favor", "favour", "prioritize", "prioritise", "preference"], same("prefer")),
    (
        Use::Clause,
        &["include", "source", "use", "require"],
        told("a policy is one file: copy the clauses into it"),
    ),
    (Use::Clause, &["when", "unless", "while"], told("write `if CONDITION then ACTION`")),
    (Use::Clause, &["let", "var", "def", "set", "constant"], same("const")),
    (Use::Clause, &["terminate", "stop", "sigkill", "oomkill", "oom_kill"], same("kill")),
    (Use::Clause, &["log", "print", "warn", "alert"], same("notify")),
    (Use::Clause, &["pass", "nothing", "allow", "return", "noop", "continue"], same("defer")),
    (Use::Clause, &["sleep"], same("wait")),
    (
        Use::Clause,
        &["raise", "raise_memory", "increase", "grow", "raise_max", "increase_limit", "extend"],
        told("write `raise_limit 10% up to 2GiB`"),
    ),
    (Use::Mode, &["enforcing", "active", "on", "enabled", "act", "live", "strict"], same("enforce")),
    (
        Use::Mode,
        &[
            "dry_run",
            "dryrun",
            "dry",
            "log",
            "permissive",
            "observe",
            "monitor",
            "report",
            "test",
            "off",
            "warn",
            "complain",
        ],
        same("audit"),
    ),
];

/// What a word is called here, whichever tool wrote it how: `MemoryMax`, `memory.max` and `memory_max` are one.
#[must_use]
pub fn ours(word: &str, r#use: Use) -> Option<Ours> {
    let plain: String = word.to_ascii_lowercase().replace(['.', '-'], "_");
    WORDS
        .iter()
        .find(|(wanted, words, _)| *wanted == r#use && words.contains(&plain.as_str()))
        .map(|(_, _, ours)| *ours)
}

/// A path of pressure as another tool writes it: `psi.full.avg10`, `memory.pressure.some.avg60`.
#[must_use]
pub fn pressure(path: &str) -> Option<String> {
    let rest = ["psi.memory.", "pressure.memory.", "memory.pressure.", "memory.psi.", "psi."]
        .into_iter()
        .find_map(|prefix| path.strip_prefix(prefix))?;
    let (kind, window) = rest.split_once('.')?;
    let known = matches!(kind, "some" | "full") && matches!(window, "avg10" | "avg60" | "avg300");
    known.then(|| format!("pressure.{kind}.{window}"))
}

#[cfg(test)]
mod tests {
    use oomc_abi::fields;
    use oomc_grammar::{Rule, items, words};

    use super::*;

    #[test]
    fn one_spelling_is_as_good_as_another() {
        for word in ["MemoryMax", "memory.max", "memory_max"] {
            assert_eq!(ours(word, Use::Cgroup).map(|ours| ours.word), Some("own_limit"), "{word}");
        }
        assert_eq!(ours("own_limit", Use::Cgroup), None);
        assert_eq!(pressure("psi.full.avg10").as_deref(), Some("pressure.full.avg10"));
        assert_eq!(pressure("psi.full"), None);
    }

    #[test]
    fn what_is_called_ours_is_and_what_is_called_foreign_is_not() {
        for (wanted, foreign, ours) in WORDS {
            let owner = match wanted {
                Use::Cgroup => Some(Owner::Cgroup),
                Use::Process => Some(Owner::Process),
                _ => None,
            };
            let known = |word: &str| match wanted {
                Use::Cgroup | Use::Process => owner.is_some_and(|owner| fields::find(owner, word).is_some()),
                Use::Rank => words::of(Rule::rank).contains(&word),
                Use::Unit => words::of(Rule::unit).contains(&word),
                Use::Clause => items::clause_words().any(|known| word.split(' ').next() == Some(known)),
                Use::Mode => ["audit", "enforce"].contains(&word),
            };
            assert!(ours.word.is_empty() || known(ours.word), "{ours:?}");
            assert!(!ours.word.is_empty() || !ours.remark.is_empty(), "{foreign:?}");
            assert!(foreign.iter().all(|word| !known(word)), "{foreign:?}");
        }
    }
}
