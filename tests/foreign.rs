//! Objects that oomc did not make, or that were changed since: each is told apart, and what is odd of it is named.
//!
//! An object is changed where an attacker would, and gets a digest that holds again, because whoever writes an object
//! can compute it: then what it may hold decides.

use oomc_abi::btf::Btf;
use oomc_abi::digest::{BYTES, SECTION};
use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_object::Object;
use oomc_object::foreign::{Oddity, oddities, told};
use oomc_sim::{Kernel, Policy};
use sha2::{Digest as _, Sha256};

const POLICY: &str = "label tier: count = 3 trust root
never kill process where comm == \"sshd\"
if cgroup.tier > 2 then kill largest in subtree else raise_limit 10% up to 1GiB
";

fn compiled() -> Vec<u8> {
    let source = Source::new("policy.oom", POLICY);
    oomc_compiler::compile(&source, &KernelView::embedded()).object.expect("it compiles")
}

/// Gives an object the digest that its bytes have now.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    use object::{Object as _, ObjectSection as _};
    let file = object::File::parse(bytes.as_slice()).expect("ELF");
    let (at, _) = file.section_by_name(SECTION).and_then(|one| one.file_range()).expect("a digest");
    let place = at as usize..at as usize + BYTES;
    bytes.splice(place.clone(), [0; BYTES]);
    let hash = Sha256::digest(&bytes);
    bytes.splice(place, hash);
    bytes
}

/// The object with some bytes instead of others of the same length, wherever they stand.
fn with(from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = compiled();
    let places: Vec<usize> = (0..)
        .zip(bytes.windows(from.len()))
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{from:?} is not in the object");
    for at in places {
        bytes.splice(at..at + to.len(), to.iter().copied());
    }
    sealed(bytes)
}

/// What is odd of an object that can be read.
fn odd(bytes: &[u8]) -> Vec<Oddity> {
    Object::parse(bytes).unwrap_or_else(|error| panic!("{error}")).foreign
}

#[test]
fn what_oomc_made_is_ours() {
    assert_eq!(odd(&compiled()), []);
    assert_eq!(odd(&sealed(compiled())), [], "the digest is as computed here");
}

#[test]
fn every_changed_byte_is_noticed() {
    let whole = compiled();
    let kernel = Kernel::new(KernelView::embedded()).expect("a kernel");
    let mut refused = 0;
    // All of the header, and every seventh byte of what follows, which meets each section.
    for at in (0..64).chain((64..whole.len()).step_by(7)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let sentence = match Object::parse(&bytes) {
            Err(error) => {
                refused += 1;
                error.to_string()
            }
            Ok(object) => {
                assert!(!object.digest.holds() && !object.foreign.is_empty(), "byte {at}");
                if at % 31 == 0 {
                    let unfit =
                        Policy::new(&kernel, &object).expect_err("the simulator takes only what is ours");
                    assert!(unfit.to_string().contains("foreign"), "{unfit}");
                }
                told(&object.foreign, None)
            }
        };
        assert!(sentence.len() > 10 && !sentence.contains("bug"), "byte {at}: {sentence}");
    }
    assert!(refused > 100, "only {refused} were not read at all");
}

#[test]
fn an_object_without_a_digest_is_foreign() {
    let mut bytes = compiled();
    let name = b".oomc.digest\0";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the section's name");
    bytes[at + 1] = b'x';
    assert!(odd(&bytes).iter().any(|one| one.to_string().contains("no digest")));
}

#[test]
fn a_helper_of_another_kind_is_named() {
    // bpf_ringbuf_output becomes bpf_send_signal.
    let call = |number: u8| [0x85, 0, 0, 0, number, 0, 0, 0];
    let bytes = with(&call(130), &call(109));
    assert_eq!(odd(&bytes), [Oddity::Helper(109)]);
    assert_eq!(told(&odd(&bytes), None), "it calls the helper of number 109");
    let types = Btf::parse(&helper_types()).expect("types");
    assert_eq!(told(&odd(&bytes), Some(&types)), "it calls the helper `bpf_send_signal` (number 109)");
}

/// Types of a kernel that names this helper.
fn helper_types() -> Vec<u8> {
    use oomc_abi::btf::{Enumerator, Kind, write::Builder};
    let mut builder = Builder::new();
    let values = vec![Enumerator { name: "BPF_FUNC_send_signal", value: 109 }];
    builder.add("bpf_func_id", &Kind::Enum { size: 4, signed: false, wide: false, values });
    builder.finish()
}

#[test]
fn another_function_of_the_kernel_is_named() {
    let bytes = with(b"bpf_rcu_read_lock\0", b"bpf_rcu_read_lick\0");
    assert_eq!(odd(&bytes), [Oddity::Function("bpf_rcu_read_lick".to_owned())]);
}

#[test]
fn another_map_is_named() {
    let bytes = with(b"\0records\0", b"\0recards\0");
    assert_eq!(told(&odd(&bytes), None), "it has the map `recards` which policies do not have");
    let bytes = with(b".bss.scratch\0", b".bss.scretch\0");
    assert_eq!(odd(&bytes), [Oddity::Global(".bss.scretch".to_owned())]);
}

#[test]
fn a_map_whose_name_is_a_path_is_no_object_at_all() {
    for (from, to) in [
        (&b"\0records\0"[..], &b"\0/ecords\0"[..]),
        (b"\0records\0", b"\0../rds\0\0"),
        (b"\0records\0", b"\0a/b/cd\0\0"),
        (b".bss.scratch\0", b".bss./cratch\0"),
    ] {
        let error = Object::parse(&with(from, to)).expect_err("a path").to_string();
        assert!(error.contains("no plain word"), "{error}");
    }
}

#[test]
fn a_map_of_another_size_or_kind_is_foreign() {
    let changed = |change: &dyn Fn(&mut Object)| {
        let mut object = Object::parse(&compiled()).expect("an object");
        change(&mut object);
        told(&oddities(&object), None)
    };
    let records = "it has the map `records` of another";
    assert_eq!(
        changed(&|object| object.maps[0].max_entries = 20_000_000),
        format!("{records} size than policies have")
    );
    assert_eq!(
        changed(&|object| object.maps[0].value.0 = 1 << 20),
        format!("{records} size than policies have")
    );
    assert_eq!(changed(&|object| object.maps[0].kind = 14), format!("{records} kind than policies have"));
    assert_eq!(
        changed(&|object| object.license = "Proprietary".to_owned()),
        "it has the license `Proprietary`"
    );
    // No relocation fills in what ends the program.
    let exit = |object: &Object| object.code.iter().position(|insn| *insn as u8 == 0x95).expect("an end");
    for (source, opcode) in [(2, oomc_object::insn::CALL), (0, 0x8d), (1, oomc_object::insn::LDDW)] {
        let by_number = changed(&|object| {
            let at = exit(object);
            object.code[at] = u64::from(opcode) | source << 12 | 3 << 32;
        });
        assert!(
            by_number.ends_with(" names something of the kernel by its number"),
            "{opcode:#x}: {by_number}"
        );
    }
}

#[test]
fn a_forged_name_or_text_is_foreign() {
    let hash = Object::parse(&compiled()).expect("an object").meta.get("hash").to_owned();
    // Another hash in the kernel's log than the text has.
    let forged = with(format!("policy@{}", &hash[..8]).as_bytes(), b"policy@d6f7889f");
    assert!(
        matches!(odd(&forged).as_slice(), [Oddity::Name(name)] if name == "policy"),
        "{:?}",
        odd(&forged)
    );
    let other = with(b"comm == \"sshd\"", b"comm == \"xshd\"");
    assert!(odd(&other).contains(&Oddity::Hash), "{:?}", odd(&other));
}
