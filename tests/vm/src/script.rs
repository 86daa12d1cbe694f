//! The text of a run case: a policy, and a script of what happens to it in the machine.
//!
//! A case is one file. Lines that begin with `#!` are the header, lines that begin with `#>` the
//! script; the file as a whole is the policy, for which both are comments. `tests/cases/run/README.md`
//! describes each step for somebody who writes a case; [`Action`] is the same list.

use std::collections::{BTreeMap, BTreeSet};

/// One case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// The file's stem; also the name of its policy.
    pub name: String,
    /// The whole file.
    pub text: String,
    /// `key: value` lines of the header.
    pub header: BTreeMap<String, String>,
    /// The text of its own policy: the whole file or, by a header `policy: library NAME`, one of the library. None:
    /// by `policy: none` it has none.
    pub own: Option<String>,
    /// Further policies, from `policy NAME: TEXT` lines.
    pub policies: Vec<(String, String)>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Files of its folder that no step makes.
    pub files: Vec<(String, Vec<u8>)>,
}

/// One line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// As written, without `#>`.
    pub text: String,
    /// What it means.
    pub action: Action,
}

/// What is done to the machine's files. Places are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `folder PLACE [uid N]`: makes a directory, and gives it away.
    Folder(String, u32),
    /// `file PLACE`: makes a file.
    File(String),
    /// `text PLACE LINE; LINE…`: writes a file, with its folders; `{here}` is the folder of the case's objects.
    Text(String, String),
    /// `link PLACE to TARGET`: makes a symbolic link.
    Link(String, String),
    /// `mode PLACE OCTAL`: says who may do what with it.
    Mode(String, u32),
    /// `clear PLACE`: removes it, with everything below if it is a directory.
    Clear(String),
    /// `lock PLACE for DURATION`: another oomc has the lock on a directory; in milliseconds.
    Lock(String, u64),
    /// `first CGROUP at PLACE`: mounts a cgroup there, before cgroup2 itself is mounted.
    First(String, String),
}

/// What is done with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// `service start ARG…`: `oomc run ARG…` in the background.
    Start(Vec<String>),
    /// `service open ARG…`: the same as somebody starts it at a terminal; what it prints is what it has said.
    Open(Vec<String>),
    /// `service said`: what it wrote to the journal and told systemd since the last time is the output.
    Said,
    /// Wait until it has told systemd that it is ready.
    Ready,
    /// `service reload`: SIGHUP.
    Reload,
    /// `service stop`: SIGTERM; it must end with 0.
    Stop,
    /// `service kill`: SIGKILL.
    Kill,
    /// `service hold`: from now on it is stopped between choice and kill, when it takes hold of a victim.
    Hold,
    /// `service held`: waits until it is.
    Held,
    /// `service go`: it goes on, and is stopped no more.
    Go,
    /// `service calm READS`: in ten seconds from now on it reads at most so often.
    Calm(u64),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `cgroup PATH [max SIZE] [swap SIZE] [group] [bare]`
    Cgroup {
        /// Path below the cgroup mount.
        path: String,
        /// `memory.max` in bytes.
        max: Option<u64>,
        /// `memory.swap.max` in bytes.
        swap: Option<u64>,
        /// Sets `memory.oom.group`.
        group: bool,
        /// The memory controller is not enabled for it.
        bare: bool,
    },
    /// `task NAME in PATH PART…`
    Task {
        /// The script's name for it, and its `comm` unless a part says otherwise.
        name: String,
        /// The cgroup that it runs in.
        cgroup: String,
        /// What it is like and what it holds.
        parts: Vec<Part>,
    },
    /// `adj NAME N`: changes a task's `oom_score_adj`.
    Adj {
        /// The task.
        task: String,
        /// The new value.
        value: i64,
    },
    /// `remove PATH`: removes an empty cgroup.
    Remove(String),
    /// `write PATH FILE VALUE`: writes a file of a cgroup.
    Write {
        /// The cgroup.
        path: String,
        /// Name of the file.
        file: String,
        /// What to write.
        value: String,
    },
    /// `load [NAME] ARG…`, `oomc ARG…`
    Oomc {
        /// The status that it must end with.
        exit: i32,
        /// Its arguments.
        args: Vec<String>,
    },
    /// `follow ARG…`: `oomc events --follow ARG…` in the background.
    Follow(Vec<String>),
    /// `followed`: interrupts it; what it printed is the output.
    Followed,
    /// `service VERB`: the service, `oomc run`, in the background.
    Service(Service),
    /// `attribute PATH NAME VALUE`: sets an extended attribute of a cgroup.
    Attribute {
        /// The cgroup.
        path: String,
        /// With its name space.
        name: String,
        /// What to write.
        value: String,
    },
    /// `owner PATH UID`: gives a cgroup's directory away.
    Owner {
        /// The cgroup.
        path: String,
        /// To whom.
        uid: u32,
    },
    /// `place WHAT…`: does something to the machine's files, as somebody else than oomc would.
    Place(Place),
    /// `cut FILE SIZE as NEW`: the first bytes of a file, as another file.
    Cut {
        /// The file.
        file: String,
        /// How many bytes are kept.
        keep: u64,
        /// Name of the new file.
        name: String,
    },
    /// `libbpf [NAME] --cgroup PATH`: loads and attaches by libbpf; `release` detaches.
    Libbpf {
        /// The policy.
        policy: String,
        /// Where it is attached.
        cgroup: String,
    },
    /// `release`: ends the libbpf loader.
    Release,
    /// `ask [NAME]`: loads the policy's program for kernels without the hook, to be asked by `decide`.
    Ask(String),
    /// `decide PATH`: asks it what is to be done about a cgroup that is about to run out of memory, and does it; what it
    /// asked for is the output.
    Decide(String),
    /// `accept FILE…`: the verifier must accept the programs of these objects for kernels without the hook.
    Accept(Vec<String>),
    /// `interrupt N loads --cgroup PATH`: N loads, each killed at another moment.
    Interrupt {
        /// How many.
        count: u32,
        /// Where they would attach.
        cgroup: String,
    },
    /// `storm PATH cgroups N events N`: OOM events in N cgroups below PATH, and an operator meanwhile.
    Storm {
        /// The parent of the cgroups.
        path: String,
        /// How many cgroups.
        cgroups: u32,
        /// How many deaths, all together.
        events: u64,
    },
    /// `day PATH cgroups N anew N events N`: somebody runs into the limit again and again in each of N cgroups below PATH,
    /// which are made anew after some deaths, while the service asks their policy; afterwards it must hold no more than
    /// soon after the beginning, and its records must tell each death.
    Day {
        /// The parent of the cgroups.
        path: String,
        /// How many cgroups at once.
        cgroups: u32,
        /// After how many deaths one is made anew.
        anew: u64,
        /// How many deaths, all together.
        events: u64,
    },
    /// `await status TEXT`, `await no status TEXT`: looks at `oomc status` again and again until it says this, or no more;
    /// what it said last is the output. `await service TEXT`: until the service has written this.
    Await {
        /// What is waited for.
        text: String,
        /// It has to go.
        absent: bool,
        /// The service says it, and not `oomc status`.
        service: bool,
    },
    /// `faults beneath FUNCTION N%`, `… of oomc`: this share of the kernel's allocations beneath the function fails; with
    /// `of oomc` only those that `oomc` asks for during a storm, and of these only every fiftieth may.
    Faults {
        /// A function of the kernel.
        function: String,
        /// How many of a hundred.
        percent: u32,
        /// Only what an operator's commands ask for.
        of_oomc: bool,
    },
    /// `faults end`: none fails from now on; at least one must have.
    FaultsEnd,
    /// `compare N loads --cgroup PATH`: N loads by `oomc load` and as many by the reference loader, in turn.
    Compare {
        /// How many by each.
        count: u32,
        /// Where they attach.
        cgroup: String,
    },
    /// `crowd N loads --cgroup PATH`: N loads at once.
    Crowd {
        /// How many.
        count: u32,
        /// Where they would attach.
        cgroup: String,
    },
    /// `grow TASK by SIZE [KIND] [until stuck]`
    Grow {
        /// The task.
        task: String,
        /// Bytes.
        size: u64,
        /// Which memory.
        kind: Memory,
        /// It is expected to neither finish nor die.
        stuck: bool,
    },
    /// `linger TASK [thread]`: when it is killed it stays, with its memory, until the reaper comes.
    Linger {
        /// The task.
        task: String,
        /// A thread that is not the leader stays instead of the leader.
        thread: bool,
    },
    /// `kill TASK`: an ordinary SIGKILL.
    Kill(String),
    /// `exit TASK`: its main thread ends, its other threads go on.
    LeaderExits(String),
    /// `sysrq LETTER`
    Sysrq(char),
    /// `swap SIZE`: switches on that much swap.
    Swap(u64),
    /// `hide NAME`: the kernel's BTF no longer has this name, as on a kernel without it.
    Hide(String),
    /// `wait DURATION`, in milliseconds.
    Wait(u64),
    /// `decisions`: the report tells what the policies of the case have decided.
    Decisions,
    /// `show PATH FILE`, `show log TEXT`: for a reader, no check.
    Show(Vec<String>),
    /// `measure FILE`: loads by libbpf and shows the verifier's counts.
    Measure(String),
    /// `sizes`: shows the same counts of the object that `libbpf` attached last.
    Sizes,
    /// `forest PATH cgroups N processes N threads N groups N`
    Forest {
        /// The cgroup below which it is made.
        path: String,
        /// How many of what.
        shape: Shape,
    },
    /// `count FILE`: shows how long its decisions on the last forest take, without the kills.
    Count(String),
    /// `expect …`
    Expect(Expect),
}

/// How many cgroups a forest has, and what is in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Cgroups with processes.
    pub cgroups: u32,
    /// Processes of each.
    pub processes: u32,
    /// Threads of each process.
    pub threads: u32,
    /// So many of the cgroups have a parent of their own below the place; 0: all lie in the place itself.
    pub groups: u32,
}

/// What a task is like and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Memory of a kind, in bytes.
    Holds(Memory, u64),
    /// `oom_score_adj`.
    Adj(i64),
    /// Real user id.
    Uid(u32),
    /// `comm`.
    Comm(String),
    /// Threads besides the main one.
    Threads(u32),
    /// Private pages so far from each other that each needs a page of page tables.
    Sparse(u32),
    /// It does not end when it is told to (SIGTERM).
    Deaf,
    /// It gets the number that this task had, which is gone.
    Number(String),
}

/// A kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Private.
    Anon,
    /// A mapped file of a file system without a disk.
    File,
    /// A mapped file of tmpfs.
    Shmem,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `expect TASK alive|killed|dying|exited N`
    Task {
        /// The task.
        task: String,
        /// What it must be.
        state: State,
    },
    /// `expect PATH FILE [KEY] OP VALUE`
    File {
        /// The cgroup.
        path: String,
        /// Name of the file.
        file: String,
        /// Key in a file of `key value` lines.
        key: Option<String>,
        /// How to compare.
        op: Op,
        /// With what: bytes, or a count.
        value: i128,
    },
    /// `expect log TEXT`, `expect no log TEXT`, `expect N log TEXT`
    Log {
        /// A part of one line of the kernel's log.
        text: String,
        /// How many lines have it; none means at least one.
        count: Option<usize>,
    },
    /// `expect output TEXT`, `expect no output TEXT`: of the last `oomc`.
    Output {
        /// A part of what it printed.
        text: String,
        /// It is not there.
        absent: bool,
    },
    /// `expect shown PAGE BEGINNING`, `expect shown log PAGE BEGINNING`: the last `oomc`, or the kernel's log, has what
    /// the part of the book's page shows whose first line begins so, numbers aside.
    Shown {
        /// Below `book/src`.
        page: String,
        /// Of the part.
        beginning: String,
        /// Of the kernel's log.
        log: bool,
    },
    /// `expect pins N`: folders below `/sys/fs/bpf/oomc`.
    Pins(usize),
    /// `expect links N`: OOM policies attached anywhere, whoever loaded them.
    Links(usize),
    /// `expect whole PATH`: the verifier removed nothing from the program pinned for this cgroup.
    Whole(String),
    /// `place PLACE`: there is such a file.
    Place(String),
}

/// What a task must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Running.
    Alive,
    /// Ended by SIGKILL.
    Killed,
    /// By SIGTERM.
    Ended,
    /// Killed, but held back before its memory is gone.
    Dying,
    /// Ended by itself.
    Exited(i32),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the operators")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    /// Is `left OP right` true?
    pub fn holds(self, left: i128, right: i128) -> bool {
        match self {
            Op::Eq => left == right,
            Op::Ne => left != right,
            Op::Lt => left < right,
            Op::Le => left <= right,
            Op::Gt => left > right,
            Op::Ge => left >= right,
        }
    }
}

impl Case {
    /// Pages of the book that it is compared with, each once.
    pub fn pages(&self) -> BTreeSet<&str> {
        self.shown().map(|(page, _)| page).collect()
    }

    /// Each part of a page that it is compared with: the page, and how the part begins.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Expect(Expect::Shown { page, beginning, .. }) => {
                Some((page.as_str(), beginning.as_str()))
            }
            _ => None,
        })
    }
}

/// Where a page lies in the machine, in the folder of the case.
pub fn file_of_page(page: &str) -> String {
    page.replace('/', "-")
}

/// Reads a case.
///
/// # Errors
/// `NAME:LINE: sentence` for the first line that is not understood.
pub fn parse(name: &str, text: &str) -> Result<Case, String> {
    let mut case = Case {
        name: name.to_owned(),
        text: text.to_owned(),
        header: BTreeMap::new(),
        own: Some(text.to_owned()),
        policies: Vec::new(),
        steps: Vec::new(),
        files: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fail = |message: String| format!("{name}:{number}: {message}");
        if let Some(header) = line.strip_prefix("#!") {
            let (key, value) =
                header.split_once(':').ok_or_else(|| fail("a header line is `#! key: value`".to_owned()))?;
            let (key, value) = (key.trim(), value.trim());
            if key == "policy" {
                case.own = own(value).map_err(fail)?;
            }
            case.header.insert(key.to_owned(), value.to_owned());
        } else if let Some(step) = line.strip_prefix("#>") {
            let step = step.trim();
            if let Some(policy) = step.strip_prefix("policy ") {
                let (policy, text) =
                    policy.split_once(':').ok_or_else(|| fail("write `policy NAME: TEXT`".to_owned()))?;
                let text = format!("{}\n", text.trim());
                case.policies.push((policy.trim().to_owned(), text));
            } else {
                let action = action(name, step).map_err(fail)?;
                case.steps.push(Step { line: number, text: step.to_owned(), action });
            }
        }
    }
    Ok(case)
}

/// What a header `policy: …` says.
fn own(value: &str) -> Result<Option<String>, String> {
    match value.strip_prefix("library ") {
        None if value == "none" => Ok(None),
        None => Err("write `policy: none` or `policy: library NAME`".to_owned()),
        Some(name) => match oomc_stdlib::find(name.trim()) {
            Some(policy) => Ok(Some(policy.text.to_owned())),
            None => Err(format!("the library has no policy `{}`", name.trim())),
        },
    }
}

/// The words of one step, read from left to right.
struct Words<'a> {
    rest: std::vec::IntoIter<String>,
    step: &'a str,
}

impl Words<'_> {
    fn next(&mut self, what: &str) -> Result<String, String> {
        self.rest.next().ok_or_else(|| format!("`{}` ends where {what} should stand", self.step))
    }

    fn optional(&mut self) -> Option<String> {
        self.rest.next()
    }

    fn keyword(&mut self, word: &str) -> Result<(), String> {
        let found = self.next(&format!("`{word}`"))?;
        if found == word { Ok(()) } else { Err(format!("`{found}` stands where `{word}` should")) }
    }

    fn bytes(&mut self) -> Result<u64, String> {
        let word = self.next("a size")?;
        bytes(&word).ok_or_else(|| format!("`{word}` is no size such as `40MiB`"))
    }

    /// In milliseconds.
    fn duration(&mut self) -> Result<u64, String> {
        let word = self.next("a duration")?;
        millis(&word).ok_or_else(|| format!("`{word}` is no duration such as `500ms`"))
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let word = self.next("a number")?;
        word.parse().map_err(|_| format!("`{word}` is no number that fits here"))
    }

    fn end(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some(word) => Err(format!("`{word}` is one word too many")),
            None => Ok(()),
        }
    }
}

fn action(case: &str, step: &str) -> Result<Action, String> {
    let (exit, step) = match step.strip_prefix("exit ").and_then(|rest| rest.split_once(": ")) {
        Some((status, rest)) => (status.parse().map_err(|_| format!("`{status}` is no exit status"))?, rest),
        None => (0, step),
    };
    let mut words = Words { rest: split(step)?.into_iter(), step };
    let verb = words.next("a step")?;
    let action = match verb.as_str() {
        "cgroup" => cgroup(&mut words)?,
        "task" => task(&mut words)?,
        "adj" => Action::Adj { task: words.next("a task")?, value: words.number()? },
        "remove" => Action::Remove(words.next("a cgroup")?),
        "write" => Action::Write {
            path: words.next("a cgroup")?,
            file: words.next("a file")?,
            value: words.next("a value")?,
        },
        "load" => {
            let mut args: Vec<String> = words.rest.by_ref().collect();
            let file = match args.first() {
                Some(first) if first.ends_with(".oom") || first.ends_with(".o") => args.remove(0),
                Some(first) if !first.starts_with('-') => format!("{}.o", args.remove(0)),
                _ => format!("{case}.o"),
            };
            args.splice(0..0, ["load".to_owned(), file]);
            Action::Oomc { exit, args }
        }
        "unload" | "status" => {
            let mut args = vec![verb];
            args.extend(words.rest.by_ref());
            Action::Oomc { exit, args }
        }
        "oomc" => Action::Oomc { exit, args: words.rest.by_ref().collect() },
        "follow" => Action::Follow(words.rest.by_ref().collect()),
        "followed" => Action::Followed,
        "service" => Action::Service(match words.next("start, said, reload, stop or kill")?.as_str() {
            "start" => Service::Start(words.rest.by_ref().collect()),
            "open" => Service::Open(words.rest.by_ref().collect()),
            "said" => Service::Said,
            "ready" => Service::Ready,
            "reload" => Service::Reload,
            "stop" => Service::Stop,
            "kill" => Service::Kill,
            "hold" => Service::Hold,
            "held" => Service::Held,
            "go" => Service::Go,
            "calm" => Service::Calm(words.number()?),
            other => {
                return Err(format!(
                    "a service can start, reload, stop, go, be killed, held or have said, not {other}"
                ));
            }
        }),
        "attribute" => Action::Attribute {
            path: words.next("a cgroup")?,
            name: words.next("an attribute")?,
            value: words.next("a value")?,
        },
        "owner" => Action::Owner { path: words.next("a cgroup")?, uid: words.number()? },
        "place" => Action::Place(place(&mut words)?),
        "cut" => {
            let (file, keep) = (words.next("a file")?, words.bytes()?);
            words.keyword("as")?;
            Action::Cut { file, keep, name: words.next("a name")? }
        }
        "libbpf" => {
            let first = words.next("`--cgroup`")?;
            let policy = if first == "--cgroup" {
                case.to_owned()
            } else {
                words.keyword("--cgroup")?;
                first
            };
            Action::Libbpf { policy, cgroup: words.next("a cgroup")? }
        }
        "release" => Action::Release,
        "ask" => Action::Ask(format!("{}.o", words.optional().unwrap_or_else(|| case.to_owned()))),
        "decide" => Action::Decide(words.next("a cgroup")?),
        "accept" => Action::Accept(words.rest.by_ref().collect()),
        "interrupt" => {
            let count = words.number()?;
            words.keyword("loads")?;
            words.keyword("--cgroup")?;
            Action::Interrupt { count, cgroup: words.next("a cgroup")? }
        }
        "storm" => {
            let path = words.next("a cgroup")?;
            words.keyword("cgroups")?;
            let cgroups = words.number()?;
            words.keyword("events")?;
            Action::Storm { path, cgroups, events: words.number()? }
        }
        "day" => {
            let path = words.next("a cgroup")?;
            words.keyword("cgroups")?;
            let cgroups = words.number()?;
            words.keyword("anew")?;
            let anew = words.number()?;
            words.keyword("events")?;
            Action::Day { path, cgroups, anew, events: words.number()? }
        }
        "await" => {
            let word = words.next("`status`, `no status` or `service`")?;
            let absent = word == "no";
            let what = if absent { words.next("`status`")? } else { word };
            match what.as_str() {
                "status" => Action::Await { text: words.next("a text")?, absent, service: false },
                "service" if !absent => Action::Await { text: words.next("a text")?, absent, service: true },
                word => return Err(format!("`{word}` stands where `status` or `service` should")),
            }
        }
        "faults" => match words.next("`beneath` or `end`")?.as_str() {
            "end" => Action::FaultsEnd,
            "beneath" => {
                let function = words.next("a function of the kernel")?;
                let share = words.next("a share")?;
                let percent = share.strip_suffix('%').and_then(|share| share.parse().ok());
                let percent = percent.ok_or_else(|| format!("`{share}` is no share"))?;
                let of_oomc = words.optional().is_some_and(|word| word == "of");
                if of_oomc {
                    words.keyword("oomc")?;
                }
                Action::Faults { function, percent, of_oomc }
            }
            word => return Err(format!("`{word}` stands where `beneath` or `end` should")),
        },
        "compare" => {
            let count = words.number()?;
            words.keyword("loads")?;
            words.keyword("--cgroup")?;
            Action::Compare { count, cgroup: words.next("a cgroup")? }
        }
        "crowd" => {
            let count = words.number()?;
            words.keyword("loads")?;
            words.keyword("--cgroup")?;
            Action::Crowd { count, cgroup: words.next("a cgroup")? }
        }
        "grow" => grow(&mut words)?,
        "linger" => {
            let task = words.next("a task")?;
            let thread = match words.optional().as_deref() {
                None => false,
                Some("thread") => true,
                Some(word) => return Err(format!("`{word}` stands where `thread` should")),
            };
            Action::Linger { task, thread }
        }
        "kill" => Action::Kill(words.next("a task")?),
        "exit" => Action::LeaderExits(words.next("a task")?),
        "sysrq" => {
            let letter = words.next("a letter")?;
            let mut letters = letter.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => Action::Sysrq(letter),
                _ => return Err(format!("`{letter}` is not one letter")),
            }
        }
        "swap" => Action::Swap(words.bytes()?),
        "hide" => Action::Hide(words.next("a name")?),
        "wait" => Action::Wait(words.duration()?),
        "decisions" => Action::Decisions,
        "show" => Action::Show(words.rest.by_ref().collect()),
        "measure" => Action::Measure(words.next("a file")?),
        "sizes" => Action::Sizes,
        "forest" => forest(&mut words)?,
        "count" => Action::Count(words.next("a file")?),
        "expect" => Action::Expect(expect(&mut words)?),
        other => return Err(format!("`{other}` is no step; tests/cases/run/README.md lists them")),
    };
    words.end()?;
    Ok(action)
}

fn place(words: &mut Words<'_>) -> Result<Place, String> {
    let what = words.next("what is done")?;
    let place = words.next("a place")?;
    Ok(match what.as_str() {
        "folder" => match words.optional().as_deref() {
            None => Place::Folder(place, 0),
            Some("uid") => Place::Folder(place, words.number()?),
            Some(other) => return Err(format!("`{other}` stands where `uid` should")),
        },
        "file" => Place::File(place),
        "text" => {
            let (_, lines) = words.step.split_once(&place).ok_or("no text")?;
            words.rest = Vec::new().into_iter();
            Place::Text(place, lines.split(';').map(|line| format!("{}\n", line.trim())).collect())
        }
        "link" => {
            words.keyword("to")?;
            Place::Link(place, words.next("a target")?)
        }
        "mode" => {
            let mode = words.next("a mode")?;
            Place::Mode(place, u32::from_str_radix(&mode, 8).map_err(|_| format!("`{mode}` is no mode"))?)
        }
        "clear" => Place::Clear(place),
        "lock" => {
            words.keyword("for")?;
            Place::Lock(place, words.duration()?)
        }
        "first" => {
            words.keyword("at")?;
            Place::First(place, words.next("a place")?)
        }
        other => return Err(format!("`{other}` is nothing that is done to a place")),
    })
}

fn cgroup(words: &mut Words<'_>) -> Result<Action, String> {
    let path = words.next("a path")?;
    if !path.starts_with('/') {
        return Err(format!("`{path}` does not begin with `/`"));
    }
    let (mut max, mut swap, mut group, mut bare) = (None, None, false, false);
    while let Some(word) = words.optional() {
        match word.as_str() {
            "max" => max = Some(words.bytes()?),
            "swap" => swap = Some(words.bytes()?),
            "group" => group = true,
            "bare" => bare = true,
            other => return Err(format!("`{other}` says nothing about a cgroup")),
        }
    }
    Ok(Action::Cgroup { path, max, swap, group, bare })
}

fn task(words: &mut Words<'_>) -> Result<Action, String> {
    let name = words.next("a name")?;
    words.keyword("in")?;
    let cgroup = words.next("a cgroup")?;
    let mut parts = Vec::new();
    while let Some(word) = words.optional() {
        parts.push(match word.as_str() {
            "adj" => Part::Adj(words.number()?),
            "uid" => Part::Uid(words.number()?),
            "comm" => Part::Comm(words.next("a name")?),
            "threads" => Part::Threads(words.number()?),
            "sparse" => Part::Sparse(words.number()?),
            "deaf" => Part::Deaf,
            "number" => {
                words.keyword("of")?;
                Part::Number(words.next("a task")?)
            }
            kind => match memory(kind) {
                Some(kind) => Part::Holds(kind, words.bytes()?),
                None => return Err(format!("`{kind}` says nothing about a task")),
            },
        });
    }
    Ok(Action::Task { name, cgroup, parts })
}

fn grow(words: &mut Words<'_>) -> Result<Action, String> {
    let task = words.next("a task")?;
    words.keyword("by")?;
    let size = words.bytes()?;
    let (mut kind, mut stuck) = (Memory::Anon, false);
    while let Some(word) = words.optional() {
        match memory(&word) {
            Some(found) => kind = found,
            None if word == "until" => {
                words.keyword("stuck")?;
                stuck = true;
            }
            None => return Err(format!("`{word}` says nothing about growing")),
        }
    }
    Ok(Action::Grow { task, size, kind, stuck })
}

fn forest(words: &mut Words<'_>) -> Result<Action, String> {
    let path = words.next("a path")?;
    let mut number = |word| {
        words.keyword(word)?;
        words.number()
    };
    let shape = Shape {
        cgroups: number("cgroups")?,
        processes: number("processes")?,
        threads: number("threads")?,
        groups: number("groups")?,
    };
    Ok(Action::Forest { path, shape })
}

fn memory(word: &str) -> Option<Memory> {
    Some(match word {
        "anon" => Memory::Anon,
        "file" => Memory::File,
        "shmem" => Memory::Shmem,
        _ => return None,
    })
}

fn expect(words: &mut Words<'_>) -> Result<Expect, String> {
    let first = words.next("what is expected")?;
    Ok(match first.as_str() {
        "log" => Expect::Log { text: words.next("a text")?, count: None },
        "output" => Expect::Output { text: words.next("a text")?, absent: false },
        "shown" => {
            let word = words.next("a page")?;
            let log = word == "log";
            let page = if log { words.next("a page")? } else { word };
            Expect::Shown { page, beginning: words.next("how the part begins")?, log }
        }
        "pins" => Expect::Pins(words.number()?),
        "links" => Expect::Links(words.number()?),
        "whole" => Expect::Whole(words.next("a cgroup")?),
        "place" => Expect::Place(words.next("a place")?),
        "no" => match words.next("`log` or `output`")?.as_str() {
            "log" => Expect::Log { text: words.next("a text")?, count: Some(0) },
            "output" => Expect::Output { text: words.next("a text")?, absent: true },
            other => return Err(format!("`{other}` stands where `log` or `output` should")),
        },
        path if path.starts_with('/') => {
            let file = words.next("a file")?;
            let mut word = words.next("a comparison")?;
            let mut key = None;
            if operator(&word).is_none() {
                key = Some(word);
                word = words.next("a comparison")?;
            }
            let op = operator(&word).ok_or_else(|| format!("`{word}` is no comparison"))?;
            let value = words.next("a value")?;
            let value = bytes(&value)
                .map(i128::from)
                .or_else(|| value.parse().ok())
                .ok_or_else(|| format!("`{value}` is neither a size nor a count"))?;
            Expect::File { path: path.to_owned(), file, key, op, value }
        }
        other => match other.parse() {
            Ok(count) => {
                words.keyword("log")?;
                Expect::Log { text: words.next("a text")?, count: Some(count) }
            }
            Err(_) => {
                let state = match words.next("a state")?.as_str() {
                    "alive" => State::Alive,
                    "killed" => State::Killed,
                    "ended" => State::Ended,
                    "dying" => State::Dying,
                    "exited" => State::Exited(words.number()?),
                    word => return Err(format!("`{word}` is no state of a task")),
                };
                Expect::Task { task: first, state }
            }
        },
    })
}

fn operator(word: &str) -> Option<Op> {
    Some(match word {
        "==" => Op::Eq,
        "!=" => Op::Ne,
        "<" => Op::Lt,
        "<=" => Op::Le,
        ">" => Op::Gt,
        ">=" => Op::Ge,
        _ => return None,
    })
}

/// Splits at white space; `"…"` is one word.
fn split(step: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = step.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quotation mark is not closed")?,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

/// `40MiB` in bytes; the language's own units.
pub fn bytes(word: &str) -> Option<u64> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1u64)];
    let (number, unit) =
        units.iter().find_map(|&(unit, size)| word.strip_suffix(unit).map(|number| (number, size)))?;
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// `500ms` or `2s` in milliseconds.
fn millis(word: &str) -> Option<u64> {
    if let Some(number) = word.strip_suffix("ms") {
        return number.parse().ok();
    }
    word.strip_suffix('s')?.parse::<u64>().ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_policy_header_and_script_in_one_file() {
        let text = "#! test: run\nkill largest in subtree\n#> policy other: defer\n#> cgroup /job max 100MiB\n\
                    #> task big in /job/a anon 40MiB adj -1000\n#> load other --cgroup /job\n\
                    #> exit 4: load --cgroup /job\n#> expect /job memory.events oom_kill == 1\n\
                    #> expect no log \"Killed process\"\n";
        let case = parse("first", text).expect("a good case");
        assert_eq!(case.header.get("test").map(String::as_str), Some("run"));
        assert_eq!(case.policies, [("other".to_owned(), "defer\n".to_owned())]);
        let actions: Vec<&Action> = case.steps.iter().map(|step| &step.action).collect();
        let [cgroup, task, load, again, events, log] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        assert!(matches!(cgroup, Action::Cgroup { max: Some(0x640_0000), bare: false, .. }), "{cgroup:?}");
        assert!(matches!(task, Action::Task { parts, .. } if parts.len() == 2), "{task:?}");
        assert!(
            matches!(load, Action::Oomc { exit: 0, args } if args.get(1).is_some_and(|a| a == "other.o"))
        );
        assert!(
            matches!(again, Action::Oomc { exit: 4, args } if args.get(1).is_some_and(|a| a == "first.o"))
        );
        assert!(matches!(events, Action::Expect(Expect::File { key: Some(_), value: 1, .. })));
        assert!(matches!(log, Action::Expect(Expect::Log { count: Some(0), .. })));
    }

    #[test]
    fn a_wrong_step_is_named_with_its_line() {
        let error = parse("c", "defer\n#> grow big of 3MiB\n").expect_err("a wrong word");
        assert_eq!(error, "c:2: `of` stands where `by` should");
        let error = parse("c", "#> cgroup /job max 100M\n").expect_err("a wrong unit");
        assert_eq!(error, "c:1: `100M` is no size such as `40MiB`");
    }
}
