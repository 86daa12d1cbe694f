//! Policies too long to write down: many rules that never apply, and at their end one that does.
//!
//! Gives texts of cases by name, policy and script in one like the files of `tests/cases/run`.

/// Kills of both kinds that are too large for the machine.
fn idle_kills(count: u32) -> String {
    let rule = |at: u32| {
        let least = 100_000 - at;
        match at % 4 {
            0 => format!("kill largest cgroup in subtree where usage > {least}MiB\n"),
            1 => format!("kill process in subtree where footprint > {least}MiB by rss - swap\n"),
            2 => format!("kill smallest process in cgroup where rss > {least}MiB and comm != \"x\" now\n"),
            _ => format!("kill largest process in subtree where rss > {least}MiB\n"),
        }
    };
    (0..count).map(rule).collect()
}

/// Enough kills for a policy of several functions.
const MANY: u32 = 60;

const KILLS_A_PROCESS: &str = "
never kill process where comm == \"shield\"
kill largest process in subtree reason \"the last of many\"
#> cgroup /job max 72MiB
#> task shield in /job anon 40MiB
#> task other in /job anon 18MiB
#> task small in /job anon 2MiB
";

const KILLED: &str = "
#> grow small by 15MiB
#> expect other killed
#> expect shield alive
#> expect small alive
#> expect log \"the last of many\"
";

const KILLS_A_CGROUP: &str = "
kill largest cgroup in subtree
#> cgroup /job max 80MiB
#> cgroup /job/unit group
#> cgroup /job/unit/x
#> cgroup /job/unit/y
#> cgroup /job/grows
#> task a in /job/unit/x anon 20MiB
#> task b in /job/unit/y anon 25MiB
#> task small in /job/grows anon 15MiB
#> load --cgroup /job
#> expect whole /job
#> grow small by 25MiB
#> expect a killed
#> expect b killed
#> expect small alive
";

const KILLS_BY_NAME: &str = "
kill largest in subtree where comm == \"other\" reason \"by its name\"
#> cgroup /job max 60MiB
#> task big in /job anon 30MiB
#> task other in /job anon 10MiB
#> task small in /job anon 2MiB
#> load --cgroup /job
#> expect whole /job
#> grow small by 20MiB
#> expect other killed
#> expect big alive
#> expect small alive
#> expect log \"by its name\"
";

const DESCENDS: &str = "
kill largest cgroup in subtree stepwise
#> cgroup /job max 120MiB
#> cgroup /job/many
#> cgroup /job/many/a
#> cgroup /job/many/b
#> cgroup /job/one
#> cgroup /job/one/c
#> task a in /job/many/a anon 20MiB
#> task b in /job/many/b anon 40MiB
#> task c in /job/one/c anon 45MiB
#> load --cgroup /job
#> expect whole /job
#> grow a by 20MiB
#> expect b killed
#> expect a alive
#> expect c alive
";

const WAITS: &str = "
kill largest in subtree
#> cgroup /job max 70MiB
#> task big in /job anon 30MiB
#> task middle in /job anon 15MiB
#> task small in /job anon 5MiB
#> linger big
#> load --cgroup /job
#> grow small by 25MiB until stuck
#> expect big dying
#> expect middle alive
#> expect small alive
#> expect /job memory.events oom_kill == 1
#> write /job memory.max 200M
#> expect big killed
";

const KNOWS_WHERE_IT_IS: &str = "
if attached.name == \"site\" and cgroup.name == \"job\" then kill largest in subtree where comm == \"holds\"
kill largest in subtree where comm == \"fails\"
#> cgroup /site
#> cgroup /site/job max 50MiB
#> task holds in /site/job anon 10MiB
#> task fails in /site/job anon 10MiB
#> task grower in /site/job anon 10MiB
#> load --cgroup /site
#> grow grower by 24MiB
#> expect holds killed
#> expect fails alive
";

const DEFERS: &str = "
if cgroup.usage > 10% then defer
kill largest process in subtree where comm == \"first\"
#> cgroup /job max 50MiB
#> task first in /job anon 5MiB
#> task kernels in /job anon 30MiB
#> task grower in /job anon 5MiB
#> load --cgroup /job
#> grow grower by 12MiB
#> expect kernels killed
#> expect first alive
";

const COUNTS: &str = "
param step = 25% range 1% .. 100%
state grown: counter per cgroup
rule \"grow\": if grown < 2 then {
    raise_limit step up to 1GiB
    count grown
}
rule \"kill\": kill largest cgroup in subtree where grown == 0 reason \"{name} after {grown} times\"
#> cgroup /job max 40MiB
#> cgroup /job/a
#> cgroup /job/b
#> task big in /job/a anon 33MiB
#> task small in /job/b anon 2MiB
#> load --cgroup /job
#> grow small by 20MiB
#> expect /job memory.max > 62MiB
#> expect big alive
#> grow small by 12MiB
#> expect big killed
#> expect small alive
#> expect /job memory.max < 63MiB
#> expect log \" after  times\"
";

const AUDITS: &str = "
mode audit
kill smallest in subtree
#> cgroup /job max 60MiB
#> task big in /job anon 40MiB
#> task small in /job anon 5MiB
#> load --cgroup /job
#> grow small by 20MiB
#> expect big killed
#> expect small alive
#> expect no log \"large_audits, rule\"
";

/// Name and text of each.
pub(crate) fn cases() -> Vec<(&'static str, String)> {
    let many = idle_kills(MANY);
    let kills = |load: &str| format!("{many}{KILLS_A_PROCESS}{load}{KILLED}");
    // Ways to the end of one rule that 16 bits cannot hold.
    let raises: String = (0..400)
        .map(|at| format!("if cgroup.id == {} then raise_limit 2% up to {at}GiB\n", 1_000_000 + at))
        .collect();
    let raises = format!("rule \"far\": {{\n{raises}}}\n");
    // More kinds of searches than functions: the last ones stand where they are called.
    let kinds: String =
        (0..200).map(|at| format!("kill in subtree where comm == \"name{at}*\" now\n")).collect();
    let names: String =
        (0..MANY).map(|at| format!("kill in subtree where comm in [\"name{at}\"] now\n")).collect();
    let steps: String = (0..MANY)
        .map(|at| {
            let until = if at % 2 == 0 { "" } else { " until freed 1GiB at most 15" };
            format!("kill largest cgroup in subtree stepwise where usage > {}MiB{until}\n", 100_000 - at)
        })
        .collect();
    vec![
        (
            "large_of_many_kinds",
            format!(
                "{kinds}{KILLS_A_PROCESS}#> measure large_of_many_kinds.o\n#> load --cgroup /job\n{KILLED}"
            ),
        ),
        ("large_kills_a_process", kills("#> load --cgroup /job\n#> expect whole /job\n")),
        ("large_by_libbpf", kills("#> libbpf --cgroup /job\n") + "#> release\n"),
        ("large_kills_a_cgroup", format!("{many}{KILLS_A_CGROUP}")),
        ("large_kills_by_name", format!("{names}{KILLS_BY_NAME}")),
        ("large_descends", format!("{steps}{DESCENDS}")),
        ("large_waits", format!("{many}{WAITS}")),
        ("large_knows_where_it_is", format!("{many}{KNOWS_WHERE_IT_IS}")),
        ("large_counts", format!("{many}{COUNTS}")),
        ("large_audits", format!("{many}{AUDITS}")),
        ("large_defers", format!("{many}{DEFERS}")),
        (
            "thousand_kills",
            format!(
                "{}{KILLS_A_PROCESS}#> measure thousand_kills.o\n#> load --cgroup /job\n{KILLED}",
                idle_kills(1_000)
            ),
        ),
        (
            "far_jumps",
            format!("{raises}{KILLS_A_PROCESS}#> measure far_jumps.o\n#> load --cgroup /job\n{KILLED}"),
        ),
    ]
}
