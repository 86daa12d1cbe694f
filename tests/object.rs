//! The object file is an ordinary one: libbpf opens it and takes its BTF, LLVM's tools read it.
//!
//! Every policy of the examples and of the cases for the machine is compiled. Opening needs no privilege;
//! loading through libbpf is a case for the machine.
#![expect(unsafe_code, reason = "libbpf is a C library; it is only asked to open what was compiled")]

use std::ffi::{CStr, c_char, c_int};
use std::path::PathBuf;
use std::process::Command;
use std::ptr;
use std::sync::OnceLock;

use libbpf_sys as sys;
use oomc_abi::btf::{Btf, ext};
use oomc_abi::relo;
use oomc_abi::resolve::KernelView;
use oomc_abi::target::Target;
use oomc_compiler::object::{dump_btf, dump_elf};
use oomc_compiler::source::Source;

/// Compiled besides what lies in the folders: one policy for each kind of thing that gets into an object.
const POLICIES: &[(&str, &str)] = &[
    ("headline.oom", "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree\n"),
    ("nothing.oom", "default defer\n"),
    ("strings.oom", "never kill process where comm == \"sshd\"\nkill largest in subtree\n"),
    ("cgroup.oom", "kill largest cgroup in subtree where is_leaf by usage\n"),
    ("waiting.oom", "rule \"calm\":\n  wait or kill largest in subtree\n"),
];

/// Kills of two kinds, enough of them for functions that they share.
fn large() -> String {
    (1..=40)
        .map(|at| {
            format!(
                "kill largest {} in subtree where {} > {at}MiB\n",
                if at % 4 == 0 { "cgroup" } else { "process" },
                if at % 4 == 0 { "usage" } else { "rss" }
            )
        })
        .collect()
}

/// Objects of all policies at hand, by the name of the file; compiled once for all tests.
fn objects() -> &'static [(String, Vec<u8>)] {
    static OBJECTS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    OBJECTS.get_or_init(compile_all)
}

/// Without those for the machine, which are many and much alike: for what takes long.
fn few() -> impl Iterator<Item = &'static (String, Vec<u8>)> {
    objects().iter().filter(|(name, _)| !name.contains("cases"))
}

fn compile_all() -> Vec<(String, Vec<u8>)> {
    let root = oomc_tests::root();
    let mut policies: Vec<(String, String)> =
        POLICIES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    policies.push(("large.oom".to_owned(), large()));
    for folder in ["examples", "tests/cases/run"].map(|folder| root.join(folder)) {
        if !folder.is_dir() {
            continue;
        }
        let files: Vec<PathBuf> = oomc_tests::files(&folder);
        for path in files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "oom")) {
            let text = std::fs::read_to_string(&path).expect("a text");
            policies.push((oomc_tests::short(&path), text));
        }
    }
    let view = KernelView::embedded();
    policies
        .into_iter()
        .filter_map(|(name, text)| {
            let compiled = oomc_compiler::compile(&Source::new(name.clone(), text), &view);
            // Some cases for the machine show what a wrong policy does.
            let ours = POLICIES.iter().any(|(policy, _)| *policy == name);
            assert!(compiled.object.is_some() || !ours, "{name}: {:?}", compiled.diagnostics);
            let object = compiled.object;
            object.map(|object| (name, object))
        })
        .collect()
}

fn section<'a>(object: &'a [u8], name: &str) -> &'a [u8] {
    use object::{Object as _, ObjectSection as _};
    let file = object::File::parse(object).expect("ELF");
    file.section_by_name(name).unwrap_or_else(|| panic!("no {name}")).data().expect("data")
}

unsafe extern "C" fn silent(
    _: sys::libbpf_print_level,
    _: *const c_char,
    _: *mut sys::__va_list_tag,
) -> c_int {
    0
}

/// An object opened by libbpf.
struct Opened(*mut sys::bpf_object);

impl Opened {
    fn new(bytes: &[u8]) -> Self {
        // SAFETY: the function ignores what it is given; the bytes outlive the call, which copies them.
        let object = unsafe {
            sys::libbpf_set_print(Some(silent));
            sys::bpf_object__open_mem(bytes.as_ptr().cast(), bytes.len() as _, ptr::null())
        };
        Self(object)
    }

    fn maps(&self) -> Vec<(String, u32, u32)> {
        let mut maps = Vec::new();
        let mut map = ptr::null_mut();
        loop {
            // SAFETY: a live object, and null or a map of it; a map's name lives as long as the object.
            unsafe {
                map = sys::bpf_object__next_map(self.0, map);
                if map.is_null() {
                    return maps;
                }
                let name = CStr::from_ptr(sys::bpf_map__name(map)).to_string_lossy().into_owned();
                maps.push((name, sys::bpf_map__type(map), sys::bpf_map__value_size(map)));
            }
        }
    }

    fn programs(&self) -> Vec<(String, String, usize)> {
        let mut programs = Vec::new();
        let mut program = ptr::null_mut();
        loop {
            // SAFETY: a live object, and null or a program of it; its names live as long as the object.
            unsafe {
                program = sys::bpf_object__next_program(self.0, program);
                if program.is_null() {
                    return programs;
                }
                let text = |text| CStr::from_ptr(text).to_string_lossy().into_owned();
                programs.push((
                    text(sys::bpf_program__name(program)),
                    text(sys::bpf_program__section_name(program)),
                    sys::bpf_program__insn_cnt(program) as usize,
                ));
            }
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: null, or an object that is closed once.
        unsafe { sys::bpf_object__close(self.0) };
    }
}

#[test]
fn libbpf_opens_every_object() {
    for (name, bytes) in objects() {
        let opened = Opened::new(bytes);
        assert!(!opened.0.is_null(), "{name}: libbpf refuses it");
        let programs = opened.programs();
        let entries: Vec<_> = programs.iter().filter(|(_, place, _)| place != ".text").collect();
        let rows = Target::ALL.map(Target::row);
        // A policy that names a member of the event runs only where the kernel asks.
        let asked = !bytes.windows(7).any(|text| text == b"oom.oc.");
        assert_eq!(entries.len(), if asked { rows.len() } else { 1 }, "{name}: {entries:?}");
        for ((program, place, len), row) in entries.into_iter().zip(rows) {
            assert_eq!((program.as_str(), place.as_str()), (row.program, row.section), "{name}");
            assert_eq!(len * 8, section(bytes, row.section).len());
        }
        let maps = opened.maps();
        let ops = maps.iter().find(|(map, ..)| map == "oom_policy");
        assert_eq!(
            ops.map(|(_, kind, size)| (*kind, *size)),
            Some((sys::BPF_MAP_TYPE_STRUCT_OPS, 72)),
            "{name}"
        );
        assert!(maps.iter().any(|(map, ..)| map == ".bss.stats"), "{name}: {maps:?}");
    }
}

#[test]
fn libbpf_reads_the_same_types() {
    for (name, bytes) in objects() {
        let raw = section(bytes, ".BTF");
        let ours = Btf::parse(raw).expect("our own BTF");
        // SAFETY: the bytes outlive the call, which copies them; the BTF is freed once.
        let count = unsafe {
            let btf = sys::btf__new(raw.as_ptr().cast(), raw.len() as _);
            assert!(!btf.is_null(), "{name}: libbpf refuses its BTF");
            let count = sys::btf__type_cnt(btf);
            sys::btf__free(btf);
            count
        };
        assert_eq!(count, ours.len(), "{name}");
    }
}

#[test]
fn a_cut_object_is_refused() {
    let (_, bytes) = &objects()[0];
    assert!(Opened::new(&bytes[..bytes.len() / 2]).0.is_null());
    assert!(dump_elf(&bytes[..40]).is_err());
}

#[test]
fn every_object_is_ours() {
    for (name, bytes) in objects() {
        let object = oomc_object::Object::parse(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(object.foreign, [], "{name}");
        assert!(object.digest.holds(), "{name}");
    }
}

#[test]
fn lines_cover_the_program_and_are_the_policys() {
    for (name, bytes) in objects() {
        let btf = Btf::parse(section(bytes, ".BTF")).expect("BTF");
        let ext = ext::parse(section(bytes, ".BTF.ext"), &btf).expect("BTF.ext");
        // The kernel wants a line for the first instruction of each function.
        for (funcs, lines) in ext.funcs.iter().zip(&ext.lines) {
            assert_eq!(funcs.name, lines.name, "{name}");
            let starts = |insn: u32| lines.records.iter().any(|line| line.insn == insn);
            assert!(funcs.records.iter().all(|func| starts(func.insn)), "{name}");
        }
        let lines = &ext.lines[0].records;
        assert!(lines.windows(2).all(|pair| pair[0].insn < pair[1].insn), "{name}");
        let source = std::str::from_utf8(section(bytes, ".oomc.source")).expect("text");
        for line in lines {
            // The policy's name, and not where its text lay.
            let file = btf.string(line.file).unwrap_or_default();
            assert!(file.ends_with(".oom") && !file.contains('/'), "{name}: {file}");
            let text = source.lines().nth(line.line as usize - 1).unwrap_or("").trim_end();
            // A line is kept up to 240 bytes.
            let text = text.get(..240).unwrap_or(text);
            assert_eq!(btf.string(line.text), Some(text), "{name}:{}", line.line);
        }
    }
}

#[test]
fn on_the_kernel_compiled_against_only_absences_change() {
    let view = KernelView::embedded();
    for (name, bytes) in few() {
        let btf = Btf::parse(section(bytes, ".BTF")).expect("BTF");
        let ext = ext::parse(section(bytes, ".BTF.ext"), &btf).expect("BTF.ext");
        let words = section(bytes, "struct_ops.s/handle_out_of_memory").as_chunks::<8>().0;
        let before: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let mut after = before.clone();
        let relos = &ext.relos[0].records;
        let poisoned = relo::apply(&mut after, &btf, relos, view.btf()).expect("applies");
        assert!(poisoned.iter().all(|poisoned| poisoned.one_way), "{name}: {poisoned:?}");
        for (insn, (before, after)) in before.iter().zip(&after).enumerate() {
            let record = relos.iter().find(|relo| relo.insn as usize == insn);
            let kind = record.and_then(|record| relo::RelocKind::from_number(record.kind));
            use relo::RelocKind::{EnumvalExists, FieldExists, TypeIdTarget};
            // Of a member that kernels declare in two ways, the object's own types know no offset.
            let shaped = record.is_some_and(|record| {
                relo::resolve(&btf, record, view.btf()).is_ok_and(|resolved| resolved.one_way)
            });
            if !shaped && !matches!(kind, Some(EnumvalExists | FieldExists | TypeIdTarget)) {
                assert_eq!(before, after, "{name}: instruction {insn}");
            }
        }
    }
}

#[test]
fn llvm_reads_objects() {
    let path = std::env::temp_dir().join(format!("oomc-objects-{}.o", std::process::id()));
    for (name, bytes) in few() {
        std::fs::write(&path, bytes).expect("writes");
        for (tool, flags) in [("llvm-readelf-19", "--all"), ("llvm-objdump-19", "-dr")] {
            let out = Command::new(tool).arg(flags).arg(&path).output();
            let out = out.unwrap_or_else(|error| panic!("{tool} (Debian package llvm-19): {error}"));
            assert!(out.status.success() && out.stderr.is_empty(), "{name}: {tool}: {out:?}");
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(!text.contains("<unknown>"), "{name}: an instruction that LLVM does not know\n{text}");
        }
    }
    std::fs::remove_file(&path).expect("removes");
}

#[test]
fn the_same_policy_gives_the_same_bytes_and_nothing_of_this_machine() {
    let view = KernelView::embedded();
    for ((name, text), (_, first)) in POLICIES.iter().zip(objects()) {
        let second = oomc_compiler::compile(&Source::new(*name, *text), &view).object;
        assert!(second.as_ref() == Some(first), "{name}");
    }
    let here = oomc_tests::root().display().to_string();
    for (name, bytes) in objects() {
        assert!(!bytes.windows(here.len()).any(|window| window == here.as_bytes()), "{name} names {here}");
        assert!(dump_btf(bytes).is_ok_and(|text| text.contains("handle_out_of_memory")), "{name}");
    }
}

#[test]
fn the_full_btf_of_the_kernel_gives_the_same_bytes() {
    let Some((_, full)) = oomc_tests::kernel_under_test() else { return };
    for (name, text) in POLICIES {
        let source = Source::new(*name, *text);
        let [embedded, full] =
            [&KernelView::embedded(), &full].map(|view| oomc_compiler::compile(&source, view).object);
        assert!(embedded.is_some() && embedded == full, "{name}");
    }
}

/// A loader must not fall over an object that was damaged on its way.
#[test]
fn damaged_types_and_relocations_never_panic() {
    let (_, bytes) = &objects()[0];
    let view = KernelView::embedded();
    let (raw, raw_ext) = (section(bytes, ".BTF"), section(bytes, ".BTF.ext"));
    let words = section(bytes, "struct_ops.s/handle_out_of_memory").as_chunks::<8>().0;
    let code: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let mut survived = 0;
    let mut load = |raw: &[u8], raw_ext: &[u8]| {
        let Ok(btf) = Btf::parse(raw) else { return };
        let Ok(ext) = ext::parse(raw_ext, &btf) else { return };
        for section in &ext.relos {
            survived +=
                usize::from(relo::apply(&mut code.clone(), &btf, &section.records, view.btf()).is_ok());
        }
    };
    for at in (0..raw.len()).step_by(37) {
        let mut damaged = raw.to_vec();
        damaged[at] ^= 1 << (at % 8);
        load(&damaged, raw_ext);
    }
    for at in (0..raw_ext.len()).step_by(13) {
        let mut damaged = raw_ext.to_vec();
        damaged[at] ^= 1 << (at % 8);
        load(raw, &damaged);
    }
    assert!(survived > 0, "some damage does no harm, so the test reaches the relocations");
}

#[test]
fn a_policy_that_names_a_member_of_the_event_is_not_asked() {
    let programs = |text: &str| {
        let compiled = oomc_compiler::compile(&Source::new("event.oom", text), &KernelView::embedded());
        let object = compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
        oomc_runtime::Object::parse(&object).unwrap().asked().is_some()
    };
    assert!(programs("kill largest process in subtree by oom.order desc\n"));
    // Whoever asks has no `oom_control`.
    for text in [
        "kill largest process in subtree by oom.oc.gfp_mask desc\n",
        "if oom.oc.gfp_mask > 3 then kill largest in subtree else defer\n",
    ] {
        assert!(!programs(text), "{text}");
    }
}
