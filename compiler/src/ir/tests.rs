//! Broken functions and what the verifier says of them; the graph; the text.

use oomc_abi::kfuncs;

use super::cfg::Cfg;
use super::verify::verify;
use super::{
    BinOp, Block, BlockCall, Builder, Cond, Function, Global, GlobalData, InstData, Operand, Size, StackSlot,
    Type, Value, write,
};

/// A function whose entry is open; the body must end it.
fn build(body: impl FnOnce(&mut Builder<'_>)) -> Function {
    let mut func = Function::new("test");
    func.globals.push(GlobalData {
        name: "strings".into(),
        section: ".rodata".into(),
        members: Vec::new(),
        data: vec![0; 8],
        read_only: true,
    });
    let mut b = Builder::new(&mut func);
    let entry = b.create_block();
    b.switch_to(entry);
    body(&mut b);
    func
}

/// Asserts that the verifier has exactly this to say.
#[track_caller]
fn refused(func: &Function, wanted: &[&str]) {
    let errors: Vec<String> = match verify(func) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(errors, wanted, "{}", write::write(func));
}

fn imm(b: &mut Builder<'_>, imm: i64) -> Value {
    b.value(InstData::Iconst(imm), Type::I64)
}

fn ptr(b: &mut Builder<'_>) -> Value {
    b.value(InstData::LoadCtx(0), Type::Ptr)
}

fn ret(b: &mut Builder<'_>) {
    b.effect(InstData::Return(Operand::Imm(0)));
}

#[test]
fn a_function_has_an_entry() {
    refused(&Function::new("empty"), &["block0: the function has no entry block"]);
}

#[test]
fn the_entry_has_no_parameters_and_nobody_jumps_to_it() {
    let func = build(|b| {
        let entry = Block::from_u32(0);
        b.block_param(entry, Type::I64);
        let arg = imm(b, 1);
        b.jump(entry, &[arg]);
    });
    refused(
        &func,
        &[
            "block0: the entry block has parameters",
            "block0: `jump block0(v1)`: the entry block is jumped to",
        ],
    );
}

#[test]
fn a_block_has_one_terminator_at_its_end() {
    let mut func = build(|b| {
        imm(b, 1);
        ret(b);
    });
    func.blocks[Block::from_u32(0)].insts.reverse();
    refused(
        &func,
        &[
            "block0: `return 0`: a terminator in the middle of a block",
            "block0: `v0 = iconst 1`: the block has no terminator",
        ],
    );
    let func = build(|b| {
        let next = b.create_block();
        b.jump(next, &[]);
        b.switch_to(next);
    });
    refused(&func, &["block1: the block is empty"]);
}

#[test]
fn targets_are_placed() {
    let func = build(|b| {
        let nowhere = b.create_block();
        b.jump(nowhere, &[]);
    });
    refused(&func, &["block0: `jump block1`: block1 is not placed"]);
}

#[test]
fn a_value_is_defined_once_and_before_its_use() {
    let mut func = build(|b| {
        let x = imm(b, 1);
        b.value(InstData::Binary(BinOp::Add, x, Operand::Imm(1)), Type::I64);
        ret(b);
    });
    func.blocks[Block::from_u32(0)].insts.swap(0, 1);
    refused(&func, &["block0: `v1 = add v0, 1`: the definition of v0 does not dominate this use"]);
    func.blocks[Block::from_u32(0)].insts.swap(0, 1);
    let second = func.blocks[Block::from_u32(0)].insts.get(1).copied().expect("two instructions");
    func.results[second] = Some(Value::from_u32(0));
    refused(&func, &["block0: `v0 = add v0, 1`: v0 is defined twice"]);
}

#[test]
fn a_value_of_one_way_is_unknown_where_ways_meet() {
    let func = build(|b| {
        let (yes, join) = (b.create_block(), b.create_block());
        let cond = imm(b, 1);
        b.branch(Cond::Eq, cond, Operand::Imm(0), yes, join);
        b.switch_to(yes);
        let inner = imm(b, 2);
        b.jump(join, &[]);
        b.switch_to(join);
        b.effect(InstData::Return(Operand::Value(inner)));
    });
    refused(&func, &["block2: `return v1`: the definition of v1 does not dominate this use"]);
}

#[test]
fn arguments_match_parameters() {
    let func = build(|b| {
        let next = b.create_block();
        b.block_param(next, Type::Ptr);
        let x = imm(b, 1);
        b.effect(InstData::Branch {
            cond: Cond::Eq,
            a: x,
            b: Operand::Imm(0),
            then: BlockCall { block: next, args: vec![x] },
            otherwise: BlockCall { block: next, args: vec![] },
        });
        b.switch_to(next);
        ret(b);
    });
    let text = "block0: `br eq v1, 0, block1(v1), block1`";
    let wanted =
        [format!("{text}: v1 has not the type of v0"), format!("{text}: block1 takes 1 arguments, 0 given")];
    refused(&func, &[&wanted[0], &wanted[1]]);
}

#[test]
fn pointers_are_no_numbers() {
    let func = build(|b| {
        let (p, x) = (ptr(b), imm(b, 1));
        b.value(InstData::Binary(BinOp::Add, p, Operand::Imm(8)), Type::I64);
        b.value(InstData::Load { size: Size::B8, ptr: x, offset: 0 }, Type::I64);
        b.value(InstData::Iconst(5), Type::Ptr);
        b.value(InstData::PtrAdd(p, p), Type::Ptr);
        b.effect(InstData::Return(Operand::Value(p)));
    });
    refused(
        &func,
        &[
            "block0: `v2 = add v0, 8`: v0 is not a number",
            "block0: `v3 = load64 v1+0`: v1 is not a pointer",
            "block0: `v4 = iconst 5`: a constant is a number, or the null pointer",
            "block0: `v5 = ptr.add v0, v0`: v0 is not a number",
            "block0: `return v0`: v0 is not a number",
        ],
    );
}

#[test]
fn pointers_are_compared_for_equality_only() {
    for (cond, other, wanted) in [
        (Cond::Eq, Operand::Imm(0), None),
        (Cond::Ne, Operand::Imm(7), Some("a pointer is only compared with 0, for equality")),
        (Cond::Ult, Operand::Imm(0), Some("a pointer is only compared with 0, for equality")),
    ] {
        let func = build(|b| {
            let (p, next, other_way) = (ptr(b), b.create_block(), b.create_block());
            b.branch(cond, p, other, next, other_way);
            b.switch_to(next);
            ret(b);
            b.switch_to(other_way);
            ret(b);
        });
        let found = verify(&func).err().and_then(|errors| errors.first().map(|error| error.message.clone()));
        assert_eq!(found.as_deref(), wanted, "{cond:?}");
    }
}

#[test]
fn calls_follow_the_table() {
    let func = build(|b| {
        let x = imm(b, 1);
        b.value(InstData::Call { kfunc: kfuncs::MEM_CGROUP_PAGE_STATE, args: vec![x] }, Type::Ptr);
        b.value(InstData::Call { kfunc: kfuncs::RCU_READ_LOCK, args: vec![] }, Type::I64);
        // Nobody reads it: no result is needed.
        b.effect(InstData::Call { kfunc: kfuncs::GET_ROOT_MEM_CGROUP, args: vec![] });
        ret(b);
    });
    refused(
        &func,
        &[
            "block0: `v1 = call bpf_mem_cgroup_page_state(v0)`: 2 arguments expected, 1 given",
            "block0: `v1 = call bpf_mem_cgroup_page_state(v0)`: the result should be Some(I64), is Some(Ptr)",
            "block0: `v2 = call bpf_rcu_read_lock()`: the result should be None, is Some(I64)",
        ],
    );
}

#[test]
fn references_exist_and_lie_inside() {
    let func = build(|b| {
        let global = Global::from_u32(0);
        b.value(InstData::GlobalAddr { global, offset: 8 }, Type::Ptr);
        b.value(InstData::StackAddr(StackSlot::from_u32(0)), Type::Ptr);
        let strings = b.value(InstData::GlobalAddr { global, offset: 0 }, Type::Ptr);
        b.effect(InstData::Store { size: Size::B1, ptr: strings, offset: 0, value: Operand::Imm(1) });
        ret(b);
    });
    refused(
        &func,
        &[
            "block0: `v0 = global.addr gl0+8    ; strings`: strings has 8 bytes",
            "block0: `v1 = stack.addr ss0`: it refers to what does not exist",
            "block0: `store8 v2+0, 1`: strings is read-only",
        ],
    );
}

/// Two nested loops: dominators against the definition, "every path from the entry goes through".
#[test]
fn dominators_are_on_every_path() {
    let func = build(|b| {
        let blocks: Vec<Block> = (0..6).map(|_| b.create_block()).collect();
        let [outer, inner, body, after, exit, dead] = blocks[..] else { panic!("six blocks") };
        let x = imm(b, 1);
        b.jump(outer, &[]);
        b.switch_to(outer);
        b.branch(Cond::Eq, x, Operand::Imm(0), exit, inner);
        b.switch_to(inner);
        b.branch(Cond::Eq, x, Operand::Imm(1), body, after);
        b.switch_to(body);
        b.branch(Cond::Eq, x, Operand::Imm(2), inner, exit);
        b.switch_to(after);
        b.jump(outer, &[]);
        b.switch_to(exit);
        ret(b);
        b.switch_to(dead);
        b.jump(exit, &[]);
    });
    let cfg = Cfg::new(&func);
    assert!(!cfg.is_reachable(Block::from_u32(6)));
    let reaches_without = |by: Block, to: Block| {
        let mut seen = vec![by];
        let mut work = vec![Block::from_u32(0)];
        while let Some(block) = work.pop() {
            if !seen.contains(&block) {
                seen.push(block);
                work.extend(super::cfg::successors(&func, block));
            }
        }
        seen.iter().skip(1).any(|block| *block == to)
    };
    for by in (0..6).map(Block::from_u32) {
        for block in (0..6).map(Block::from_u32) {
            let wanted = by == block || !reaches_without(by, block);
            assert_eq!(cfg.dominates(by, block), wanted, "{by} {block}");
        }
    }
    let order: Vec<Block> = cfg.reverse_postorder().collect();
    assert_eq!(order.len(), 6);
    for (at, block) in order.iter().enumerate() {
        if let Some(idom) = cfg.immediate_dominator(*block) {
            assert!(order.iter().take(at).any(|before| *before == idom), "{idom} before {block}");
        }
    }
}
