//! Functions made by hand, and at random, compiled and run.

mod random;
mod run;

use oomc_abi::kfuncs;
use oomc_abi::resolve::KernelView;

use super::insn::{AluOp, Insn, Reg, Src, Width};
use super::regalloc::{Allocated, End, Placed};
use super::{Error, Program, RelocTarget, limits};
use crate::ir::{
    BinOp, Builder, Cond, Function, GlobalData, InstData, Operand, Size, Type, Value, verify::verify,
};
use crate::source::{Source, Span};
use run::{run_bpf, run_ir};

/// Builds a function whose first block is open.
fn build(body: impl FnOnce(&mut Builder<'_>)) -> Function {
    let mut func = Function::new("test");
    func.refs_mut().globals.push(GlobalData {
        name: "scratch".into(),
        section: ".bss.scratch".into(),
        members: Vec::new(),
        data: vec![0; 64],
        read_only: false,
    });
    let mut b = Builder::new(&mut func);
    let entry = b.create_block();
    b.switch_to(entry);
    body(&mut b);
    if let Err(errors) = verify(&func) {
        panic!("{errors:?}");
    }
    func
}

fn source() -> Source {
    Source::new("test.oom", "one\ntwo\nthree\n")
}

/// Compiles a function and checks that the code does what the IR says.
fn compile(func: &Function) -> Program {
    let view = KernelView::embedded();
    let program = super::compile(func, &source(), &view).expect("compiles");
    assert_eq!(run_bpf(&program), run_ir(func, &view), "{}", super::disasm::disassemble(&program, func));
    program
}

fn text(func: &Function) -> String {
    super::disasm::disassemble(&compile(func), func)
}

fn long(b: &mut Builder<'_>, at: i64) -> Value {
    let args = vec![imm(b, at), imm(b, at)];
    b.value(InstData::Call { kfunc: kfuncs::MEM_CGROUP_PAGE_STATE, args: args.into() }, Type::I64)
}

fn imm(b: &mut Builder<'_>, imm: i64) -> Value {
    b.value(InstData::Iconst(imm), Type::I64)
}

fn add(b: &mut Builder<'_>, x: Value, y: Value) -> Value {
    b.value(InstData::Binary(BinOp::Add, x, Operand::Value(y)), Type::I64)
}

fn ret(b: &mut Builder<'_>, value: Value) {
    b.effect(InstData::Return(Operand::Value(value)));
}

#[test]
fn a_loop_carries_its_parameters() {
    let func = build(|b| {
        let (head, body, done) = (b.create_block(), b.create_block(), b.create_block());
        let (count, first, second) =
            (b.block_param(head, Type::I64), b.block_param(head, Type::I64), b.block_param(head, Type::I64));
        let start = [imm(b, 5), imm(b, 1), imm(b, 1_000_000_000_000)];
        b.jump(head, &start);
        b.switch_to(head);
        b.branch(Cond::Ne, count, Operand::Imm(0), body, done);
        b.switch_to(body);
        let less = b.value(InstData::Binary(BinOp::Sub, count, Operand::Imm(1)), Type::I64);
        let sum = add(b, first, second);
        // They change places: a parallel move with a cycle.
        b.jump(head, &[less, second, sum]);
        b.switch_to(done);
        let result = b.value(InstData::Binary(BinOp::Sub, first, Operand::Value(second)), Type::I64);
        ret(b, result);
    });
    compile(&func);
}

#[test]
fn more_values_than_survivors_are_spilled() {
    let func = build(|b| {
        let values: Vec<Value> = (0..12).map(|at| long(b, at)).collect();
        let sum = values.into_iter().reduce(|x, y| add(b, x, y)).expect("twelve values");
        ret(b, sum);
    });
    let program = compile(&func);
    // Eleven live across the last call, four of them in R6–R9.
    assert!((56..=64).contains(&program.frame_size), "{}", program.frame_size);
    assert_eq!(program.frame_size % 8, 0);
}

#[test]
fn too_much_stack_is_an_error_with_facts() {
    let func = build(|b| {
        let slot = b.slot(520);
        let ptr = b.value(InstData::StackAddr(slot), Type::Ptr);
        b.effect(InstData::Store { size: Size::B8, ptr, offset: 0, value: Operand::Imm(1) });
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let error = super::compile(&func, &source(), &KernelView::embedded()).expect_err("too large");
    assert_eq!(error, Error::Stack { slots: 520, spills: 0 });
    assert!(error.to_string().contains("520 bytes"), "{error}");
}

#[test]
fn what_cannot_fit_is_refused_before_registers_are_allocated() {
    let func = build(|b| {
        let slot = b.slot(8);
        let ptr = b.value(InstData::StackAddr(slot), Type::Ptr);
        for _ in 0..limits::INSTRUCTIONS {
            b.effect(InstData::Store { size: Size::B8, ptr, offset: 0, value: Operand::Imm(1) });
        }
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let mut module = crate::ir::Module::from(func);
    let error = super::compile_all(&mut module, &source(), &KernelView::embedded()).expect_err("too long");
    // The code would have one more, which sets R0: what is known without it is enough.
    assert_eq!(error, Error::TooLong { instructions: limits::INSTRUCTIONS + 1 });
}

#[test]
fn what_an_int_result_leaves_undefined_is_not_read() {
    let func = build(|b| {
        let args = vec![imm(b, 1), imm(b, 2), imm(b, 3)];
        let result =
            b.value(InstData::Call { kfunc: kfuncs::ITER_NUM_NEW, args: args.clone().into() }, Type::I64);
        let again = b.value(InstData::Call { kfunc: kfuncs::ITER_NUM_NEW, args: args.into() }, Type::I64);
        let (yes, no) = (b.create_block(), b.create_block());
        b.branch(Cond::Slt, again, Operand::Imm(0), yes, no);
        b.switch_to(yes);
        ret(b, result);
        b.switch_to(no);
        b.effect(InstData::Return(Operand::Imm(7)));
    });
    let text = text(&func);
    assert!(text.contains("(s32)r"), "a number is extended:\n{text}");
    assert!(text.contains("if w"), "a comparison needs no extension:\n{text}");
}

#[test]
fn a_member_is_read_with_its_size_and_sign() {
    let func = build(|b| {
        let ptr = b.value(InstData::LoadCtx(0), Type::Ptr);
        let order = b.field("oom_control", "order");
        let adj = b.field("signal_struct", "oom_score_adj");
        let flags = b.field("task_struct", "flags");
        let loads = [order, adj, flags].map(|field| b.value(InstData::LoadField { ptr, field }, Type::I64));
        let sum = loads.into_iter().reduce(|x, y| add(b, x, y)).expect("three");
        ret(b, sum);
    });
    let text = text(&func);
    for wanted in ["*(s32 *)", "*(s16 *)", "*(u32 *)", "; oom_control.order", "; task_struct.flags"] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
}

/// Code of which `gap` places lie between a branch and its target, and between a jump back and its own:
/// rounds of `gap` increments of R2 with R1 counting down from 3, until the condition holds; R2 is returned.
fn far(cond: Cond, imm: i32, gap: usize) -> Program {
    let reg = |number| Reg::new(number).expect("a register");
    let place = |insn| Placed { insn, span: Span::default(), reloc: None, core: None };
    let set = |dst, imm| place(Insn::Mov { width: Width::W64, dst, src: Src::Imm(imm) });
    let add = |dst, imm| place(Insn::Alu { op: AluOp::Add, width: Width::W64, dst, src: Src::Imm(imm) });
    let (r0, r1, r2) = (reg(0), reg(1), reg(2));
    let block = |body, end| Allocated { body, end, end_span: Span::default() };
    let mut body = vec![add(r2, 1); gap];
    body.push(add(r1, -1));
    let (a, b, width) = (r1, Src::Imm(imm), Width::W64);
    let result = Placed { insn: Insn::Mov { width, dst: r0, src: Src::Reg(r2) }, ..set(r0, 0) };
    let blocks = vec![
        block(vec![set(r1, 3), set(r2, 0)], End::Jump(1)),
        block(Vec::new(), End::Branch { cond, width, a, b, then: 3, otherwise: 2 }),
        block(body, End::Jump(1)),
        block(vec![result], End::Exit),
    ];
    super::emit::emit("far", &blocks, &source()).expect("short enough")
}

#[test]
fn jumps_reach_where_they_should_at_every_distance() {
    for (gap, long) in [(10, 0), (32_760, 0), (32_765, 0), (32_766, 2), (32_767, 2), (40_000, 2)] {
        // R1 is 0 after 3 rounds and negative after 4; there is no inverse of the second condition.
        for (cond, imm, rounds) in [(Cond::Eq, 0, 3), (Cond::Test, i32::MIN, 4)] {
            let program = far(cond, imm, gap);
            assert_eq!(run_bpf(&program).result, rounds * gap as u64, "{cond:?} {gap}");
            let found = program.code.iter().filter(|raw| **raw & 0xff == 0x06).count();
            assert_eq!(found, long, "{cond:?} {gap}");
        }
    }
}

#[test]
fn lines_start_at_0_and_never_inside_a_wide_load() {
    let func = build(|b| {
        let global = crate::ir::Global::from_u32(0);
        for (start, offset) in [(0, 0), (4, 8), (4, 16), (8, 24), (0, 32)] {
            b.set_span(Span { start, end: start + 1 });
            let (wide, ptr) = (imm(b, 1 << 40), b.value(InstData::GlobalAddr { global, offset }, Type::Ptr));
            b.effect(InstData::Store { size: Size::B8, ptr, offset: 0, value: Operand::Value(wide) });
        }
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let program = compile(&func);
    let lines: Vec<u32> = program.lines.iter().map(|line| line.line).collect();
    assert_eq!(lines, [1, 2, 3, 1]);
    assert_eq!(program.lines[0].insn, 0);
    assert!(program.lines.is_sorted_by(|a, b| a.insn < b.insn));
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(insn) = program.code.get(at..).and_then(Insn::decode) {
        starts.push(at as u32);
        at += insn.places() as usize;
    }
    assert_eq!(at, program.code.len());
    assert!(program.lines.iter().all(|line| starts.contains(&line.insn)));
    assert!(program.relocs.iter().all(|reloc| starts.contains(&reloc.insn)));
}

#[test]
fn relocations_are_where_the_symbols_are() {
    let func = build(|b| {
        let ksym = b.ksym("_totalram_pages");
        let ptr = b.value(InstData::KsymAddr(ksym), Type::Ptr);
        let there = b.create_block();
        let absent = b.create_block();
        b.branch(Cond::Ne, ptr, Operand::Imm(0), there, absent);
        b.switch_to(there);
        let value = long(b, 1);
        ret(b, value);
        b.switch_to(absent);
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let program = compile(&func);
    let [ksym, kfunc] = program.relocs.as_slice() else { panic!("{:?}", program.relocs) };
    assert!(matches!(ksym.target, RelocTarget::Ksym(_)));
    assert_eq!(program.code[ksym.insn as usize] & 0xff, 0x18);
    assert_eq!(kfunc.target, RelocTarget::Kfunc(kfuncs::MEM_CGROUP_PAGE_STATE));
    assert_eq!(program.code[kfunc.insn as usize], 0xffff_ffff_0000_1085);
}

#[test]
fn dead_places_are_cleared_where_an_iterator_goes_on() {
    let func = build(|b| {
        let slot = b.slot(8);
        let (head, body, done) = (b.create_block(), b.create_block(), b.create_block());
        b.jump(head, &[]);
        b.switch_to(head);
        let it = b.value(InstData::StackAddr(slot), Type::Ptr);
        let ptr = b.value(InstData::Call { kfunc: kfuncs::ITER_NUM_NEXT, args: vec![it].into() }, Type::Ptr);
        b.branch(Cond::Eq, ptr, Operand::Imm(0), done, body);
        b.switch_to(body);
        let a = b.value(InstData::Load { size: Size::B4, ptr, offset: 0 }, Type::I64);
        let c = b.value(InstData::Load { size: Size::B4, ptr, offset: 4 }, Type::I64);
        let d = b.value(InstData::Load { size: Size::B4, ptr, offset: 8 }, Type::I64);
        let more = b.create_block();
        b.branch(Cond::Ult, a, Operand::Value(c), head, more);
        b.switch_to(more);
        b.branch(Cond::Ult, c, Operand::Value(d), head, done);
        b.switch_to(done);
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let program = super::compile(&func, &source(), &KernelView::embedded()).expect("compiles");
    let text = super::disasm::disassemble(&program, &func);
    let before = text.split("call bpf_iter_num_next").next().expect("the call");
    // The second operand of the comparison is dead in the next round, and no longer known there.
    let cleared = before.matches("= 0\n").count();
    assert!(cleared >= 2, "{text}");
}

/// Registers that were allocated to a function serve another one that is like it, and no other one.
#[test]
fn a_module_is_compiled_as_its_functions_are_alone() {
    let rule = |at: usize| match at % 12 {
        // A number that no instruction holds makes the last groups unlike the others.
        3 if at > 100 => format!("kill largest in subtree where rss > {at}TiB\n"),
        7 => format!("if cgroup.usage > {at}MiB then raise_limit 1MiB up to 10GiB\n"),
        _ => format!("kill largest in subtree where comm == \"n{at}\"\n"),
    };
    let (text, view) = ((0..160).map(rule).collect::<String>(), KernelView::embedded());
    let source = Source::new("large.oom", text.as_str());
    let checked = crate::check(&source, &view);
    let mut sink = crate::diag::Sink::default();
    let lowered = checked.plan().and_then(|planned| planned.lower(&mut sink)).expect("IR");
    let mut module = lowered.module().clone();
    crate::passes::run_all(&mut module);
    let alone: Vec<Vec<u64>> = module
        .functions
        .iter()
        .map(|func| super::compile(func, &source, &view).expect("compiles").code)
        .collect();
    let together = super::compile_all(&mut module, &source, &view).expect("compiles");
    assert!(together.len() > 20 && together.into_iter().map(|program| program.code).eq(alone));
}

#[test]
fn frames_of_functions_that_call_each_other_fit_together() {
    let module = |bytes: u32| {
        let body = "v0 = stack.addr ss0\n    store64 v0+0, 1\n";
        let text = format!(
            "function %on_oom {{\n    fn0 = function %f\n    ss0 = stack 200\nblock0:\n    {body}    \
             v1 = call fn0()\n    return v1\n}}\nfunction %f {{\n    ss0 = stack {bytes}\nblock0:\n    \
             {body}    return 0\n}}\n"
        );
        let mut module = crate::ir::read::read(&text).expect("IR");
        super::compile_all(&mut module, &source(), &KernelView::embedded()).map(|programs| programs.len())
    };
    // 200 bytes count as 208.
    assert_eq!(module(304), Ok(2));
    assert_eq!(module(312), Err(Error::Chain { bytes: 528 }));
}
