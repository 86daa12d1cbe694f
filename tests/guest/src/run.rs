//! Carries out the steps of one case and says on its standard output how each went.
//!
//! Runs in a process of its own, exempt from every OOM killer, in the root cgroup.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oomc_vm::report::Progress;
use oomc_vm::script::{self, Action, Expect, Memory, Shape};
use oomc_vm::shown;

use crate::count::Counter;
use crate::day::{self, Day};
use crate::decide::{self, Engine};
use crate::decisions::Decisions;
use crate::forest::Forest;
use crate::kmsg::Log;
use crate::procs::{Outcome, Processes};
use crate::service::Service;
use crate::{faults, libbpf, loads, map, places, storm, tree};

const PINS: &str = "/sys/fs/bpf/oomc";
/// How long something may take that the service does by itself: a kernel that is emulated on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a case has going on.
struct Stage {
    name: String,
    processes: Processes,
    log: Log,
    lines: Vec<String>,
    output: String,
    loader: Option<Child>,
    /// Asks a policy in place of a kernel.
    engine: Option<Engine>,
    /// Of the object that was attached by libbpf last.
    sizes: String,
    follower: Option<Child>,
    service: Option<Service>,
    forest: Option<(String, Forest)>,
    counter: Counter,
    /// If they are asked for.
    decisions: Option<Decisions>,
    /// The machine was told.
    seen: bool,
}

/// Runs the case of this name from its folder.
pub(crate) fn run(name: &str) -> Result<(), String> {
    fs::write("/proc/self/oom_score_adj", "-1000").map_err(|error| format!("oom_score_adj: {error}"))?;
    let path = format!("/cases/{name}/{name}.oom");
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let case = script::parse(name, &text)?;
    let reads =
        |step: &script::Step| matches!(step.action, Action::Expect(Expect::Log { .. }) | Action::Show(_));
    if case.steps.iter().any(reads) {
        Log::wait_for_reports()?;
    }
    let mut stage = Stage {
        name: name.to_owned(),
        processes: Processes::default(),
        log: Log::open()?,
        lines: Vec::new(),
        output: String::new(),
        loader: None,
        engine: None,
        sizes: String::new(),
        follower: None,
        service: None,
        forest: None,
        counter: Counter::default(),
        decisions: case.steps.iter().any(|step| step.action == Action::Decisions).then(Decisions::default),
        seen: false,
    };
    for step in &case.steps {
        let start = Instant::now();
        let result = stage.step(&step.action);
        let spent = start.elapsed().as_millis();
        let say = |mark: &str| Progress::Step(format!("{mark} {:3}  {}  ({spent} ms)", step.line, step.text));
        match result {
            Ok(()) => tell(&say("   ok"))?,
            Err(error) => {
                tell(&say("FAILS"))?;
                tell(&Progress::Failed(format!("{name}.oom:{}: {}: {error}", step.line, step.text)))?;
                return Ok(());
            }
        }
    }
    tell(&Progress::Passed)
}

fn tell(progress: &Progress) -> Result<(), String> {
    line(&serde_json::to_string(progress).map_err(|error| error.to_string())?)
}

/// Prints one line at once.
pub(crate) fn line(text: &str) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")
        .and_then(|()| output.flush())
        .map_err(|error| format!("cannot report: {error}"))
}

impl Stage {
    fn step(&mut self, action: &Action) -> Result<(), String> {
        // What takes a policy away takes its records away.
        let ends = match action {
            Action::Oomc { args, .. } => args.first().is_some_and(|verb| verb == "unload"),
            action => matches!(action, Action::Remove(_)),
        };
        if ends
            && pins() > 0
            && let Some(decisions) = &mut self.decisions
        {
            decisions.read()?;
        }
        match action {
            Action::Cgroup { path, max, swap, group, bare } => {
                tree::make(path, *bare)?;
                if let Some(decisions) = &mut self.decisions {
                    decisions.name(path)?;
                }
                if let Some(max) = max {
                    tree::write(path, "memory.max", &max.to_string())?;
                }
                if let Some(swap) = swap {
                    tree::write(path, "memory.swap.max", &swap.to_string())?;
                }
                if *group {
                    tree::write(path, "memory.oom.group", "1")?;
                }
                Ok(())
            }
            Action::Task { name, cgroup, parts } => self.processes.start(name, cgroup, parts),
            Action::Adj { task, value } => self.processes.adj(task, *value),
            Action::Remove(path) => tree::remove(path),
            Action::Write { path, file, value } => tree::write(path, file, value),
            Action::Oomc { exit, args } => {
                if *exit == 0 && args.first().is_some_and(|verb| verb == "load") {
                    self.tell_machine()?;
                }
                self.oomc(*exit, args)
            }
            Action::Follow(args) => self.follow(args),
            Action::Followed => self.followed(),
            Action::Service(what) => self.service(what),
            Action::Attribute { path, name, value } => map::set_attribute(&tree::folder(path), name, value),
            Action::Owner { path, uid } => std::os::unix::fs::chown(tree::folder(path), Some(*uid), None)
                .map_err(|error| format!("cannot give {path} away: {error}")),
            Action::Place(place) => places::act(place),
            Action::Cut { file, keep, name } => cut(file, *keep, name),
            Action::Libbpf { policy, cgroup } => self.libbpf(policy, cgroup),
            Action::Release => self.release(),
            Action::Ask(file) => self.ask(file),
            Action::Decide(cgroup) => self.decide(cgroup),
            Action::Accept(files) => accept(files),
            Action::Interrupt { count, cgroup } => self.interrupt(*count, cgroup),
            Action::Storm { path, cgroups, events } => {
                let what = storm::run(&format!("{}.o", self.name), path, *cgroups, *events)?;
                tell(&Progress::Shown(what))
            }
            Action::Day { path, cgroups, anew, events } => {
                let service = self.service.as_mut().ok_or("no service was started")?;
                let day = Day { path, cgroups: *cgroups, anew: *anew, events: *events };
                tell(&Progress::Shown(day::run(service, &day)?))
            }
            Action::Await { text, absent, service } => self.wait_for(text, *absent, *service),
            Action::Faults { function, percent, of_oomc } => faults::arm(function, *percent, *of_oomc),
            Action::FaultsEnd => match faults::disarm()? {
                0 => Err("not one allocation has failed".to_owned()),
                failed => tell(&Progress::Shown(format!("{failed} allocations have failed"))),
            },
            Action::Compare { count, cgroup } => {
                let lines = loads::compare(&format!("{}.o", self.name), cgroup, *count)?;
                lines.into_iter().try_for_each(|line| tell(&Progress::Shown(line)))
            }
            Action::Crowd { count, cgroup } => {
                let what = storm::crowd(&format!("{}.o", self.name), cgroup, *count)?;
                tell(&Progress::Shown(what))
            }
            Action::Grow { task, size, kind, stuck } => self.grow(task, *size, *kind, *stuck),
            Action::Linger { task, thread } => self.processes.linger(task, *thread),
            Action::Kill(task) => self.processes.kill(task),
            Action::LeaderExits(task) => self.processes.leader_exits(task),
            Action::Sysrq(letter) => fs::write("/proc/sysrq-trigger", letter.to_string())
                .map_err(|error| format!("cannot write /proc/sysrq-trigger: {error}")),
            Action::Swap(size) => swap(*size),
            Action::Hide(name) => tree::hide(name),
            Action::Wait(millis) => {
                thread::sleep(Duration::from_millis(*millis));
                Ok(())
            }
            Action::Decisions => self.tell_decisions(),
            Action::Show(words) => self.show(words),
            Action::Measure(file) => self.measure(file),
            Action::Sizes => tell(&Progress::Shown(self.sizes.clone())),
            Action::Forest { path, shape } => self.forest(path, shape),
            Action::Count(file) => self.count(file),
            Action::Expect(expect) => self.expect(expect),
        }
    }

    fn oomc(&mut self, exit: i32, args: &[String]) -> Result<(), String> {
        let output = Command::new("/bin/oomc")
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start oomc: {error}"))?;
        self.ended(exit, &output)
    }

    /// Looks again and again until something is said, or is said no more: how long that takes is the machine's business.
    fn wait_for(&mut self, text: &str, absent: bool, service: bool) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let mut said = String::new();
        loop {
            if service {
                said.push_str(&self.service.as_mut().ok_or("no service was started")?.said()?);
            } else {
                let output = Command::new("/bin/oomc").arg("status").stdin(Stdio::null()).output();
                let output = output.map_err(|error| format!("cannot start oomc: {error}"))?;
                said = format!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            if said.contains(text) != absent {
                break;
            }
            if Instant::now() > until {
                let (seconds, not) = (PATIENCE.as_secs(), if absent { "still" } else { "not" });
                return Err(format!("after {seconds} s it is {not} said: `{text}`\n{said}"));
            }
            thread::sleep(Duration::from_millis(200));
        }
        self.output = said;
        self.output.lines().try_for_each(|line| tell(&Progress::Step(format!("           | {line}"))))
    }

    /// Keeps and shows what an oomc printed.
    fn heard(&mut self, output: &Output) -> Result<(), String> {
        self.output =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        self.output.lines().try_for_each(|line| tell(&Progress::Step(format!("           | {line}"))))
    }

    /// The same, and looks at how it ended.
    fn ended(&mut self, exit: i32, output: &Output) -> Result<(), String> {
        self.heard(output)?;
        match output.status.code() {
            Some(code) if code == exit => Ok(()),
            _ => Err(format!("oomc ended with {}, expected {exit}:\n{}", output.status, self.output)),
        }
    }

    fn follow(&mut self, args: &[String]) -> Result<(), String> {
        let child = Command::new("/bin/oomc")
            .args(["events", "--follow"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start oomc: {error}"))?;
        self.follower = Some(child);
        Ok(())
    }

    fn followed(&mut self) -> Result<(), String> {
        let follower = self.follower.take().ok_or("nobody follows")?;
        let pid = i32::try_from(follower.id()).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGINT)
            .map_err(|error| format!("cannot interrupt oomc: {error}"))?;
        let output = follower.wait_with_output().map_err(|error| format!("cannot wait for oomc: {error}"))?;
        // Whoever follows goes on until he is interrupted, and ends by that.
        if output.status.code().is_some() {
            return self
                .ended(0, &output)
                .and(Err(format!("it has ended by itself, with {}", output.status)));
        }
        self.heard(&output)
    }

    fn service(&mut self, what: &script::Service) -> Result<(), String> {
        if let script::Service::Start(args) | script::Service::Open(args) = what {
            let by_systemd = matches!(what, script::Service::Start(_));
            self.service = Some(Service::start(args, by_systemd)?);
            return Ok(());
        }
        let service = self.service.as_mut().ok_or("no service was started")?;
        match what {
            script::Service::Start(_) | script::Service::Open(_) => Ok(()),
            script::Service::Said => {
                self.output = service.said()?;
                self.output.lines().try_for_each(|line| tell(&Progress::Step(format!("           | {line}"))))
            }
            script::Service::Ready => service.ready(),
            script::Service::Hold => service.hold(),
            script::Service::Held => service.held(),
            script::Service::Go => service.go(),
            script::Service::Calm(reads) => service.calm(*reads),
            script::Service::Reload => service.signal(Signal::SIGHUP),
            script::Service::Kill => {
                service.signal(Signal::SIGKILL)?;
                service.wait().map(drop)
            }
            script::Service::Stop => {
                service.signal(Signal::SIGTERM)?;
                match service.wait()? {
                    status if status.success() => Ok(()),
                    status => Err(format!("the service has ended with {status}: {}", service.said()?)),
                }
            }
        }
    }

    /// Attaches by libbpf; the loader holds the link until `release`.
    fn libbpf(&mut self, policy: &str, cgroup: &str) -> Result<(), String> {
        let mut child = Command::new("/init")
            .args(["libbpf", "attach", &format!("{policy}.o")])
            .arg(tree::folder(cgroup))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the libbpf loader: {error}"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(|error| format!("cannot read from the libbpf loader: {error}"))?;
        }
        if let Some(sizes) = line.trim().strip_prefix(libbpf::ATTACHED) {
            self.sizes = sizes.to_owned();
            self.loader = Some(child);
            return Ok(());
        }
        let mut text = String::new();
        if let Some(mut errors) = child.stderr.take() {
            let _ = errors.read_to_string(&mut text);
        }
        let _ = child.wait();
        Err(format!("libbpf did not attach it:\n{text}"))
    }

    fn release(&mut self) -> Result<(), String> {
        let mut loader = self.loader.take().ok_or("no libbpf loader is running")?;
        drop(loader.stdin.take());
        loader.wait().map(drop).map_err(|error| format!("cannot wait for the libbpf loader: {error}"))
    }

    /// Loads a policy that is asked from user space.
    fn ask(&mut self, file: &str) -> Result<(), String> {
        let engine = Engine::load(file)?;
        tell(&Progress::Step(format!("           | {}", engine.sizes())))?;
        self.engine = Some(engine);
        Ok(())
    }

    /// Asks it about a cgroup, and does what it says.
    fn decide(&mut self, cgroup: &str) -> Result<(), String> {
        let lines = self.engine.as_mut().ok_or("no policy was loaded by `ask`")?.decide(cgroup)?;
        self.output = lines.join("\n");
        self.output.lines().try_for_each(|line| tell(&Progress::Step(format!("           | {line}"))))
    }

    /// Kills a loader at ever later moments. After each: nothing is attached, or what is attached
    /// is whole, and `unload` removes it without a trace.
    fn interrupt(&mut self, count: u32, cgroup: &str) -> Result<(), String> {
        let object = format!("{}.o", self.name);
        let start = Instant::now();
        self.oomc(0, &["load".to_owned(), object.clone(), "--cgroup".to_owned(), cgroup.to_owned()])?;
        let whole = start.elapsed();
        self.oomc(0, &["unload".to_owned(), "--cgroup".to_owned(), cgroup.to_owned()])?;
        let (mut attached, mut not) = (0, 0);
        for round in 0..count {
            let mut child = Command::new("/bin/oomc")
                .args(["load", &object, "--cgroup", cgroup])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| format!("cannot start oomc: {error}"))?;
            // Later by the golden ratio each time: the moments spread evenly over the whole load.
            let moment = f64::from(round) * 0.618_033_988_75;
            thread::sleep(whole.mul_f64(1.1 * moment.fract()));
            let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            child.wait().map_err(|error| format!("cannot wait for oomc: {error}"))?;
            let (found, pinned) = (links(), pins());
            match found {
                0 => {
                    not += 1;
                    // What was left, if anything, must not be in the way of the next.
                    self.oomc(
                        0,
                        &["load".to_owned(), object.clone(), "--cgroup".to_owned(), cgroup.to_owned()],
                    )?;
                }
                1 if pinned == 1 => attached += 1,
                _ => return Err(format!("round {round}: {found} links attached, {pinned} folders of pins")),
            }
            self.oomc(0, &["unload".to_owned(), "--cgroup".to_owned(), cgroup.to_owned()])?;
            let (found, pinned) = (links(), pins());
            if found != 0 || pinned != 0 {
                return Err(format!("round {round}: `unload` left {found} links, {pinned} folders of pins"));
            }
        }
        tell(&Progress::Step(format!(
            "           | {attached} were attached before they were killed, {not} were not"
        )))
    }

    fn grow(&mut self, task: &str, size: u64, kind: Memory, stuck: bool) -> Result<(), String> {
        let outcome = self.processes.grow(task, kind, size, stuck)?;
        let what = match (outcome, stuck) {
            (Outcome::Busy, true) => return Ok(()),
            (Outcome::Busy, false) => return Err("it neither finished nor died".to_owned()),
            (Outcome::Done, _) => "it has all the memory",
            (Outcome::Gone, _) => "it died",
            (Outcome::Refused(error), false) => {
                return tell(&Progress::Step(format!("           | refused: {error}")));
            }
            (Outcome::Refused(_), true) => "it was refused",
        };
        if stuck {
            return Err(format!("{what}, but it should be stuck"));
        }
        tell(&Progress::Step(format!("           | {what}")))
    }

    fn expect(&mut self, expect: &Expect) -> Result<(), String> {
        match expect {
            Expect::Task { task, state } => self.processes.expect(task, *state),
            Expect::File { path, file, key, op, value } => {
                let text = tree::read(path, file)?;
                let found = number(&text, key.as_deref())?;
                if op.holds(found, *value) { Ok(()) } else { Err(format!("it is {found}")) }
            }
            Expect::Log { text, count } => {
                self.lines.extend(self.log.drain());
                let found = self.lines.iter().filter(|line| line.contains(text.as_str())).count();
                match count {
                    None if found > 0 => Ok(()),
                    Some(count) if *count == found => Ok(()),
                    _ => Err(format!("found in {found} lines")),
                }
            }
            Expect::Output { text, absent } => {
                if self.output.contains(text.as_str()) == *absent {
                    return Err(format!("the output was:\n{}", self.output));
                }
                Ok(())
            }
            Expect::Shown { page, beginning, log } => {
                let text = fs::read_to_string(script::file_of_page(page))
                    .map_err(|error| format!("cannot read the page {page}: {error}"))?;
                let blocks = shown::blocks(&text);
                let part = shown::part(&blocks, beginning)?;
                self.lines.extend(self.log.drain());
                // Before each line of the log stands its time.
                let text = |line: &String| line.trim_start().split_once(' ').map(|(_, text)| text.to_owned());
                let (output, is_shown) = if *log {
                    let output = self.lines.iter().filter_map(text).collect::<Vec<_>>().join("\n");
                    let is_shown = shown::is_logged(&output, &part);
                    (output, is_shown)
                } else {
                    (self.output.clone(), shown::is_like(&self.output, &part))
                };
                if is_shown {
                    return Ok(());
                }
                Err(format!("line {} of {page} shows something else than:\n{output}", part.line))
            }
            Expect::Pins(count) => {
                let found = pins();
                if found == *count { Ok(()) } else { Err(format!("there are {found}")) }
            }
            Expect::Links(count) => {
                let found = links();
                if found == *count { Ok(()) } else { Err(format!("there are {found}")) }
            }
            Expect::Place(path) => {
                if places::exists(path) {
                    Ok(())
                } else {
                    Err("there is none".to_owned())
                }
            }
            Expect::Whole(path) => {
                let id = fs::metadata(tree::folder(path))
                    .map(|data| std::os::unix::fs::MetadataExt::ino(&data))
                    .map_err(|error| format!("cannot look at {path}: {error}"))?;
                let object = format!("{}.o", self.name);
                let text = helper(&["libbpf", "compare", &object, &format!("{PINS}/{id}/prog")])?;
                tell(&Progress::Step(format!("           | {}", text.trim())))
            }
        }
    }

    fn tell_decisions(&mut self) -> Result<(), String> {
        let mut decisions = self.decisions.take().unwrap_or_default();
        if pins() > 0 {
            decisions.read()?;
        }
        decisions.all().try_for_each(|decision| tell(&Progress::Decided(decision)))
    }

    /// What the case has made, before its first policy is there.
    fn tell_machine(&mut self) -> Result<(), String> {
        let Some(decisions) = self.decisions.as_ref().filter(|_| !self.seen) else { return Ok(()) };
        self.seen = true;
        let mut oomc = Command::new("/bin/oomc");
        oomc.args(["snapshot", "--output", "-"]);
        if let Some(top) = decisions.top() {
            oomc.args(["--cgroup", top]);
        }
        let output = oomc.output().map_err(|error| format!("cannot start oomc: {error}"))?;
        let snapshot = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("oomc snapshot ended with {} and no JSON: {error}", output.status))?;
        tell(&Progress::Machine(snapshot))
    }

    fn show(&mut self, words: &[String]) -> Result<(), String> {
        let text = match words {
            [first, text] if first == "log" => {
                self.lines.extend(self.log.drain());
                let lines: Vec<&str> = self
                    .lines
                    .iter()
                    .filter(|line| line.contains(text.as_str()))
                    .map(String::as_str)
                    .collect();
                lines.join("\n")
            }
            [path, file] => tree::read(path, file)?.trim_end().to_owned(),
            _ => self.output.clone(),
        };
        tell(&Progress::Shown(text))
    }

    /// Another forest: the one before goes, with everything around it.
    fn forest(&mut self, path: &str, shape: &Shape) -> Result<(), String> {
        if let Some((_, forest)) = self.forest.take() {
            forest.fell()?;
        }
        self.forest = Some((path.to_owned(), Forest::grow(path, shape)?));
        Ok(())
    }

    fn count(&mut self, file: &str) -> Result<(), String> {
        let (place, forest) = self.forest.as_mut().ok_or("there is no forest")?;
        let events = self.counter.count(file, place, forest)?;
        let events: Vec<String> = events.iter().map(u64::to_string).collect();
        tell(&Progress::Shown(format!("{file}: {} {}", forest.shape(), events.join(" "))))
    }

    fn measure(&mut self, file: &str) -> Result<(), String> {
        tell(&Progress::Shown(helper(&["libbpf", "measure", file])?.trim_end().to_owned()))
    }
}

/// Runs this program with another face and gives what it prints.
fn helper(args: &[&str]) -> Result<String, String> {
    let output = Command::new("/init")
        .args(args)
        .output()
        .map_err(|error| format!("cannot start {args:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A number in a cgroup's file. `max` is more than any number.
fn number(text: &str, key: Option<&str>) -> Result<i128, String> {
    let word = match key {
        None => text.trim(),
        Some(key) => text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .ok_or_else(|| format!("there is no `{key}`"))?
            .trim(),
    };
    if word == "max" {
        return Ok(i128::MAX);
    }
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// Loads a policy that is asked from user space, and forgets it.
fn accept(files: &[String]) -> Result<(), String> {
    let mut result = Ok(());
    decide::accept(files, |line| {
        if result.is_ok() {
            result = tell(&Progress::Step(format!("           | {line}")));
        }
    })?;
    result
}

/// Folders below oomc's own in bpffs.
fn pins() -> usize {
    fs::read_dir(PINS).into_iter().flatten().flatten().count()
}

/// The policies that are attached. The link of a killed loader goes away with its last reference,
/// which the kernel drops a moment later: counted until the number stays.
fn links() -> usize {
    let (mut count, mut same) = (libbpf::links(), 0);
    while same < 5 {
        thread::sleep(Duration::from_millis(20));
        let now = libbpf::links();
        same = if now == count { same + 1 } else { 0 };
        count = now;
    }
    count
}

/// The first bytes of a file as another one.
fn cut(file: &str, keep: u64, name: &str) -> Result<(), String> {
    let bytes = fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let keep = usize::try_from(keep).unwrap_or(usize::MAX).min(bytes.len());
    fs::write(name, bytes.get(..keep).unwrap_or_default())
        .map_err(|error| format!("cannot write {name}: {error}"))
}

/// Writes the header of a swap area (`union swap_header` of include/linux/swap.h, 6.12) and
/// switches it on.
fn swap(size: u64) -> Result<(), String> {
    let says = |error: std::io::Error| format!("cannot prepare /dev/vda: {error}");
    let pages = u32::try_from(size / 4096).map_err(|error| error.to_string())?;
    let mut page = vec![0; 4096];
    let last = pages.saturating_sub(1).to_le_bytes();
    for (offset, bytes) in [(1024, 1u32.to_le_bytes().as_slice()), (1028, &last), (4086, b"SWAPSPACE2")] {
        if let Some(place) = page.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    let disk = Path::new("/dev/vda");
    let mut disk = fs::File::options().write(true).open(disk).map_err(says)?;
    disk.seek(SeekFrom::Start(0))
        .and_then(|_| disk.write_all(&page))
        .and_then(|()| disk.sync_all())
        .map_err(says)?;
    drop(disk);
    map::swap_on()
}
