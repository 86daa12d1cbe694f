//! What each pass does and what it leaves alone. That none changes a meaning is shown by the random
//! functions of the back end's tests.

use crate::ir::{
    BinOp, BlockCall, Builder, Cond, Function, InstData, Operand, Size, Type, Value, verify::verify, write,
};

fn build(body: impl FnOnce(&mut Builder<'_>)) -> Function {
    let mut func = Function::new("test");
    let mut b = Builder::new(&mut func);
    let entry = b.create_block();
    b.switch_to(entry);
    body(&mut b);
    if let Err(errors) = verify(&func) {
        panic!("{errors:?}");
    }
    func
}

/// The instructions that are left, block heads included, without the function's header.
fn optimised(mut func: Function) -> String {
    super::run(&mut func);
    let text = write::write(&func);
    let body = text.split_once("block0:\n").expect("an entry").1.trim_end_matches("}\n");
    body.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn imm(b: &mut Builder<'_>, imm: i64) -> Value {
    b.value(InstData::Iconst(imm), Type::I64)
}

fn binary(b: &mut Builder<'_>, op: BinOp, x: Value, y: i32) -> Value {
    b.value(InstData::Binary(op, x, Operand::Imm(y)), Type::I64)
}

fn number(b: &mut Builder<'_>) -> Value {
    let (ptr, field) = (b.value(InstData::LoadCtx(0), Type::Ptr), b.field("oom_control", "order"));
    b.value(InstData::LoadField { ptr, field }, Type::I64)
}

fn ret(b: &mut Builder<'_>, value: Value) {
    b.effect(InstData::Return(Operand::Value(value)));
}

#[test]
fn constants_are_computed() {
    let func = build(|b| {
        let x = imm(b, 6);
        let y = binary(b, BinOp::Mul, x, 7);
        ret(b, y);
    });
    assert_eq!(optimised(func), "return 42");
}

#[test]
fn identities_and_powers_of_two() {
    let func = build(|b| {
        let x = number(b);
        let x = binary(b, BinOp::Add, x, 0);
        let x = binary(b, BinOp::Mul, x, 4096);
        let x = binary(b, BinOp::Udiv, x, 8);
        let x = binary(b, BinOp::Umod, x, 16);
        let x = binary(b, BinOp::Add, x, 3);
        let x = binary(b, BinOp::Sub, x, 1);
        ret(b, x);
    });
    let text = optimised(func);
    let ops: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(ops, ["v3 = shl v1, 12", "v4 = ushr v3, 3", "v5 = and v4, 15", "v7 = add v5, 2", "return v7"]);
}

#[test]
fn what_only_the_target_knows_is_not_folded() {
    let func = build(|b| {
        let field = b.field("oom_control", "order");
        let exists = b.value(InstData::FieldExists(field), Type::I64);
        let enumerator = b.enumerator("cgroup_bpf_attach_type", "CGROUP_OOM_OPS");
        let other = b.value(InstData::EnumExists(enumerator), Type::I64);
        let both = b.value(InstData::Binary(BinOp::And, exists, Operand::Value(other)), Type::I64);
        let (yes, no) = (b.create_block(), b.create_block());
        b.branch(Cond::Ne, both, Operand::Imm(0), yes, no);
        b.switch_to(yes);
        b.effect(InstData::Return(Operand::Imm(1)));
        b.switch_to(no);
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let text = optimised(func);
    assert!(
        text.contains("field.exists") && text.contains("enum.exists") && text.contains("br ne"),
        "{text}"
    );
}

#[test]
fn dead_loads_go_and_effects_stay() {
    let func = build(|b| {
        let slot = b.slot(8);
        let ptr = b.value(InstData::StackAddr(slot), Type::Ptr);
        b.value(InstData::Load { size: Size::B8, ptr, offset: 0 }, Type::I64);
        b.effect(InstData::Store { size: Size::B8, ptr, offset: 0, value: Operand::Imm(1) });
        number(b);
        b.value(
            InstData::Call { kfunc: oomc_abi::kfuncs::GET_ROOT_MEM_CGROUP, args: vec![].into() },
            Type::Ptr,
        );
        b.effect(InstData::Return(Operand::Imm(0)));
    });
    let wanted = "v0 = stack.addr ss0\nstore64 v0+0, 1\nv4 = call bpf_get_root_mem_cgroup()\nreturn 0";
    assert_eq!(optimised(func), wanted);
}

#[test]
fn a_parameter_that_only_circles_goes() {
    let func = build(|b| {
        let (head, body, done) = (b.create_block(), b.create_block(), b.create_block());
        let (same, unread) = (b.block_param(head, Type::I64), b.block_param(head, Type::I64));
        let (x, y) = (number(b), imm(b, 1));
        b.jump(head, &[x, y]);
        b.switch_to(head);
        b.branch(Cond::Sgt, same, Operand::Imm(5), body, done);
        b.switch_to(body);
        let more = binary(b, BinOp::Add, unread, 1);
        b.jump(head, &[same, more]);
        b.switch_to(done);
        ret(b, same);
    });
    let text = optimised(func);
    assert!(!text.contains('('), "no parameters are left:\n{text}");
    assert!(!text.contains("add"), "nobody reads the counter:\n{text}");
}

#[test]
fn an_edge_that_tells_the_outcome_goes_past_the_branch() {
    let func = build(|b| {
        let (yes, no, join) = (b.create_block(), b.create_block(), b.create_block());
        let (first, second) = (b.create_block(), b.create_block());
        let truth = b.block_param(join, Type::I64);
        let x = number(b);
        b.branch(Cond::Eq, x, Operand::Imm(3), yes, no);
        for (block, outcome) in [(yes, 1), (no, 0)] {
            b.switch_to(block);
            let outcome = imm(b, outcome);
            b.jump(join, &[outcome]);
        }
        b.switch_to(join);
        b.branch(Cond::Ne, truth, Operand::Imm(0), first, second);
        b.switch_to(first);
        b.effect(InstData::Return(Operand::Imm(10)));
        b.switch_to(second);
        b.effect(InstData::Return(Operand::Imm(20)));
    });
    let text = optimised(func);
    assert_eq!(text.matches("br ").count(), 1, "{text}");
}

#[test]
fn an_endless_loop_stays() {
    let func = build(|b| {
        let (a, c) = (b.create_block(), b.create_block());
        b.jump(a, &[]);
        b.switch_to(a);
        b.jump(c, &[]);
        b.switch_to(c);
        b.jump(a, &[]);
    });
    let text = optimised(func);
    assert!(text.contains("jump"), "{text}");
}

#[test]
fn ways_that_are_the_same_are_one() {
    let func = build(|b| {
        let next = b.create_block();
        let param = b.block_param(next, Type::I64);
        let (x, y, z) = (number(b), imm(b, 4), imm(b, 4));
        let call = |arg| BlockCall { block: next, args: vec![arg].into() };
        b.effect(InstData::Branch {
            cond: Cond::Eq,
            a: x,
            b: Operand::Imm(1),
            then: call(y),
            otherwise: call(z),
        });
        b.switch_to(next);
        ret(b, param);
    });
    assert_eq!(optimised(func), "return 4");
}

/// A loader takes only what is called, and the kernel wants as many descriptions of functions as there are functions.
#[test]
fn functions_that_nobody_calls_are_dropped() {
    let text = "function %callback {\n    fn0 = function %judge(number)\nblock0:\n    v0 = iconst 5\n    \
                v1 = call fn0(v0)\n    return 0\n}\nfunction %judge(number) {\nblock0:\n    return 1\n}\n";
    let module = crate::ir::read::read(text).expect("a module");
    let names = |module: &crate::ir::Module| {
        module.functions.iter().map(|func| func.name.clone()).collect::<Vec<_>>()
    };
    let mut kept = module.clone();
    super::drop_uncalled::run(&mut kept);
    assert_eq!(names(&kept), names(&module));
    // Without its calls the callback stands alone.
    let mut alone = module.clone();
    let callback = &mut alone.functions[0];
    for block in callback.layout.clone() {
        let insts = core::mem::take(&mut callback.blocks[block].insts);
        let is_call = |inst: &crate::ir::Inst| matches!(callback.insts[*inst], InstData::CallFunc { .. });
        callback.blocks[block].insts = insts.into_iter().filter(|inst| !is_call(inst)).collect();
    }
    super::drop_uncalled::run(&mut alone);
    assert_eq!(names(&alone), names(&module)[..1]);
    assert!(alone.refs().functions.is_empty());
}
