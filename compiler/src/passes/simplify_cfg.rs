//! Makes the control-flow graph smaller.
//!
//! Drops unreachable blocks, decides branches whose ways are the same or whose outcome the edge already
//! tells, jumps past blocks that only jump on, joins a block with its only predecessor, drops parameters
//! that always get the same value.

use cranelift_entity::SecondaryMap;

use super::fold::holds;
use super::{Replace, incoming, retain_params, terminators};
use crate::ir::cfg;
use crate::ir::{Block, BlockCall, Function, Inst, InstData, Operand, Value};

/// Runs the pass.
pub fn run(func: &mut Function) -> bool {
    let mut changed = false;
    changed |= drop_unreachable(func);
    changed |= same_ways(func);
    changed |= thread(func);
    changed |= drop_unreachable(func);
    changed |= needless_params(func);
    changed |= join(func);
    changed
}

fn drop_unreachable(func: &mut Function) -> bool {
    let reachable = cfg::postorder(func);
    if reachable.len() == func.layout.len() {
        return false;
    }
    let mut kept: SecondaryMap<Block, bool> = SecondaryMap::new();
    reachable.into_iter().for_each(|block| kept[block] = true);
    func.layout.retain(|block| kept[*block]);
    true
}

/// Branches both of whose ways lead to the same place.
fn same_ways(func: &mut Function) -> bool {
    let mut changed = false;
    for at in 0..func.layout.len() {
        let Some(inst) = terminator(func, at) else { continue };
        if let InstData::Branch { then, otherwise, .. } = &func.insts[inst]
            && then == otherwise
        {
            func.insts[inst] = InstData::Jump(then.clone());
            changed = true;
        }
    }
    changed
}

/// The last instruction of a block by its position in the layout.
fn terminator(func: &Function, at: usize) -> Option<Inst> {
    func.blocks[*func.layout.get(at)?].insts.last().copied()
}

/// How often each value is read.
fn use_counts(func: &Function) -> SecondaryMap<Value, usize> {
    let mut counts = SecondaryMap::with_capacity(func.values.len());
    for inst in func.placed() {
        func.insts[inst].for_each_use(|value| counts[value] += 1);
    }
    counts
}

/// The number that a value is, if it is a constant.
fn constant(func: &Function, value: Value) -> Option<i64> {
    match func.def_inst(value) {
        Some(InstData::Iconst(imm)) => Some(*imm),
        _ => None,
    }
}

/// Leads each edge past blocks that decide nothing: that only jump on, or branch on what the edge tells.
fn thread(func: &mut Function) -> bool {
    let counts = use_counts(func);
    let mut changed = false;
    for at in 0..func.layout.len() {
        let Some(inst) = terminator(func, at) else { continue };
        // Few edges lead elsewhere: the instruction is copied only then.
        let ends: Vec<Option<BlockCall>> =
            func.insts[inst].targets().map(|call| end_of(func, call, &counts)).collect();
        for (call, end) in func.insts[inst].targets_mut().zip(ends) {
            if let Some(end) = end {
                *call = end;
                changed = true;
            }
        }
    }
    changed
}

/// Where an edge leads in the end, if that is elsewhere.
fn end_of(func: &Function, call: &BlockCall, counts: &SecondaryMap<Value, usize>) -> Option<BlockCall> {
    let mut end = onward(func, call, counts).filter(|next| next != call)?;
    // As many steps as blocks at most: an empty endless loop stays one.
    for _ in 1..func.layout.len() {
        match onward(func, &end, counts) {
            Some(next) if next != end => end = next,
            _ => break,
        }
    }
    Some(end)
}

/// Where an edge leads behind its target, if that only passes on.
fn onward(func: &Function, call: &BlockCall, counts: &SecondaryMap<Value, usize>) -> Option<BlockCall> {
    let block = &func.blocks[call.block];
    let [only] = block.insts.as_slice() else { return None };
    let data = &func.insts[*only];
    // Who reads a parameter after this block would miss it on the shorter way.
    let here = |param: Value| {
        let mut count = 0;
        data.for_each_use(|value| count += usize::from(value == param));
        count
    };
    if block.params.iter().any(|param| counts[*param] != here(*param)) {
        return None;
    }
    let argument = |value: Value| match block.params.iter().position(|param| *param == value) {
        Some(at) => call.args.get(at).copied(),
        None => Some(value),
    };
    let next = match data {
        InstData::Jump(next) => next,
        InstData::Branch { cond, a, b, then, otherwise } => {
            let a = constant(func, argument(*a)?)?;
            let b = match b {
                Operand::Imm(imm) => i64::from(*imm),
                Operand::Value(b) => constant(func, argument(*b)?)?,
            };
            if holds(*cond, a, b) { then } else { otherwise }
        }
        _ => return None,
    };
    let args = next.args.iter().map(|arg| argument(*arg)).collect::<Option<_>>()?;
    (next.block != call.block).then_some(BlockCall { block: next.block, args })
}

/// Parameters that get the same value on every edge, or only themselves besides.
fn needless_params(func: &mut Function) -> bool {
    let incoming = incoming(func);
    let mut replace = Replace::default();
    let mut needless: SecondaryMap<Value, bool> = SecondaryMap::new();
    let mut changed = false;
    for block in func.layout.clone() {
        for at in 0..func.blocks[block].params.len() {
            let Some(&param) = func.blocks[block].params.get(at) else { break };
            match given(func, block, at, &incoming[block], &replace) {
                Given::One(value) => replace.set(param, value),
                // The constants are made on different ways: make it anew where the ways meet.
                Given::Constant(imm) => make_constant(func, block, param, imm),
                Given::Several => continue,
            }
            needless[param] = true;
            changed = true;
        }
    }
    if changed {
        retain_params(func, |param| !needless[param]);
        replace.apply(func);
    }
    changed
}

/// What a parameter gets on the edges to its block.
enum Given {
    One(Value),
    Constant(i64),
    Several,
}

fn given(func: &Function, block: Block, at: usize, edges: &[Inst], replace: &Replace) -> Given {
    let Some(&param) = func.blocks[block].params.get(at) else { return Given::Several };
    let calls = edges.iter().flat_map(|inst| func.insts[*inst].targets()).filter(|call| call.block == block);
    let mut values =
        calls.filter_map(|call| call.args.get(at)).map(|arg| replace.get(*arg)).filter(|arg| *arg != param);
    let Some(first) = values.next() else { return Given::Several };
    let mut others = values.filter(|value| *value != first).peekable();
    if others.peek().is_none() {
        return Given::One(first);
    }
    match constant(func, first) {
        Some(imm) if others.all(|value| constant(func, value) == Some(imm)) => Given::Constant(imm),
        _ => Given::Several,
    }
}

/// Makes a value, which was a parameter, a constant at the start of its block.
fn make_constant(func: &mut Function, block: Block, value: Value, imm: i64) {
    let inst = func.insts.push(InstData::Iconst(imm));
    func.set_result(inst, value);
    if let Some(&first) = func.blocks[block].insts.first() {
        func.spans[inst] = func.spans[first];
    }
    func.blocks[block].insts.insert(0, inst);
}

/// Joins a block with the only block that jumps to it.
fn join(func: &mut Function) -> bool {
    let mut edges: SecondaryMap<Block, usize> = SecondaryMap::new();
    for inst in terminators(func) {
        func.insts[inst].targets().for_each(|call| edges[call.block] += 1);
    }
    let mut replace = Replace::default();
    let mut gone: SecondaryMap<Block, bool> = SecondaryMap::new();
    let mut changed = false;
    for at in 0..func.layout.len() {
        let Some(&block) = func.layout.get(at) else { break };
        // A chain of joins goes on from the first.
        while !gone[block] {
            let Some(&last) = func.blocks[block].insts.last() else { break };
            let InstData::Jump(call) = &func.insts[last] else { break };
            if call.block == block || edges[call.block] != 1 || gone[call.block] {
                break;
            }
            let next = core::mem::take(&mut func.blocks[call.block]);
            for (param, arg) in next.params.iter().zip(&call.args) {
                replace.set(*param, *arg);
            }
            gone[call.block] = true;
            let insts = &mut func.blocks[block].insts;
            insts.pop();
            insts.extend(next.insts);
            changed = true;
        }
    }
    if changed {
        func.layout.retain(|block| !gone[*block]);
        replace.apply(func);
    }
    changed
}
