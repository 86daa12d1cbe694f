//! No second victim: a victim that nobody holds back, while its cgroup runs into its limit again and again until the memory
//! is free. Twenty trials for each kind of victim.
//!
//! Gives texts of cases by name, policy and script in one like the files of `tests/cases/run`.

const TRIALS: u32 = 20;

/// A trial: who is chosen, what makes him another kind of victim, and that he alone has died.
fn trial(at: u32, threads: &str, before: &str) -> String {
    format!(
        "#> cgroup /site/t{at} max 40MiB\n\
         #> task big{at} in /site/t{at} comm big anon 16MiB{threads}\n\
         #> task middle{at} in /site/t{at} comm middle anon 8MiB\n\
         #> task small{at} in /site/t{at} comm small anon 2MiB\n\
         {before}\
         #> grow small{at} by 20MiB\n\
         #> expect big{at} killed\n\
         #> expect middle{at} alive\n\
         #> expect small{at} alive\n\
         #> expect /site/t{at} memory.events oom_kill == 1\n\
         #> kill middle{at}\n\
         #> kill small{at}\n"
    )
}

fn trials(threads: &str, before: impl Fn(u32) -> String) -> String {
    let trials: String = (0..TRIALS).map(|at| trial(at, threads, &before(at))).collect();
    // The oldest one, because the memory of a leader that is gone cannot be read.
    format!(
        "kill oldest process in subtree where comm != \"small\"\n\n#> cgroup /site\n#> load --cgroup /site\n{trials}"
    )
}

/// Name and text of each.
pub(crate) fn cases() -> Vec<(&'static str, String)> {
    vec![
        ("no_second_victim_of_one_thread", trials("", |_| String::new())),
        ("no_second_victim_of_fifty_threads", trials(" threads 50", |_| String::new())),
        ("no_second_victim_without_leader", trials(" threads 50", |at| format!("#> exit big{at}\n"))),
    ]
}
