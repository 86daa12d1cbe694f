//! earlyoom's arguments: the file `/etc/default/earlyoom`, the line `ExecStart=` of a unit, or the arguments alone.
//!
//! What they mean stands in earlyoom(1), version 1.8 (<https://github.com/rfjakob/earlyoom/blob/master/MANPAGE.md>): as soon
//! as memory *and* swap are both at or below their minimum, the process with the highest `oom_score` gets SIGTERM; below
//! half of both, SIGKILL. A percentage of memory is one of `MemAvailable` + `AnonPages`.
//!
//! `oom_score` is the kernel's badness in two thirds of a thousandth of memory and swap, so that the 300 of `--prefer` are
//! 45 % of those (`proc_oom_score()`, fs/proc/base.c, 6.12).

use lexopt::{Arg, Parser};

use crate::draft::{Block, Draft};
use crate::quantity::{self, Permyriad, WHOLE};
use crate::{Refused, pattern, scene};

/// What 300 of `oom_score` are of memory and swap, and what they are of `VmRSS` (`kill.c`).
const PREFERENCE: &str = "45% of oom.total";
const PREFERENCE_OF_RSS: &str = "3TiB";

/// A minimum: where SIGTERM is sent, and where SIGKILL.
#[derive(Clone, Copy)]
struct Least {
    terminate: u64,
    kill: u64,
}

/// What was asked for.
struct Wanted {
    memory_share: Option<Least>,
    memory_size: Option<Least>,
    swap_share: Option<Least>,
    swap_size: Option<Least>,
    by_rss: bool,
    prefer: Vec<String>,
    avoid: Vec<String>,
    ignore: Vec<String>,
}

pub(crate) fn convert(draft: &mut Draft, text: &str) -> Result<(), Refused> {
    let mut wanted = read(draft, arguments(text)?)?;
    if wanted.memory_share.is_none() && wanted.memory_size.is_none() {
        wanted.memory_share = Some(Least { terminate: 1000, kill: 500 });
    }
    if wanted.swap_share.is_none() && wanted.swap_size.is_none() {
        wanted.swap_share = Some(Least { terminate: 1000, kill: 500 });
    }
    if !wanted.ignore.is_empty() {
        draft.declare(format!("never kill process where comm in {}", pattern::list(&wanted.ignore)));
    }
    let selection = wanted.selection();
    let (kill, terminate) = (wanted.condition(|least| least.kill), wanted.condition(|least| least.terminate));
    let (hard, soft) = (draft.unique("kill"), draft.unique("terminate"));
    // As often as anybody looks; the condition decides.
    let block = |about: &str, name: &str, rule: String| Block {
        about: vec![about.to_owned(), "Asked at every look.".to_owned()],
        event: "usage > 0B".to_owned(),
        lasting: 0,
        cooldown: 1000,
        rules: vec![(name.to_owned(), rule)],
    };
    let reason = "reason \"{comm} ({pid}) has {footprint}\"";
    draft.block(block("Both minima of SIGKILL.", &hard, format!("if {kill} then kill {selection} {reason}")));
    draft.block(block(
        "Both minima of SIGTERM.",
        &soft,
        format!("if {terminate} then kill {selection} grace 10s {reason}"),
    ));
    draft.lose(
        None,
        "earlyoom sends SIGKILL only below the second minimum; here whoever got SIGTERM and is still there after 10 s is \
         killed, too",
    );
    draft.lose(None, scene::AVAILABLE);
    tests(draft, &wanted, &hard, &soft);
    Ok(())
}

/// The words behind the program's name.
fn arguments(text: &str) -> Result<Vec<String>, Refused> {
    let unquoted = |text: &str| shlex::split(text).ok_or_else(|| Refused("a quote is not closed".to_owned()));
    if let Some(line) = text.lines().rev().find(|line| line.trim_start().starts_with("ExecStart=")) {
        let words = unquoted(line)?;
        return Ok(words.into_iter().skip(1).collect());
    }
    // Read as a shell and systemd read it: the last assignment counts, and its value is split once more.
    let words = unquoted(text)?;
    match words.iter().rev().find_map(|word| word.strip_prefix("EARLYOOM_ARGS=")) {
        Some(value) => unquoted(value),
        None if words.iter().any(|word| word.contains('=') && !word.starts_with('-')) => {
            Err(Refused("nothing in it is `EARLYOOM_ARGS=`".to_owned()))
        }
        None => Ok(words),
    }
}

fn read(draft: &mut Draft, words: Vec<String>) -> Result<Wanted, Refused> {
    let mut wanted = Wanted {
        memory_share: None,
        memory_size: None,
        swap_share: None,
        swap_size: None,
        by_rss: false,
        prefer: Vec::new(),
        avoid: Vec::new(),
        ignore: Vec::new(),
    };
    let mut parser = Parser::from_args(words);
    while let Some(arg) = parser.next().map_err(refused)? {
        match arg {
            Arg::Short('m') => wanted.memory_share = Some(least(&value(&mut parser)?, quantity::share)?),
            Arg::Short('s') => wanted.swap_share = Some(least(&value(&mut parser)?, quantity::share)?),
            Arg::Short('M') => wanted.memory_size = Some(least(&value(&mut parser)?, kibibytes)?),
            Arg::Short('S') => wanted.swap_size = Some(least(&value(&mut parser)?, kibibytes)?),
            Arg::Long("sort-by-rss") => wanted.by_rss = true,
            Arg::Long("dryrun") => draft.audit = true,
            Arg::Long("ignore-root-user") => draft.declare("never kill process where uid == 0".to_owned()),
            Arg::Long("prefer") => wanted.prefer = named(draft, "prefer", &value(&mut parser)?),
            Arg::Long("avoid") => wanted.avoid = named(draft, "avoid", &value(&mut parser)?),
            Arg::Long("ignore") => {
                let expression = value(&mut parser)?;
                wanted.ignore = named(draft, "ignore", &expression);
                if wanted.ignore.is_empty() {
                    // Somebody whom earlyoom spares would be killed.
                    return Err(Refused(format!(
                        "`--ignore {expression}` protects processes and cannot be expressed: write the names out"
                    )));
                }
            }
            Arg::Short('r' | 'N' | 'P') => {
                let option = short(&arg);
                let given = value(&mut parser)?;
                other(draft, &option, &given);
            }
            Arg::Short('p' | 'n' | 'g' | 'd' | 'k' | 'i' | 'v' | 'h')
            | Arg::Long("debug" | "help" | "syslog" | "kernel-oom") => other(draft, &short(&arg), ""),
            _ => return Err(Refused(format!("earlyoom has no option `{}`", short(&arg)))),
        }
    }
    Ok(wanted)
}

/// Options that are not about whom to kill when.
fn other(draft: &mut Draft, option: &str, given: &str) {
    let why = match option {
        "-r" => "it prints no reports; `oomc metrics` has what is attached",
        "-N" | "-P" => "it runs no programs; each decision goes to the journal",
        "-n" => "it shows nothing on screens; each decision goes to the journal",
        "-p" => "`oomc.service` has its own OOMScoreAdjust",
        "-g" => "a process group is not killed as a whole: only the process is; a cgroup could be",
        "--kernel-oom" => "it does not ask the kernel's killer to choose",
        _ => "has no meaning here",
    };
    draft.lose(None, format!("`{}`: {why}", format!("{option} {given}").trim_end()));
}

fn short(arg: &Arg<'_>) -> String {
    match arg {
        Arg::Short(letter) => format!("-{letter}"),
        Arg::Long(word) => format!("--{word}"),
        Arg::Value(value) => value.to_string_lossy().into_owned(),
    }
}

fn value(parser: &mut Parser) -> Result<String, Refused> {
    Ok(parser.value().map_err(refused)?.to_string_lossy().into_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: lexopt::Error) -> Refused {
    Refused(error.to_string())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `PERCENT[,KILL_PERCENT]`; without the second, half of the first.
fn least(text: &str, read: fn(&str) -> Option<u64>) -> Result<Least, Refused> {
    let wrong = || Refused(format!("`{text}` is no minimum"));
    let (first, second) = text.split_once(',').map_or((text, None), |(first, second)| (first, Some(second)));
    let terminate = read(first).ok_or_else(wrong)?;
    let kill = second.map_or_else(|| Some(terminate / 2), read).ok_or_else(wrong)?;
    // earlyoom lowers the second one to the first.
    Ok(Least { terminate, kill: kill.min(terminate) })
}

fn named(draft: &mut Draft, option: &str, expression: &str) -> Vec<String> {
    pattern::of_command(expression).unwrap_or_else(|why| {
        draft.lose(None, format!("`--{option} {expression}`: {why}"));
        Vec::new()
    })
}

impl Wanted {
    /// The unit, place and order of a kill.
    fn selection(&self) -> String {
        let preference = if self.by_rss { PREFERENCE_OF_RSS } else { PREFERENCE };
        let mut extra = String::new();
        for (sign, names) in [('+', &self.prefer), ('-', &self.avoid)] {
            if !names.is_empty() {
                let list = pattern::list(names);
                extra.push_str(&format!(" {sign} (if comm in {list} then {preference} else 0B)"));
            }
        }
        match (self.by_rss, extra.is_empty()) {
            (true, _) => format!("largest process in subtree by rss{extra}"),
            (false, true) => "worst process in subtree".to_owned(),
            // The kernel's own score, in bytes.
            (false, false) => format!(
                "largest process in subtree by footprint + (0.1% of oom.total) * oom_score_adj{extra}"
            ),
        }
    }

    /// Both are at or below their minimum.
    fn condition(&self, which: fn(Least) -> u64) -> String {
        let mut all = Vec::new();
        if let Some(least) = self.memory_share {
            let share = quantity::percent(which(least));
            all.push(format!("machine.available <= {share} of (machine.available + cgroup.anon)"));
        }
        if let Some(least) = self.memory_size {
            all.push(format!("machine.available <= {}", quantity::bytes(which(least))));
        }
        // All of the swap: it does not count.
        if let Some(least) = self.swap_share.filter(|least| which(*least) < WHOLE) {
            all.push(format!("machine.swap_free <= {} of machine.swap", quantity::percent(which(least))));
        }
        if let Some(least) = self.swap_size {
            all.push(format!("machine.swap_free <= {}", quantity::bytes(which(least))));
        }
        all.join(" and ")
    }

    /// So much is available where both minima of this kind are undercut.
    fn available(&self, which: fn(Least) -> u64) -> u64 {
        let of_share = self.memory_share.map(|least| part(which(least)));
        let of_size = self.memory_size.map(which);
        of_share.into_iter().chain(of_size).min().unwrap_or(0)
    }
}

fn part(share: Permyriad) -> u64 {
    scene::MEMORY / WHOLE * share
}

fn tests(draft: &mut Draft, wanted: &Wanted, hard: &str, soft: &str) {
    let (kill, terminate) = (wanted.available(|least| least.kill), wanted.available(|least| least.terminate));
    let shown = |available: u64, rule: &str| {
        let given = scene::short_of_memory(available, "large", "small");
        format!("{given}on usage in \"/\"\n{}", scene::chosen_dies(rule))
    };
    if kill > 0 {
        draft.test(
            "below both minima of SIGKILL the process with the highest score dies",
            &shown(kill / 2, hard),
        );
    }
    if kill < terminate {
        let between = kill + (terminate - kill) / 2;
        draft.test("between them it is asked to end first", &shown(between, soft));
    }
    let enough = scene::short_of_memory(scene::MEMORY / 2, "large", "small");
    draft.test("with enough memory nobody dies", &format!("{enough}on usage in \"/\"\nexpect defer\n"));
    if let Some(name) = wanted.ignore.first() {
        let given = scene::short_of_memory(kill / 2, &pattern::sample(name), "small");
        let body = format!(
            "{given}on usage in \"/\"\nexpect kill process \"/user.slice/two.scope#101\" by rule \"{hard}\"\n"
        );
        draft.test("whoever is ignored stays, however large", &body);
    }
}
