//! Forecasts to draw in tests.

use oomc_forecast::forecast::{
    Asked, Candidate, Ended, Entity, Forecast, KeyValue, Kind, Marked, Node, Protection,
};

const MIB: i64 = 1 << 20;

fn node(path: &str, depth: usize, usage: i64, own_limit: Option<i64>, limit: i64) -> Node {
    Node {
        path: path.to_owned(),
        name: path.rsplit('/').next().unwrap().to_owned(),
        depth,
        usage: usage * MIB,
        own_limit: own_limit.map(|limit| limit * MIB),
        limit: limit * MIB,
        processes: 1,
        candidate: None,
        class: None,
        victim: false,
        protected: false,
        marked: Vec::new(),
    }
}

fn process(pid: i64, name: &str, footprint: i64) -> Marked {
    let name = name.to_owned();
    let footprint = footprint * MIB;
    Marked { pid, name, footprint, candidate: None, class: None, victim: false, protected: false }
}

fn process_in(pid: i64, name: &str, cgroup: &str) -> Entity {
    Entity { kind: Kind::Process, id: pid, name: name.to_owned(), cgroup: cgroup.to_owned() }
}

fn candidate(place: u32, entity: Entity, mib: i64, age: Option<i64>) -> Candidate {
    let key = |key: &str, value: Option<i64>, text: String| KeyValue { key: key.to_owned(), value, text };
    let keys = vec![
        key("footprint", Some(mib * MIB), format!("{mib}MiB")),
        key(
            "age",
            age.map(|age| age * 1_000_000_000),
            age.map_or("missing".to_owned(), |age| format!("{age}s")),
        ),
    ];
    Candidate { place, entity, class: "normal", keys, processes: 1, frees: mib << 20, tie: None }
}

/// A cgroup of 200MiB in which a process of 96MiB would die, and a database is protected.
pub(crate) fn small() -> Forecast {
    let api = "/job/web/api";
    let mut tree = vec![
        node("/job", 0, 198, Some(200), 200),
        node("/job/db", 1, 41, None, 200),
        node("/job/web", 1, 150, Some(400), 200),
        node(api, 2, 120, Some(128), 128),
        node("/job/web/static", 2, 12, None, 200),
    ];
    tree[0].processes = 9;
    tree[1].protected = true;
    tree[1].marked = vec![Marked { protected: true, ..process(700, "postgres", 38) }];
    tree[3].victim = true;
    tree[3].marked = vec![
        Marked { candidate: Some(1), victim: true, ..process(812, "worker", 96) },
        Marked { candidate: Some(2), ..process(813, "worker", 18) },
        Marked { candidate: Some(3), class: Some("avoided"), ..process(801, "sh", 1) },
    ];
    Forecast {
        policy: "job".to_owned(),
        audit: false,
        attached: "/job".to_owned(),
        domain: "/job".to_owned(),
        system: false,
        summary: "kills worker (812), about 96MiB, by rule \"largest\"".to_owned(),
        nobody_asks: None,
        rule: Some("largest".to_owned()),
        victim: Some(process_in(812, "worker", api)),
        by_the_kernel: false,
        dies: vec![process_in(812, "worker", api)],
        frees: 96 << 20,
        unknown: Vec::new(),
        candidates: vec![
            candidate(1, process_in(812, "worker", api), 96, Some(5400)),
            candidate(2, process_in(813, "worker", api), 18, Some(62)),
            Candidate { class: "avoided", ..candidate(3, process_in(801, "sh", api), 1, None) },
        ],
        protections: vec![
            Protection {
                clause: "never process where comm == \"postgres\"".to_owned(),
                line: Some(4),
                objects: vec![process_in(700, "postgres", "/job/db")],
                asked: Asked::Everybody,
            },
            Protection {
                clause: "never cgroup where name == \"db\"".to_owned(),
                line: Some(5),
                objects: vec![Entity { kind: Kind::Cgroup, ..process_in(4711, "db", "/job/db") }],
                asked: Asked::Everybody,
            },
            Protection {
                clause: "oom_score_adj -1000".to_owned(),
                line: None,
                objects: Vec::new(),
                asked: Asked::Everybody,
            },
        ],
        rules: vec![
            Ended { rule: "grow".to_owned(), end: "its condition was not true".to_owned() },
            Ended { rule: "largest".to_owned(), end: "would make progress".to_owned() },
        ],
        remarks: vec!["the age of sh (801) is not in the snapshot".to_owned()],
        tree,
        then: Vec::new(),
    }
}

/// Adds so many cgroups that nobody asks about, and one below each.
pub(crate) fn add_quiet(forecast: &mut Forecast, below: &str, number: usize) {
    let at = forecast.tree.iter().position(|node| node.path == below).unwrap();
    let depth = forecast.tree[at].depth;
    let end = forecast.tree[at + 1..].iter().position(|node| node.depth <= depth);
    let end = end.map_or(forecast.tree.len(), |end| at + 1 + end);
    let more = (0..number).flat_map(|index| {
        let path = format!("{below}/quiet{index}");
        let inner = Node { usage: MIB / 2, ..node(&format!("{path}/quiet"), depth + 2, 0, None, 200) };
        [node(&path, depth + 1, 1, None, 200), inner]
    });
    forecast.tree.splice(end..end, more);
}

/// More than 5,000 cgroups, most of which nobody asks about.
pub(crate) fn large() -> Forecast {
    let mut forecast = small();
    add_quiet(&mut forecast, "/job/db", 400);
    add_quiet(&mut forecast, "/job/web", 2200);
    // Little enough to be a part of what the domain uses.
    for node in forecast.tree.iter_mut().filter(|node| node.name.starts_with("quiet")) {
        node.usage /= 100;
    }
    forecast
}

/// A chain; the victim is in the last one.
pub(crate) fn deep(levels: usize) -> Forecast {
    let mut forecast = small();
    let mut path = String::new();
    forecast.tree.clear();
    for level in 0..levels {
        path.push_str(&format!("/level{level}"));
        let usage = (levels - level) as i64;
        forecast.tree.push(node(&path, level, usage, None, levels as i64));
    }
    let last = forecast.tree.last_mut().unwrap();
    last.victim = true;
    last.marked = vec![Marked { candidate: Some(1), victim: true, ..process(812, "worker", 1) }];
    forecast.domain = "/level0".to_owned();
    forecast
}

/// Names that somebody chose to do harm.
pub(crate) fn hostile() -> Forecast {
    let mut forecast = small();
    let evil = "</text></svg><script>alert(1)</script>";
    let path = format!("/job/a\"b'&amp;{evil}\u{202e}\u{0}\u{1b}[31m");
    let name = path.rsplit('/').next().unwrap().to_owned();
    forecast.policy = evil.to_owned();
    forecast.summary = evil.to_owned();
    forecast.tree[1].path.clone_from(&path);
    forecast.tree[1].name = name.clone();
    forecast.tree[1].marked[0].name = "\"><img src=x onerror=alert(1)>".to_owned();
    forecast.candidates[2].entity.name = "<b>&\u{7}".to_owned();
    forecast.candidates[2].keys[1].key = "<i>".to_owned();
    forecast.protections[0].objects[0].cgroup = path;
    forecast.protections[1].clause = evil.to_owned();
    forecast.rules[0].end = evil.to_owned();
    forecast.remarks = vec![evil.to_owned()];
    forecast
}
