//! Random policies whose decisions depend only on what is known of a [`Plan`].
//!
//! Each kind of policy has a slot for selections, conditions and amounts; thresholds lie half way between the sizes
//! that the tree has.

use oomc_oracle::machine::PAGE;

use super::plan::{Dice, MIB, Plan};

/// How many kinds there are.
pub(crate) const KINDS: usize = 26;

/// A policy of one kind for a tree.
pub(crate) fn policy(kind: usize, plan: &Plan, dice: &mut Dice) -> String {
    Writer { plan, dice, tier: false }.policy(kind)
}

struct Writer<'a> {
    plan: &'a Plan,
    dice: &'a mut Dice,
    /// The label `tier` is declared.
    tier: bool,
}

impl Writer<'_> {
    fn policy(&mut self, kind: usize) -> String {
        match kind {
            0 => self.ranked(false),
            1 => self.ranked(true),
            2 | 3 => {
                let kill = if kind == 2 { self.process_kill() } else { self.cgroup_kill() };
                self.rules(&format!("kill {kill}"))
            }
            4 => self.by_keys(false),
            5 => self.by_keys(true),
            6 => {
                let rank = self.dice.one(&["largest", "smallest", "youngest", "oldest"]);
                let tail = match self.dice.below(3) {
                    0 => format!(" where {}", self.of_cgroup(1)),
                    1 if ["largest", "smallest"].contains(&rank) => format!(" by {}", self.cgroup_keys()),
                    _ => String::new(),
                };
                let place = self.dice.one(&["subtree", "subtree of cgroup"]);
                self.rules(&format!("kill {rank} cgroup in {place} stepwise{tail}"))
            }
            7 => {
                let (condition, kill) = (self.of_process(1), self.kill());
                format!("never kill process where {condition}\n{}", self.rules(&kill))
            }
            8 => {
                let kill = self.kill();
                let what = match self.dice.below(3) {
                    0 => format!("\"{}\"", self.cgroup_pattern()),
                    _ => format!("where {}", self.of_cgroup(1)),
                };
                format!("never kill cgroup {what}\n{}", self.rules(&kill))
            }
            9 => {
                let word = self.dice.one(&["prefer", "avoid"]);
                let (condition, kill) = (self.of_process(1), self.kill());
                format!("{word} process where {condition}\n{}", self.rules(&kill))
            }
            10 => {
                let (one, other) = (self.of_cgroup(1), self.of_process(1));
                let kill = self.kill();
                let rules = self.rules(&kill);
                format!("avoid cgroup where {one}\nprefer process where {other}\n{rules}")
            }
            11 => {
                let rank = self.dice.one(&["largest", "smallest", "youngest", "oldest"]);
                let filter = if self.dice.chance(50) {
                    format!(" where {}", self.of_cgroup(1))
                } else {
                    String::new()
                };
                let kill = match self.dice.below(3) {
                    0 => {
                        format!("kill {} process in subtree of tenant", self.dice.one(&["largest", "oldest"]))
                    }
                    1 => format!("kill process in leaves of tenant by {}", self.process_keys()),
                    _ => "kill largest cgroup in subtree of tenant".to_owned(),
                };
                let pick = format!("pick tenant = {rank} cgroup in children of cgroup{filter}\n");
                pick + &self.rules(&kill)
            }
            12 | 13 => {
                let selection = if kind == 12 { self.process_kill() } else { self.cgroup_kill() };
                let until = self.until();
                self.rules(&format!("kill {selection}{until}"))
            }
            14 => {
                let raise = self.raise();
                self.rules(&raise)
            }
            15 => {
                let (condition, one, other) = (self.of_event(), self.act(), self.act());
                self.rules(&format!("if {condition} then {one} else {other}"))
            }
            16 => {
                let (one, other) = (self.kill(), self.act());
                self.rules(&format!("{one} or {other}"))
            }
            17 => {
                let rules: Vec<String> = (0..3)
                    .map(|at| format!("rule \"r{at}\": if {} then {}", self.of_event(), self.act()))
                    .collect();
                let default =
                    if self.dice.chance(70) { format!("\ndefault {}", self.kill()) } else { String::new() };
                rules.join("\n") + &default
            }
            18 => {
                let (condition, kill) = (self.of_event(), self.kill());
                let text = self.dice.one(&["told {cgroup.name}", "told {cgroup.nr_processes}", "told"]);
                format!("notify \"{text}\"\nif {condition} then defer\n{kill}\n")
            }
            19 => {
                let act = self.act();
                let condition = self.of_event();
                let text = format!(
                    "if grown < 1 and {condition} then {{\n    {act}\n    count grown\n    notify \"grown {{grown}}\"\n}}"
                );
                format!("state grown: counter per cgroup resets after 1h\n{}", self.rules(&text))
            }
            20 => {
                let act = self.act();
                format!("mode audit\n{}", self.rules(&act))
            }
            21 => {
                self.tier = true;
                let (way, comparison) = (self.dice.one(&["asc", "desc"]), self.dice.one(&["<", "<=", ">"]));
                let (clause, kill) = match self.dice.below(4) {
                    0 => (String::new(), format!("kill cgroup in subtree by tier {way}, usage")),
                    1 => (String::new(), format!("kill process in subtree by home.tier {way}, rss")),
                    2 => (format!("prefer cgroup where tier {comparison} 50\n"), self.kill()),
                    _ => (format!("never kill cgroup where tier {comparison} 50\n"), self.kill()),
                };
                format!("label tier: count = 100\n{clause}{}", self.rules(&kill))
            }
            22 => {
                let kill = match self.dice.below(2) {
                    0 => format!("all process in {} where {}", self.process_place(), self.of_process(1)),
                    _ => format!("all cgroup in {} where {}", self.cgroup_place(), self.of_cgroup(1)),
                };
                // Without a rule behind it, it is `all` that acts.
                format!("kill {kill}\n")
            }
            23 => {
                let rank = self.dice.one(&["largest", "smallest", "youngest", "oldest"]);
                let (place, one, other) = (self.cgroup_place(), self.quantified(), self.quantified());
                let word = self.dice.one(&["and", "or"]);
                self.rules(&format!("kill {rank} cgroup in {place} where {one} {word} {other}"))
            }
            24 => {
                let limit = self.cgroup_size();
                let (place, condition) = (self.cgroup_place(), self.of_process(0));
                let rank = self.dice.one(&["largest", "smallest", "oldest"]);
                self.rules(&format!(
                    "kill {rank} cgroup c in {place} where (sum rss of process in subtree of c where {condition}) > \
                     {limit} or (any cgroup inner in children of c where inner.nr_processes > 1)"
                ))
            }
            _ => {
                let (floor, share) = (self.process_size(), self.dice.one(&["10%", "25%", "40%"]));
                let rank = self.dice.one(&["largest", "smallest", "youngest", "worst"]);
                let rules = self.rules(&format!(
                    "wait or kill {rank} process in subtree where footprint > floor or rss < share of cgroup.limit"
                ));
                format!("const floor = {floor}\nparam share = {share} range 1% .. 100%\n{rules}")
            }
        }
    }

    /// The best of a place.
    fn ranked(&mut self, cgroup: bool) -> String {
        let (unit, place) = self.place(cgroup);
        let mut ranks = vec!["largest ", "smallest ", "youngest ", "oldest ", ""];
        // Cgroups have no badness.
        ranks.extend((!cgroup).then_some("worst "));
        let rank = self.dice.one(&ranks);
        self.rules(&format!("kill {rank}{unit} in {place}"))
    }

    /// The best of a place by keys.
    fn by_keys(&mut self, cgroup: bool) -> String {
        let (unit, place) = self.place(cgroup);
        let keys = if cgroup { self.cgroup_keys() } else { self.process_keys() };
        let rank = self.dice.one(&["largest ", "smallest ", ""]);
        self.rules(&format!("kill {rank}{unit} in {place} by {keys}"))
    }

    fn place(&mut self, cgroup: bool) -> (&'static str, &'static str) {
        if cgroup { ("cgroup", self.cgroup_place()) } else { ("process", self.process_place()) }
    }

    /// A rule, mostly with one behind it for what it leaves.
    fn rules(&mut self, action: &str) -> String {
        let named = if self.dice.chance(40) { "rule \"first\": " } else { "" };
        let last = match self.dice.below(5) {
            0 => "",
            1 => "default kill worst in subtree\n",
            2 => "rule \"last\": kill smallest in subtree\n",
            _ => "kill largest in subtree\n",
        };
        format!("{named}{action}\n{last}")
    }

    fn act(&mut self) -> String {
        match self.dice.below(4) {
            0 => self.raise(),
            1 => format!("{{ {} {} }}", self.raise(), self.kill()),
            _ => self.kill(),
        }
    }

    fn kill(&mut self) -> String {
        let cgroup = self.dice.chance(40);
        let mut text = if cgroup { self.cgroup_kill() } else { self.process_kill() };
        if self.dice.chance(20) {
            text += " now";
        }
        if self.dice.chance(30) {
            let shown = if cgroup { ["name", "nr_processes", "depth"] } else { ["comm", "uid", "home.name"] };
            text += &format!(" reason \"it is {{{}}}\"", self.dice.one(&shown));
        }
        format!("kill {text}")
    }

    fn raise(&mut self) -> String {
        let by = self.dice.one(&["30%", "50%", "16MiB", "12.5MiB", "100%"]);
        let up_to = match self.dice.below(5) {
            0 => " up to 1GiB".to_owned(),
            1 => " up to cgroup.own_limit + 10MiB".to_owned(),
            2 => " up to parent.limit".to_owned(),
            3 => " up to cgroup.limit".to_owned(),
            _ => String::new(),
        };
        format!("raise_limit {by}{up_to}")
    }

    fn until(&mut self) -> String {
        let freed = match self.dice.below(3) {
            0 => "1GiB".to_owned(),
            1 => format!("{} + {}", self.process_size(), self.process_size()),
            _ => self.process_size(),
        };
        format!(" until freed {freed} at most {}", self.dice.one(&[1, 2, 3, 16]))
    }

    fn process_place(&mut self) -> &'static str {
        self.dice.one(&[
            "subtree",
            "subtree",
            "subtree of cgroup",
            "children of cgroup",
            "leaves of cgroup",
            "leaves of attached",
            "subtree of attached",
            "cgroup",
        ])
    }

    fn cgroup_place(&mut self) -> &'static str {
        self.dice.one(&[
            "subtree",
            "subtree",
            "subtree of cgroup",
            "children of cgroup",
            "leaves of cgroup",
            "leaves of attached",
            "children of attached",
            "cgroup",
        ])
    }

    fn process_kill(&mut self) -> String {
        let (place, condition) = (self.process_place(), self.of_process(1));
        match self.dice.below(3) {
            0 => format!("process in {place} where {condition} by {}", self.process_keys()),
            _ => {
                let rank = self.dice.one(&["largest", "smallest", "youngest", "oldest", "worst"]);
                format!("{rank} process in {place} where {condition}")
            }
        }
    }

    fn cgroup_kill(&mut self) -> String {
        let (place, condition) = (self.cgroup_place(), self.of_cgroup(1));
        match self.dice.below(3) {
            0 => format!("cgroup in {place} where {condition} by {}", self.cgroup_keys()),
            _ => {
                let rank = self.dice.one(&["largest", "smallest", "youngest", "oldest"]);
                format!("{rank} cgroup in {place} where {condition}")
            }
        }
    }

    fn process_keys(&mut self) -> String {
        const KEYS: [&str; 13] = [
            "footprint",
            "rss",
            "anon",
            "oom_score_adj",
            "uid",
            "pid",
            "nr_threads",
            "age",
            "badness",
            "home.usage",
            "home.nr_processes",
            "rss - swap",
            "home.depth",
        ];
        self.keys(&KEYS)
    }

    fn cgroup_keys(&mut self) -> String {
        if self.dice.chance(25) {
            let condition = self.of_process(0);
            let quantifier =
                self.dice.one(&["count process", "sum anon of process", "sum nr_threads of process"]);
            return format!("{quantifier} in subtree of it where {condition}");
        }
        const KEYS: [&str; 10] = [
            "usage",
            "anon",
            "nr_processes",
            "age_rank",
            "depth",
            "unreclaimable",
            "working_set",
            "own_limit",
            "usage / limit",
            "nr_descendants",
        ];
        self.keys(&KEYS)
    }

    fn keys(&mut self, of: &[&str]) -> String {
        let keys: Vec<String> = (0..1 + self.dice.below(2))
            .map(|_| format!("{}{}", self.dice.one(of), self.dice.one(&["", " asc", " desc"])))
            .collect();
        keys.join(", ")
    }

    /// A condition on a process, with so many more inside.
    fn of_process(&mut self, depth: usize) -> String {
        let comparison = |dice: &mut Dice| dice.one(&["<", "<=", ">", ">="]);
        match self.dice.below(if depth == 0 { 14 } else { 19 }) {
            0 => format!("comm == \"{}\"", self.comm()),
            1 => format!("comm != \"{}\"", self.comm()),
            2 => format!("comm in [\"{}\", \"{}\"]", self.comm(), self.comm()),
            3 => format!("comm == \"{}\"", self.dice.one(&["w*", "*b", "worker-?", "*e*"])),
            4 => format!("oom_score_adj {} {}", comparison(self.dice), self.dice.one(&[0, 200, 500, -1])),
            5 => {
                format!("uid {} {}", self.dice.one(&["==", "!=", "<", ">="]), self.dice.one(&[0, 1000, 1001]))
            }
            6 => format!("rss {} {}", comparison(self.dice), self.process_size()),
            7 => format!("footprint {} {}", comparison(self.dice), self.process_size()),
            8 => format!("anon {} {}", comparison(self.dice), self.process_size()),
            9 => format!("nr_threads {} {}", self.dice.one(&[">", "==", "<="]), self.dice.one(&[1, 2])),
            10 => format!("home.name {} \"{}\"", self.dice.one(&["==", "!="]), self.cgroup_name()),
            11 => format!("home.path == \"{}\"", self.cgroup_pattern()),
            12 => format!("home.usage {} {}", comparison(self.dice), self.cgroup_size()),
            13 => format!("rss > {} of cgroup.limit", self.dice.one(&["15%", "25%", "40%"])),
            14 => format!("not ({})", self.of_process(depth - 1)),
            15 => format!("home.nr_processes {} {}", self.dice.one(&["==", ">"]), self.dice.one(&[1, 2])),
            16 => {
                format!("task.signal.nr_threads {} {}", self.dice.one(&["==", ">"]), self.dice.one(&[1, 2]))
            }
            17 => format!("({} and {})", self.of_process(depth - 1), self.of_process(depth - 1)),
            _ => format!("({} or {})", self.of_process(depth - 1), self.of_process(depth - 1)),
        }
    }

    /// A condition on a cgroup, with so many more inside.
    fn of_cgroup(&mut self, depth: usize) -> String {
        let comparison = |dice: &mut Dice| dice.one(&["<", "<=", ">", ">="]);
        match self.dice.below(if depth == 0 { 14 } else { 19 }) {
            0 => format!("name {} \"{}\"", self.dice.one(&["==", "!="]), self.cgroup_name()),
            1 => format!("name == \"{}\"", self.dice.one(&["*.slice", "?", "*b", "job-*"])),
            2 => format!("path == \"{}\"", self.cgroup_pattern()),
            3 => format!("usage {} {}", comparison(self.dice), self.cgroup_size()),
            4 => format!("usage {} {}", comparison(self.dice), self.dice.one(&["15%", "30%", "50%"])),
            5 => format!("anon {} {}", comparison(self.dice), self.cgroup_size()),
            6 => format!("nr_processes {} {}", self.dice.one(&["==", ">=", "<"]), self.dice.one(&[1, 2, 3])),
            7 => self.dice.one(&["is_leaf", "not is_leaf"]).to_owned(),
            8 => self.dice.one(&["oom_group", "not oom_group"]).to_owned(),
            9 => format!("depth {} {}", self.dice.one(&["==", "<=", ">"]), self.dice.one(&[2, 3])),
            10 => "own_limit < 250MiB".to_owned(),
            11 => format!("nr_descendants {} {}", self.dice.one(&["==", ">"]), self.dice.one(&[0, 1])),
            12 if self.tier => format!("tier {} {}", comparison(self.dice), self.dice.one(&[20, 100, 200])),
            12 => "swap == 0B".to_owned(),
            13 => self.dice.one(&["memcg.oom_group", "not memcg.oom_group"]).to_owned(),
            14 => format!("not ({})", self.of_cgroup(depth - 1)),
            15 => format!("({} and {})", self.of_cgroup(depth - 1), self.of_cgroup(depth - 1)),
            16 => format!("({} or {})", self.of_cgroup(depth - 1), self.of_cgroup(depth - 1)),
            _ => self.quantified(),
        }
    }

    /// A quantifier over the processes of a candidate.
    fn quantified(&mut self) -> String {
        let place = self.dice.one(&["it", "subtree of it"]);
        let condition = self.of_process(0);
        match self.dice.below(5) {
            0 => format!("(any process in {place} where {condition})"),
            1 => format!("(every process in {place} where {condition})"),
            2 => {
                let comparison = self.dice.one(&["==", ">=", "<"]);
                format!(
                    "(count process in {place} where {condition}) {comparison} {}",
                    self.dice.one(&[1, 2])
                )
            }
            3 => {
                let (comparison, size) = (self.dice.one(&["<", ">"]), self.cgroup_size());
                format!("(sum rss of process in {place} where {condition}) {comparison} {size}")
            }
            _ => format!("(count process in {place}) > {}", self.dice.one(&[0, 1, 2])),
        }
    }

    /// A condition on the whole.
    fn of_event(&mut self) -> String {
        match self.dice.below(9) {
            0 => format!("cgroup.usage > {}", self.dice.one(&["50%", "90%"])),
            1 => format!("cgroup.nr_processes {} {}", self.dice.one(&[">", "<="]), self.dice.one(&[2, 3, 4])),
            2 => format!("(any process in subtree where {})", self.of_process(1)),
            3 => format!("(every process in subtree where {})", self.of_process(0)),
            4 => format!("(any cgroup in children of cgroup where {})", self.of_cgroup(1)),
            5 => format!("(count process in subtree where {}) >= 2", self.of_process(0)),
            6 => format!("oom.scope == \"{}\"", self.dice.one(&["memcg", "system"])),
            7 => format!("cgroup.name == \"{}\"", self.cgroup_name()),
            _ => {
                format!("cgroup.nr_descendants {} {}", self.dice.one(&["==", ">"]), self.dice.one(&[1, 2, 3]))
            }
        }
    }

    /// The command name of some process.
    fn comm(&mut self) -> String {
        let index = self.dice.below(self.plan.machine.processes.len());
        self.plan.machine.process(index).comm.clone()
    }

    fn cgroup(&mut self) -> usize {
        let (first, count) = (self.plan.top, self.plan.machine.cgroups.len());
        first + self.dice.below(count - first)
    }

    fn cgroup_name(&mut self) -> String {
        let index = self.cgroup();
        self.plan.machine.cgroup(index).name.clone()
    }

    /// A path, from the mount or from the attached cgroup, or what matches several.
    fn cgroup_pattern(&mut self) -> String {
        let machine = &self.plan.machine;
        let index = self.cgroup();
        let path = machine.path(index);
        let relative = path.strip_prefix(&machine.path(self.plan.attached)).unwrap_or_default();
        match self.dice.below(5) {
            0 => path,
            1 => format!("{path}/**"),
            2 => format!("{path}/*"),
            3 => "*".to_owned(),
            _ if relative.is_empty() => "**".to_owned(),
            _ => relative.trim_start_matches('/').to_owned(),
        }
    }

    /// A size between those of two processes.
    fn process_size(&mut self) -> String {
        let processes = &self.plan.machine.processes;
        let sizes = processes.iter().map(|process| (process.anon + process.file) * PAGE).collect();
        self.between(sizes)
    }

    /// A size between those of two cgroups.
    fn cgroup_size(&mut self) -> String {
        let machine = &self.plan.machine;
        let cgroups = machine.subtree(self.plan.top);
        let sizes =
            cgroups.map(|at| machine.sum(at, |own| own.charged) * PAGE).filter(|size| *size > 0).collect();
        self.between(sizes)
    }

    fn between(&mut self, mut sizes: Vec<i64>) -> String {
        sizes.sort_unstable();
        let mut steps: Vec<i64> =
            sizes.iter().zip(sizes.iter().skip(1)).map(|(one, next)| (one + next) / 2).collect();
        steps.push(sizes.first().map_or(MIB, |size| size / 2));
        format!("{}MiB", self.dice.one(&steps) / MIB)
    }
}
