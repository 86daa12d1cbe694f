//! Records outlive the oomc whose policy wrote them: a newer one reads them, and an older one says that it cannot.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;

use oomc_abi::record::{FORMAT, FORMAT_KEY, Format, Record};
use oomc_runtime::events::{self, Seen};
use oomc_runtime::{Object, Settings, Target, load, load_with, status, unload};
use oomc_tests::fake::{Fake, Thing, job, object};

/// A record as policies of each format have written it. A file here is never made anew.
fn fixture(format: u32) -> Vec<u8> {
    fs::read(oomc_tests::root().join(format!("tests/records/format-{format}.bin"))).unwrap()
}

/// What stands in the fixture of the first format.
fn is_the_first(record: &Record) {
    assert_eq!((record.number, record.first, record.last, record.count), (3, 1_000_000, 2_000_000, 2));
    assert_eq!((record.attached, record.domain, record.audit), (102, 103, false));
    assert_eq!((record.trigger_pid, record.trigger_tid, record.trigger_comm.as_str()), (812, 813, "sshd"));
    assert_eq!((record.answer, record.rule, record.result), (1, Some(0), 0));
    assert_eq!((record.victim, record.victim_name.as_str(), record.killed), (11, "p11", 1));
    assert_eq!((record.expected, record.candidates.len()), (40 << 20, 1));
    assert_eq!(
        record.candidates.first().map(|one| (one.id, one.keys.first().copied().flatten())),
        Some((11, Some(40 << 20)))
    );
}

#[test]
fn records_of_every_format_are_read() {
    for format in 1..=FORMAT {
        let bytes = fixture(format);
        let of = Format::named(&format.to_string()).unwrap();
        assert_eq!(bytes.len(), of.bytes());
        is_the_first(&of.read(&bytes).unwrap());
    }
    assert_eq!(object().meta.get(FORMAT_KEY), FORMAT.to_string(), "policies say in which they write");
}

/// Another policy's map of records, filled with one record in every slot that the fake kernel has.
fn fill(fake: &Fake, cgroup: &str, bytes: &[u8]) {
    use std::os::unix::fs::MetadataExt as _;
    let pin = fake.root.join("bpf/oomc").join(fake.cgroup(cgroup).to_string()).join("records");
    let ino = fs::metadata(pin).unwrap().ino();
    match &mut fake.things.borrow_mut().get_mut(&ino).unwrap().1 {
        Thing::Map { value, .. } => *value = bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// As a policy that an oomc of another time has made: it says this of its records, or nothing.
fn says(format: Option<&str>) -> Object {
    let mut object = object();
    object.meta.lines.retain(|(key, _)| key != FORMAT_KEY);
    if let Some(format) = format {
        object.meta.lines.push((FORMAT_KEY.to_owned(), format.to_owned()));
    }
    object
}

#[test]
fn a_policy_that_does_not_say_its_format_writes_the_first() {
    let fake = Fake::new("records_first");
    load(&fake.fresh(), &says(None), &job()).unwrap();
    fill(&fake, "job", &fixture(1));
    let (kept, left) = events::decisions(&fake.fresh(), None).unwrap();
    let [one] = kept.as_slice() else { panic!("{left:?}") };
    assert_eq!(one.records.len(), 1);
    is_the_first(one.records.first().unwrap());
    is_the_first(status(&fake.fresh(), None).unwrap().attached.first().unwrap().last.as_ref().unwrap());
}

#[test]
fn a_newer_format_is_named_and_ends_nothing_for_others() {
    let fake = Fake::new("records_newer");
    let next = Target::Cgroup("/next".to_owned());
    let settings = Settings { foreign: true, ..Settings::default() };
    load_with(&fake.fresh(), &says(Some("9")), &job(), &settings).unwrap();
    load(&fake.fresh(), &object(), &next).unwrap();
    fill(&fake, "job", &[7; 16]);
    fill(&fake, "next", &fixture(1));
    let why = "its records have format `9`, this oomc reads formats up to 1: ask a newer oomc";

    let (kept, left) = events::decisions(&fake.fresh(), None).unwrap();
    assert_eq!(kept.iter().map(|one| one.cgroup.as_str()).collect::<Vec<_>>(), ["/next"]);
    assert_eq!(left.iter().map(|one| one.why.as_str()).collect::<Vec<_>>(), [why]);

    // Whoever follows hears it once, and goes on.
    let reader = |cgroup: &str| {
        let folder = fake.root.join("bpf/oomc").join(fake.cgroup(cgroup).to_string());
        let folder = fs::File::open(folder).unwrap();
        folder.lock().unwrap();
        folder
    };
    let _others = [reader("job"), reader("next")];
    let mut follow = events::follow(fake.fresh(), None, true).unwrap();
    let seen = follow.look(true).unwrap();
    let broken: Vec<&str> = seen
        .iter()
        .filter_map(|(of, seen)| match seen {
            Seen::Unreadable(text) if of.cgroup == "/job" => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(matches!(broken.as_slice(), [text] if text.contains(why)), "{seen:?}");
    assert!(seen.iter().any(|(of, seen)| of.cgroup == "/next" && matches!(seen, Seen::Decision(_))));
    assert_eq!(follow.look(true).unwrap(), []);

    // The rest of it is seen, and it can be taken away.
    let all = status(&fake.fresh(), None).unwrap();
    let one = all.attached.iter().find(|one| one.cgroup == "/job").unwrap();
    assert!(one.last.is_none() && !one.counters.is_empty());
    assert_eq!(all.left.iter().map(|one| one.why.as_str()).collect::<Vec<_>>(), [why]);
    assert_eq!(unload(&fake.fresh(), Some(&job())).unwrap().detached.len(), 1);
}

/// Makes the fixture of the newest format, once: `OOMC_RECORD=1`, while there is none.
#[test]
fn a_fixture_is_made_once() {
    use oomc_abi::record::{at, candidate};
    let place = oomc_tests::root().join(format!("tests/records/format-{FORMAT}.bin"));
    if place.exists() || oomc_tests::number("OOMC_RECORD", 0) == 0 {
        return;
    }
    let mut bytes = vec![0_u8; at::WORDS as usize * 8];
    let mut put = |at: u32, value: u64| {
        let place = bytes.get_mut(at as usize * 8..at as usize * 8 + 8).unwrap();
        place.copy_from_slice(&value.to_le_bytes());
    };
    let name = |text: &str| {
        u64::from_le_bytes(std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or(0)))
    };
    for (at, value) in [
        (at::NUMBER, 3),
        (at::NUMBER_AGAIN, 3),
        (at::FIRST, 1_000_000),
        (at::LAST, 2_000_000),
        (at::COUNT, 2),
        (at::ATTACHED, 102),
        (at::DOMAIN, 103),
        (at::TRIGGER, 812 << 32 | 813),
        (at::TRIGGER_COMM, name("sshd")),
        (at::ANSWER, 1),
        (at::ACTION, 1),
        (at::VICTIM, 11),
        (at::VICTIM_NAME, name("p11")),
        (at::KILLED, 1),
        (at::EXPECTED, 40 << 20),
        (at::SELECTION, 1),
        (at::CANDIDATES, 1),
        (at::FIRST_CANDIDATE + candidate::ID, 11),
        (at::FIRST_CANDIDATE + candidate::NAME, name("p11")),
        (at::FIRST_CANDIDATE + candidate::CLASS, 1),
        (at::FIRST_CANDIDATE + candidate::KEYS, 40 << 20),
    ] {
        put(at, value);
    }
    fs::write(place, bytes).unwrap();
}
