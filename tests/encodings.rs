//! Every instruction that the compiler can emit, against the encodings of LLVM's assembler.
//!
//! The list is made by the encoder itself, so a new form cannot be forgotten. Needs `llvm-mc-19`
//! (Debian package llvm-19).

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use oomc_compiler::bpf::insn::{AluOp, Callee, Insn, Reg, Src, Width, access, cond_symbol};

const ASSEMBLER: &str = "llvm-mc-19";

/// A register as LLVM spells it.
fn register(width: Width, reg: Reg) -> String {
    format!("{}{}", if width == Width::W64 { 'r' } else { 'w' }, reg.number())
}

fn source(width: Width, src: Src<Reg>) -> String {
    match src {
        Src::Reg(reg) => register(width, reg),
        Src::Imm(imm) => imm.to_string(),
    }
}

/// The instruction in LLVM's notation. It differs from the verifier's where that leaves out what it
/// prints elsewhere, or prints in hexadecimal.
fn assembly(insn: Insn) -> String {
    let sign = |off: i64| format!("{} {}", if off < 0 { '-' } else { '+' }, off.abs());
    match insn {
        Insn::Mov { width, dst, src } => format!("{} = {}", register(width, dst), source(width, src)),
        Insn::MovSx { size, dst, src } => {
            format!("r{} = ({})r{}", dst.number(), access(size, true), src.number())
        }
        Insn::Alu { op, width, dst, src } => {
            format!("{} {} {}", register(width, dst), op.symbol(), source(width, src))
        }
        Insn::Neg { width, dst } => format!("{0} = -{0}", register(width, dst)),
        Insn::Wide { dst, imm } => format!("r{} = {imm} ll", dst.number()),
        Insn::Load { size, signed, dst, base, off } => format!(
            "r{} = *({} *)(r{} {})",
            dst.number(),
            access(size, signed),
            base.number(),
            sign(off.into())
        ),
        Insn::Store { size, base, off, src } => format!(
            "*({} *)(r{} {}) = {}",
            access(size, false),
            base.number(),
            sign(off.into()),
            // A register narrower than 8 bytes is spelled `w`, and encoded as the same register.
            source(if size.bytes() == 8 { Width::W64 } else { Width::W32 }, src)
        ),
        Insn::Call(Callee::Helper(id)) => format!("call {id}"),
        // What a loader fills in has no spelling: only these forms are compared by hand below.
        Insn::Call(Callee::Unresolved | Callee::Kfunc(_) | Callee::Local(_)) => String::new(),
        Insn::JumpIf { cond, width, a, b, off } => {
            let (a, b) = (register(width, a), source(width, b));
            format!("if {a} {} {b} goto {off:+}", cond_symbol(cond))
        }
        Insn::Jump { off } => format!("goto {off:+}"),
        // No instruction of the kernel's: its fields are compared by hand below.
        Insn::Mark { .. } => String::new(),
        // LLVM writes long offsets only for labels; its disassembler reads them, see below.
        Insn::JumpLong { off } if i16::try_from(off).is_err() => String::new(),
        Insn::JumpLong { off } => format!("gotol {off:+}"),
        Insn::Exit => "exit".into(),
    }
}

/// What LLVM makes of a text.
fn llvm(mode: &str, text: String) -> String {
    let args = ["-triple=bpfel", "-mcpu=v4", mode];
    let child = Command::new(ASSEMBLER)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{ASSEMBLER}: {error}; install the package llvm-19"));
    let mut stdin = child.stdin.take().unwrap();
    // Written beside the reading, or both would wait for each other.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{ASSEMBLER} refuses: {}",
        stderr.lines().take(12).collect::<Vec<_>>().join("\n")
    );
    stdout.into_owned()
}

/// Assembles lines; gives the bytes of each.
fn assemble(lines: &[String]) -> Vec<Vec<u8>> {
    llvm("-show-encoding", lines.join("\n") + "\n")
        .lines()
        .filter_map(|line| line.split_once("encoding: ["))
        .map(|(_, bytes)| {
            let bytes = bytes.split_once(']').unwrap().0.split(',');
            bytes.map(|byte| u8::from_str_radix(byte.trim_start_matches("0x"), 16).unwrap()).collect()
        })
        .collect()
}

#[test]
fn every_form_is_encoded_as_llvm_does() {
    let insns: Vec<Insn> =
        Insn::every_form().into_iter().filter(|insn| !assembly(*insn).is_empty()).collect();
    assert!(insns.len() > 1000, "{} forms", insns.len());
    let lines: Vec<String> = insns.iter().map(|insn| assembly(*insn)).collect();
    let encodings = assemble(&lines);
    assert_eq!(encodings.len(), insns.len(), "one encoding for each line");
    let mut wrong = Vec::new();
    for ((insn, line), wanted) in insns.iter().zip(&lines).zip(encodings) {
        let (first, second) = insn.encode();
        let found: Vec<u8> = core::iter::once(first).chain(second).flat_map(u64::to_le_bytes).collect();
        if found != wanted {
            wrong.push(format!("{line}: {found:02x?}, should be {wanted:02x?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), insns.len(), wrong.join("\n"));
}

#[test]
fn long_jumps_are_read_by_llvm() {
    for off in [40_000, -40_000, i32::MAX, i32::MIN] {
        let bytes = Insn::JumpLong { off }.encode().0.to_le_bytes();
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#x}")).collect();
        let text = llvm("-disassemble", bytes.join(" "));
        let wanted = format!("gotol {off:+}");
        assert!(text.lines().any(|line| line.trim() == wanted), "{wanted}: {text}");
    }
}

/// `include/uapi/linux/bpf.h`, 6.12: `BPF_PSEUDO_CALL` 1, `BPF_PSEUDO_KFUNC_CALL` 2 in `src_reg`.
#[test]
fn calls_of_functions_are_marked() {
    let call = |callee| Insn::Call(callee).encode().0.to_le_bytes();
    assert_eq!(call(Callee::Unresolved), [0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(call(Callee::Kfunc(0x0102_0304)), [0x85, 0x20, 0, 0, 4, 3, 2, 1]);
    assert_eq!(call(Callee::Local(-0x0102_0304)), [0x85, 0x10, 0, 0, 0xfc, 0xfc, 0xfd, 0xfe]);
}

/// `goto +0` (`BPF_JMP | BPF_JA` is 5), with what must be 0 in a program for the kernel: the point and 1 in `imm`,
/// the object's register in `dst_reg`, and 1 in `src_reg` if there is one.
#[test]
fn marks_are_jumps_that_the_kernel_refuses() {
    let mark = |point, object| Insn::Mark { point, object }.encode().0.to_le_bytes();
    assert_eq!(mark(0, None), [0x05, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(mark(0x0102_0303, Reg::new(7)), [0x05, 0x17, 0, 0, 4, 3, 2, 1]);
    assert_eq!(mark(2, Reg::new(0)), [0x05, 0x10, 0, 0, 3, 0, 0, 0]);
}

/// The list of forms has every operator, and both kinds of second operand.
#[test]
fn the_list_of_forms_is_complete() {
    let forms = Insn::every_form();
    for op in AluOp::ALL {
        let of = |reg: bool| {
            forms.iter().any(|insn| {
                matches!(insn, Insn::Alu { op: found, src, .. } if found == op && matches!(src, Src::Reg(_)) == reg)
            })
        };
        assert!(of(true) && of(false), "{op:?}");
    }
    for cond in oomc_compiler::ir::Cond::ALL {
        let found = |insn: &Insn| matches!(insn, Insn::JumpIf { cond: found, .. } if found == cond);
        assert!(forms.iter().any(found), "{cond:?}");
    }
}
