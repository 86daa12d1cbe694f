//! One hand-made program with every kind of relocation, written and looked at from all sides.

use object::{Object as _, ObjectSection as _};
use oomc_abi::btf::{Btf, ext};
use oomc_abi::{kfuncs, relo};

use super::*;
use crate::bpf::{CoreKind, CoreReloc, LinePosition, Program, Reloc, RelocTarget};
use crate::ir::{Builder, GlobalData};

const TEXT: &str = "policy tiny\n  kill largest in subtree\n";

/// A program of every kind of relocation; it is never run.
fn function() -> (ir::Function, Program) {
    let mut func = ir::Function::new("on_oom");
    let mut b = Builder::new(&mut func);
    let signal = b.field("task_struct", "signal");
    let anon = b.field("mm_struct", "rss_stat[1].count");
    let css = b.field("mem_cgroup", "css.cgroup");
    let gone = b.field("task_struct", "no_such_member");
    let stat = b.enumerator("node_stat_item", "NR_ANON_MAPPED");
    let generic = b.enumerator("cgroup_bpf_attach_type", "CGROUP_OOM_OPS");
    let memcg = b.type_ref("mem_cgroup");
    let total = b.ksym("_totalram_pages");
    let global = |name: &str, section: &str, members: &[&str], data: Vec<u8>| GlobalData {
        name: name.into(),
        section: section.into(),
        members: members.iter().map(|name| (*name).to_owned()).collect(),
        read_only: section == ".rodata",
        data,
    };
    let stats =
        func.refs_mut().globals.push(global("stats", ".bss.stats", &["invocations", "kills"], vec![0; 16]));
    let text = func.refs_mut().globals.push(global("strings", ".rodata", &[], b"kill\0".to_vec()));

    let word = |opcode: u8, regs: u8, imm: i32| {
        u64::from(opcode) | u64::from(regs) << 8 | u64::from(imm as u32) << 32
    };
    let code = vec![
        word(0x79, 0x11, 0), // r1 = *(u64 *)(r1 + signal)
        word(0x79, 0x12, 0), // r2 = *(u64 *)(r1 + rss_stat[1].count)
        word(0x79, 0x13, 0), // r3 = *(u64 *)(r1 + css.cgroup)
        word(0xb7, 0x04, 0), // r4 = exists(no_such_member)
        word(0xb7, 0x02, 0), // r2 = NR_ANON_MAPPED
        word(0xb7, 0x04, 0), // r4 = exists(CGROUP_OOM_OPS)
        word(0x18, 0x02, 0), // r2 = type id
        0,
        word(0x18, 0x03, 8), // r3 = &stats.kills
        0,
        word(0x18, 0x03, 0), // r3 = &strings
        0,
        word(0x18, 0x03, 0), // r3 = &_totalram_pages
        0,
        word(0x85, 0x10, -1), // bpf_get_root_mem_cgroup()
        word(0xb7, 0x00, 0),
        word(0x95, 0x00, 0),
    ];
    let core = |insn, kind| CoreReloc { insn, kind };
    let program = Program {
        name: "on_oom".into(),
        code,
        relocs: vec![
            Reloc { insn: 8, target: RelocTarget::Global(stats) },
            Reloc { insn: 10, target: RelocTarget::Global(text) },
            Reloc { insn: 12, target: RelocTarget::Ksym(total) },
            Reloc { insn: 14, target: RelocTarget::Kfunc(kfuncs::GET_ROOT_MEM_CGROUP) },
        ],
        core: vec![
            core(0, CoreKind::FieldByteOffset(signal)),
            core(1, CoreKind::FieldByteOffset(anon)),
            core(2, CoreKind::FieldByteOffset(css)),
            core(3, CoreKind::FieldExists(gone)),
            core(4, CoreKind::EnumValue(stat)),
            core(5, CoreKind::EnumExists(generic)),
            core(6, CoreKind::TypeIdTarget(memcg)),
        ],
        lines: vec![
            LinePosition { insn: 2, line: 1, column: 1 },
            LinePosition { insn: 6, line: 2, column: 3 },
        ],
        frame_size: 0,
    };
    (func, program)
}

fn with_module<T>(run: impl FnOnce(&Module<'_>) -> T) -> T {
    let (func, program) = function();
    run(&Module {
        policy: &hir::Policy { name: "tiny".into(), ..hir::Policy::default() },
        ops_name: "tiny@01234567",
        source: &Source::new("tiny.oom", TEXT),
        hash: "01234567",
        refs: &func.refs,
        programs: std::slice::from_ref(&program),
        view: &KernelView::embedded(),
    })
}

fn object() -> Vec<u8> {
    with_module(write).expect("a sound module")
}

fn part(object: &[u8], name: &str) -> Vec<u8> {
    let file = object::File::parse(object).expect("ELF");
    file.section_by_name(name).expect(name).data().expect("data").to_vec()
}

fn code(object: &[u8]) -> Vec<u64> {
    let bytes = part(object, "struct_ops.s/handle_out_of_memory");
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// The program as a loader with this kernel would hand it over.
fn relocate(object: &[u8], target: &Btf) -> (Vec<u64>, Vec<relo::Poisoned>) {
    let local = Btf::parse(&part(object, ".BTF")).expect("BTF");
    let ext = ext::parse(&part(object, ".BTF.ext"), &local).expect("BTF.ext");
    let mut code = code(object);
    let poisoned = relo::apply(&mut code, &local, &ext.relos[0].records, target).expect("applies");
    (code, poisoned)
}

fn offset(code: &[u64], insn: usize) -> u32 {
    u32::from((code[insn] >> 16) as u16)
}

fn immediate(code: &[u64], insn: usize) -> i64 {
    i64::from((code[insn] >> 32) as i32)
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    assert_eq!(object(), object());
}

#[test]
fn code_holds_the_facts_of_the_kernel_compiled_against() {
    let view = KernelView::embedded();
    let code = code(&object());
    let at = |container, path| view.member(container, path).expect(path).offset;
    assert_eq!(offset(&code, 0), at("task_struct", "signal"));
    assert_eq!(offset(&code, 1), at("mm_struct", "rss_stat[1].count"));
    assert_eq!(offset(&code, 2), at("mem_cgroup", "css.cgroup"));
    assert_eq!(immediate(&code, 4), view.enumerator("node_stat_item", "NR_ANON_MAPPED").expect("in BTF"));
    assert_eq!(immediate(&code, 8), 8, "the offset inside a global stays");
}

#[test]
fn on_the_kernel_compiled_against_only_absences_change() {
    let view = KernelView::embedded();
    let object = object();
    let (before, (after, poisoned)) = (code(&object), relocate(&object, view.btf()));
    assert_eq!(poisoned, []);
    assert_eq!(immediate(&before, 3), 1);
    assert_eq!(immediate(&after, 3), 0, "no such member");
    assert_eq!(immediate(&after, 5), 0, "no such enumerator");
    assert_eq!(immediate(&after, 6), i64::from(view.type_id("mem_cgroup").expect("in BTF")));
    for insn in (0..before.len()).filter(|insn| ![3, 5, 6].contains(insn)) {
        assert_eq!(before[insn], after[insn], "instruction {insn}");
    }
}

/// The embedded BTF with each type changed.
fn another_kernel(change: impl Fn(&mut oomc_abi::btf::Type<'_>)) -> Btf {
    let view = KernelView::embedded();
    let mut out = oomc_abi::btf::write::Builder::new();
    for id in view.btf().ids() {
        let mut ty = view.btf().get(id).expect("exists");
        change(&mut ty);
        out.add(ty.name, &ty.kind);
    }
    Btf::parse(&out.finish()).expect("still a BTF")
}

#[test]
fn on_another_kernel_the_facts_are_its_own() {
    use oomc_abi::btf::Kind;
    let other = another_kernel(|ty| match &mut ty.kind {
        Kind::Struct { size, members } if ["task_struct", "mm_struct", "mem_cgroup"].contains(&ty.name) => {
            *size += 16;
            members.iter_mut().for_each(|member| member.bit_offset += 128);
        }
        Kind::Enum { values, .. } => values.iter_mut().for_each(|value| value.value += 5),
        _ => {}
    });
    let object = object();
    let (before, (after, poisoned)) = (code(&object), relocate(&object, &other));
    assert_eq!(poisoned, []);
    for insn in 0..3 {
        assert_eq!(offset(&after, insn), offset(&before, insn) + 16, "instruction {insn}");
    }
    assert_eq!(immediate(&after, 4), immediate(&before, 4) + 5);
}

#[test]
fn what_a_kernel_lacks_poisons_the_instruction() {
    use oomc_abi::btf::Kind;
    let other = another_kernel(|ty| match &mut ty.kind {
        Kind::Struct { members, .. } => members.retain(|member| member.name != "signal"),
        Kind::Enum { values, .. } => values.retain(|value| value.name != "NR_ANON_MAPPED"),
        _ => {}
    });
    let (after, poisoned) = relocate(&object(), &other);
    let what: Vec<(u32, &str)> =
        poisoned.iter().map(|poisoned| (poisoned.insn, poisoned.what.as_str())).collect();
    assert_eq!(what, [(0, "task_struct.signal"), (4, "node_stat_item.NR_ANON_MAPPED")]);
    assert_eq!(after[0], 0x85 | 0x0bad_2310 << 32);
}

#[test]
fn the_name_is_in_the_image_and_cut_to_fit() {
    let image = part(&object(), ".struct_ops.link");
    assert_eq!(image.len(), 72);
    assert_eq!(&image[8..22], b"tiny@01234567\0");
    let long = struct_ops::image(&"ü".repeat(40));
    assert_eq!(&long[8..70], "ü".repeat(31).as_bytes(), "62 bytes: half a letter is left out");
    assert_eq!(&long[70..], [0, 0]);
}

#[test]
fn lines_are_the_policys_own() {
    let text = dump_btf(&object()).expect("an object");
    assert!(
        text.contains("    0: tiny.oom:1:1: policy tiny\n    6: tiny.oom:2:3:   kill largest in subtree\n"),
        "{text}"
    );
    assert!(text.contains("1: FieldByteOffset mm_struct.rss_stat[1].count"), "{text}");
}

#[test]
fn a_line_without_end_is_cut() {
    let (func, program) = function();
    let text = format!("kill {}\n", "ü".repeat(1000));
    let module = Module {
        policy: &hir::Policy { name: "x".to_owned(), ..hir::Policy::default() },
        ops_name: "x",
        source: &Source::new("/some/where/y.oom", text),
        hash: "",
        refs: &func.refs,
        programs: std::slice::from_ref(&program),
        view: &KernelView::embedded(),
    };
    let text = dump_btf(&write(&module).expect("a sound module")).expect("an object");
    assert!(text.contains(&format!("0: x.oom:1:1: kill {}\n", "ü".repeat(117))), "{text}");
}

#[test]
fn symbols_are_of_the_kinds_that_loaders_take() {
    let text = dump_elf(&object()).expect("an object");
    for line in [
        "handle_out_of_memory: global, struct_ops.s/handle_out_of_memory at 0, 136 bytes",
        "oom_policy: global, .struct_ops.link at 0, 72 bytes",
        "bpf_get_root_mem_cgroup: global, undefined",
        "_totalram_pages: weak, undefined",
        "    0: type 2, handle_out_of_memory",
        "    64: type 1, stats",
        "    112: type 10, bpf_get_root_mem_cgroup",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn what_is_no_object_is_said_so() {
    for bytes in [&b""[..], b"no object", &object()[..200]] {
        assert!(matches!(dump_btf(bytes), Err(Error::Unreadable(_))));
    }
}

/// A callback that calls one function, and that one another.
#[test]
fn functions_lie_in_text_and_are_checked_by_themselves() {
    let text = "function %on_oom {\n    fd0 = oom_control.order\n    fn0 = function %outer(ptr mem_cgroup, number)\n    \
                fn1 = function %inner\nblock0:\n    v0 = call bpf_get_root_mem_cgroup()\n    \
                br ne v0, 0, block1, block2\nblock1:\n    v1 = iconst 5\n    v2 = call fn0(v0, v1)\n    \
                call bpf_put_mem_cgroup(v0)\n    return v2\nblock2:\n    return 0\n}\n\
                function %outer(ptr mem_cgroup, number) {\nblock0:\n    v0 = param 1\n    v1 = call fn1()\n    \
                v2 = add v0, v1\n    return v2\n}\n\
                function %inner {\nblock0:\n    v0 = field.exists fd0\n    return v0\n}\n";
    let (source, view) = (Source::new("tiny.oom", TEXT), KernelView::embedded());
    let mut module = ir::read::read(text).expect("IR");
    assert_eq!(ir::verify::module(&module), Ok(()));
    let programs = bpf::compile_all(&mut module, &source, &view).expect("compiles");
    let object = write(&Module {
        policy: &hir::Policy::default(),
        ops_name: "tiny@01234567",
        source: &source,
        hash: "01234567",
        refs: &module.refs(),
        programs: &programs,
        view: &view,
    })
    .expect("a sound module");
    let [callback, outer, inner] = programs.as_slice() else { panic!("three functions") };
    let bytes = |program: &Program| program.code.len() * 8;
    let elf = dump_elf(&object).expect("an object");
    for line in [
        format!("outer: global, .text at 0, {} bytes", bytes(outer)),
        format!("inner: global, .text at {}, {} bytes", bytes(outer), bytes(inner)),
        "type 10, outer".to_owned(),
        "type 10, inner".to_owned(),
    ] {
        assert!(elf.contains(&line), "{line}\n{elf}");
    }
    assert_eq!(part(&object, "struct_ops.s/handle_out_of_memory").len(), bytes(callback));

    let btf = Btf::parse(&part(&object, ".BTF")).expect("BTF");
    let ext = ext::parse(&part(&object, ".BTF.ext"), &btf).expect("BTF.ext");
    let funcs = |at: usize| -> Vec<(u32, &str)> {
        ext.funcs[at].records.iter().map(|func| (func.insn, btf.name(func.type_id))).collect()
    };
    assert_eq!(funcs(0), [(0, "handle_out_of_memory")]);
    assert_eq!(funcs(1), [(0, "outer"), (outer.code.len() as u32, "inner")]);
    let [relo] = ext.relos[0].records.as_slice() else { panic!("one fact: {:?}", ext.relos) };
    assert_eq!(btf.string(ext.relos[0].name), Some(".text"));
    assert!(relo.insn >= outer.code.len() as u32, "it counts from the section's start");
    let tags: Vec<(&str, &str, i32)> = btf
        .ids()
        .filter_map(|id| match btf.get(id)?.kind {
            oomc_abi::btf::Kind::DeclTag { ty, component } => Some((btf.name(id), btf.name(ty), component)),
            _ => None,
        })
        .collect();
    assert_eq!(tags, [("arg:trusted", "outer", 0)], "a number needs no tag");
}
