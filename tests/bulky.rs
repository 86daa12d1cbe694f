//! Small files cost little: what is read of objects and types of a kernel is linear in the file's size, or refused.
//!
//! Time of the processor is compared with time of the processor: what a file of four times the size costs may be some
//! times as much, not a hundred times, so that a slow machine changes nothing.

use std::fs;
use std::time::Duration;

use oomc_abi::btf::Btf;
use oomc_abi::resolve::KernelView;
use oomc_object::Object;
use oomc_tests::bulky;

/// Below this nothing is compared: it is noise.
const NOTHING: Duration = Duration::from_millis(200);

/// What this thread has had of a processor so far: in nanoseconds, first in the file.
fn spent() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that counts");
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number"))
}

fn time<T>(work: impl Fn() -> T) -> Duration {
    let best = (0..3).map(|_| {
        let start = spent();
        let _ = work();
        spent().saturating_sub(start)
    });
    best.min().unwrap_or_default()
}

/// What `large` costs is at most a few times what `small`, of a quarter of its size, does.
fn linear<T>(what: &str, small: impl Fn() -> T, large: impl Fn() -> T) {
    let (small, large) = (time(small), time(large));
    assert!(large < NOTHING || large < small * 16, "{what}: {small:?}, four times as much: {large:?}");
}

fn refusal(bytes: &[u8]) -> String {
    Object::parse(bytes).expect_err("no policy").to_string()
}

#[test]
fn an_object_of_many_sections_is_refused_before_they_are_looked_at() {
    let (small, large) = (bulky::many_sections(10_000), bulky::many_sections(40_000));
    assert!(refusal(&large).ends_with(" sections; 128 is the most"), "{}", refusal(&large));
    linear("sections", || refusal(&small), || refusal(&large));
}

#[test]
fn sections_without_content_take_no_memory() {
    let text = refusal(&bulky::sizes_only(60));
    assert!(text.starts_with("the object is damaged: its globals have "), "{text}");
    assert!(text.ends_with(" bytes; 16777216 is the most"), "{text}");
}

#[test]
fn symbols_that_share_a_long_name_are_refused() {
    let (small, large) = (bulky::long_names(2_000, 2_000_000), bulky::long_names(8_000, 8_000_000));
    assert_eq!(refusal(&large), "the object is damaged: a name in it is longer than 255 bytes");
    linear("symbols", || refusal(&small), || refusal(&large));
    assert!(refusal(&bulky::long_names(70_000, 10)).ends_with(" symbols; 65536 is the most"));
}

#[test]
fn types_that_share_a_name_are_refused() {
    let (small, large) = (bulky::same_name(75_000, 750_000), bulky::same_name(300_000, 3_000_000));
    let text = Btf::parse(&large).expect_err("no kernel's").to_string();
    assert!(text.ends_with("a string is longer than 1024 bytes"), "{text}");
    linear("a long name", || Btf::parse(&small).is_ok(), || Btf::parse(&large).is_ok());
    let text = Btf::parse(&bulky::same_name(300_000, 1000)).expect_err("no kernel's").to_string();
    assert!(text.ends_with("more than 4096 types have the same name"), "{text}");
}

#[test]
fn many_types_cost_as_much_as_they_are() {
    let (small, large) = (bulky::many_types(100_000), bulky::many_types(400_000));
    assert_eq!(Btf::parse(&large).map(|btf| btf.len()), Ok(400_001));
    linear("types", || Btf::parse(&small).is_ok(), || Btf::parse(&large).is_ok());
}

#[test]
fn a_structure_that_stands_in_another_many_times_is_looked_into_once() {
    let view = |depth| KernelView::from_btf(&bulky::nested("task_struct", depth, 1000)).expect("types");
    let (small, large) = (view(4), view(16));
    assert!(large.lookup("task_struct", "pid").is_err());
    let ask = |view: &KernelView| {
        view.lookup("task_struct", "pid").is_ok() || !view.members("task_struct").is_empty()
    };
    linear("nesting", || ask(&small), || ask(&large));
}
