//! Broken functions and what the verifier says of them; the graph; the text, written and read.

use oomc_abi::kfuncs;

use super::cfg::{Cfg, Dominators};
use super::{
    BinOp, Block, BlockCall, Builder, Cond, Function, Global, GlobalData, InstData, Operand, Size, StackSlot,
    Type, Value, read, verify, write,
};

/// A function whose entry is open; the body must end it.
fn build(body: impl FnOnce(&mut Builder<'_>)) -> Function {
    let mut func = Function::new("test");
    func.refs_mut().globals.push(GlobalData {
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
    let errors: Vec<String> = match verify::verify(func) {
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
            then: BlockCall { block: next, args: vec![x].into() },
            otherwise: BlockCall { block: next, args: vec![].into() },
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
            "block0: `v4: ptr = iconst 5`: a constant is a number, or the null pointer",
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
        let found =
            verify::verify(&func).err().and_then(|errors| errors.first().map(|error| error.message.clone()));
        assert_eq!(found.as_deref(), wanted, "{cond:?}");
    }
}

#[test]
fn a_mark_has_an_object_or_none_and_a_number_that_fits() {
    let func = build(|b| {
        let (number, object) = (imm(b, 1), ptr(b));
        b.effect(InstData::Mark { point: 0, object: None });
        b.effect(InstData::Mark { point: i32::MAX as u32 - 1, object: Some(object) });
        b.effect(InstData::Mark { point: 1, object: Some(number) });
        b.effect(InstData::Mark { point: i32::MAX as u32, object: None });
        ret(b);
    });
    refused(
        &func,
        &[
            "block0: `mark 1, v0`: v0 is not a pointer",
            "block0: `mark 2147483647`: the points end at 2147483647",
        ],
    );
}

#[test]
fn calls_follow_the_table() {
    let func = build(|b| {
        let x = imm(b, 1);
        b.value(InstData::Call { kfunc: kfuncs::MEM_CGROUP_PAGE_STATE, args: vec![x].into() }, Type::Ptr);
        b.value(InstData::Call { kfunc: kfuncs::RCU_READ_LOCK, args: vec![].into() }, Type::I64);
        // Nobody reads it: no result is needed.
        b.effect(InstData::Call { kfunc: kfuncs::GET_ROOT_MEM_CGROUP, args: vec![].into() });
        ret(b);
    });
    refused(
        &func,
        &[
            "block0: `v1: ptr = call bpf_mem_cgroup_page_state(v0)`: 2 arguments expected, 1 given",
            "block0: `v1: ptr = call bpf_mem_cgroup_page_state(v0)`: the result should be Some(I64), is Some(Ptr)",
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
    let dominators = Dominators::new(&cfg, Block::from_u32(0));
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
            assert_eq!(dominators.dominates(by, block), wanted, "{by} {block}");
        }
    }
    let order: Vec<Block> = cfg.reverse_postorder().collect();
    assert_eq!(order.len(), 6);
    for (at, block) in order.iter().enumerate() {
        if let Some(idom) = dominators.immediate_dominator(*block) {
            assert!(order.iter().take(at).any(|before| *before == idom), "{idom} before {block}");
        }
    }
}

/// Every declaration and every operation, in two functions.
const EVERYTHING: &str = "\
function %on_oom {
    fd0 = oom_control.order
    fd1 = mm_struct.rss_stat[1].count
    en0 = enum node_stat_item.NR_ANON_MAPPED
    ty0 = type mem_cgroup
    ks0 = ksym _totalram_pages
    gl0 = .bss.stats stats, 16 bytes { invocations kills }
    gl1 = .rodata strings, 8 bytes read-only \"a\\\"\\\\\\n\\t;#\\x00\"
    gl2 = .bss.scratch scratch, 0 bytes
    map0 = hash labels, 100 key { cgroup label } value { number }
    map1 = array slots, 64 value 1024
    map2 = ring records, 65536
    fn0 = function %choose(ptr mem_cgroup, number)
    ss0 = stack 24
block0:
    v0 = load.ctx 0
    v1 = load.field v0, fd0    ; oom_control.order
    v2 = load.ptr v0, fd1    ; mm_struct.rss_stat[1].count
    v3 = field.addr v0, fd0    ; oom_control.order
    v4 = field.exists fd0    ; oom_control.order
    v5 = enum.value en0    ; NR_ANON_MAPPED
    v6 = enum.exists en0    ; NR_ANON_MAPPED
    v7 = type.id ty0    ; mem_cgroup
    v8 = ksym.addr ks0    ; _totalram_pages
    v9 = stack.addr ss0
    v10 = global.addr gl0+0    ; stats
    v12 = load64 v10+8    ; stats.kills
    v13: ptr = load64 v9-8
    v14: ptr = iconst 0
    v15 = iconst -9223372036854775808
    v16 = sext32 v15
    v17 = sdiv v15, -5
    v18 = ptr.add v9, v17
    store8 v18+1, 255
    store64 v10+0, v12    ; stats.invocations
    v19 = call bpf_get_mem_cgroup(v3)
    call bpf_put_mem_cgroup(v19)
    v20 = call bpf_ktime_get_boot_ns()
    v24 = map.addr map0    ; labels
    v25 = call bpf_map_lookup_elem(v24, v24)
    v21 = call fn0(v19, v20)    ; choose
    mark 0
    mark 7, v19
    br test v21, 3, block2(v21, v13), block1
block2(v22, v23: ptr):
    br sge v22, v21, block1, block1
block1:
    return v21
}
function %choose(ptr mem_cgroup, number) {
    ss0 = stack 8
block0:
    v0 = param 0
    v1 = param 1
    jump block3
block3:
    return v1
}
";

#[test]
fn what_is_written_can_be_read() {
    let module = read::read(EVERYTHING).expect("IR");
    assert_eq!(write::module(&module), EVERYTHING);
    let strings = module.refs().globals.values().nth(1).expect("three globals").data.clone();
    assert_eq!(strings, b"a\"\\\n\t;#\0");
}

#[test]
fn an_error_of_reading_has_a_place() {
    let inside = |line: &str| format!("function %f {{\n    fd0 = a.b\nblock0:\n    {line}\n}}\n");
    for (text, wanted) in [
        (String::new(), "1:1: there is no function"),
        ("function %f {\n".into(), "1:1: the function has no `}`"),
        ("function f {\n".into(), "1:10: `%` should stand here"),
        ("function %f(ptr) {\n".into(), "1:16: a name should stand here"),
        ("function %f(word) {\n".into(), "1:13: `word` is no kind of parameter"),
        ("function %f {\n    fd1 = a.b\n}".into(), "2:5: the next one is fd0"),
        ("function %f {\n    return 0\n}".into(), "2:5: neither a declaration nor a block"),
        ("function %f {\nblock0:\nblock0:\n}".into(), "3:1: block0 is there already"),
        (
            inside("v1 = iconst 99999999999999999999"),
            "4:17: `99999999999999999999` is no number that fits here",
        ),
        (inside("v1 = load.field v0, fd1"), "4:25: fd1 is not declared"),
        (inside("v1 = store8 v0+0, 1"), "4:10: the operation has no result"),
        (inside("v1 = load24 v0+0"), "4:10: `load24` is no operation"),
        (inside("v4000000000 = iconst 1"), "4:5: the numbers end at 1048576"),
        (inside("br like v0, 1, block0, block0"), "4:8: `like` is no condition"),
        (inside("return 0 0"), "4:14: the line should end here"),
        (inside("call bpf_destroy_everything()"), "4:10: there is no function `bpf_destroy_everything`"),
    ] {
        let error = read::read(&text).map(drop).map_err(|error| error.to_string());
        assert_eq!(error, Err(wanted.to_owned()), "{text}");
    }
}

#[test]
fn damaged_text_is_refused_or_read_but_never_more() {
    for at in 0..EVERYTHING.len() {
        let _ = read::read(&EVERYTHING[..at]);
        for byte in *b"0v;\"%{=" {
            let mut bytes = EVERYTHING.as_bytes().to_vec();
            bytes[at] = byte;
            let text = String::from_utf8(bytes).expect("ASCII");
            // What can be read can be looked at and checked.
            if let Ok(module) = read::read(&text) {
                let again = write::module(&module);
                assert_eq!(read::read(&again).map(|module| write::module(&module)), Ok(again), "{text}");
                let _ = verify::module(&module);
            }
        }
    }
}

/// What the verifier says of a module.
fn faults(text: &str) -> Vec<String> {
    verify::module(&read::read(text).expect("IR")).err().unwrap_or_default()
}

/// A callback with this body, and the function that it may call.
fn two(body: &str, function: &str) -> String {
    format!("function %on_oom {{\n    fn0 = function %f(number)\nblock0:\n{body}}}\n{function}")
}

const QUIET: &str = "function %f(number) {\nblock0:\n    return 1\n}\n";

#[test]
fn functions_are_declared_as_they_are() {
    let body = "    v0 = iconst 1\n    v1 = call fn0(v0)\n    return v1\n";
    assert_eq!(faults(&two(body, QUIET)), [""; 0]);
    let other = QUIET.replace("number", "ptr mem_cgroup");
    assert_eq!(faults(&two(body, &other)), ["the functions are not the declared ones"]);
    assert_eq!(faults(&two(body, "")), ["the functions are not the declared ones"]);
    let context = "function %f(number) {\nblock0:\n    v0 = load.ctx 0\n    return 1\n}\n";
    assert_eq!(faults(&two(body, context)), ["%f: only the callback has a context"]);
    let wrong = "    v0 = load.ctx 0\n    v1 = call fn0(v0)\n    v2 = call fn0()\n    return v1\n";
    assert_eq!(
        faults(&two(wrong, QUIET)),
        [
            "%on_oom: block0: `v1 = call fn0(v0)    ; f`: v0 has not the type of its parameter",
            "%on_oom: block0: `v2 = call fn0()    ; f`: 1 arguments expected, 0 given",
        ]
    );
}

#[test]
fn no_function_calls_itself() {
    let body = "    return 0\n";
    let circle =
        "function %f(number) {\nblock0:\n    v0 = param 0\n    v1 = call fn0(v0)\n    return v1\n}\n";
    assert_eq!(faults(&two(body, circle)), ["%f: it calls itself"]);
}

#[test]
fn what_may_sleep_is_called_outside_of_rcu_sections() {
    let body = "    v0 = iconst 1\n    call bpf_rcu_read_lock()\n    v1 = call fn0(v0)\n    \
                call bpf_rcu_read_unlock()\n    return v1\n";
    assert_eq!(faults(&two(body, QUIET)), [""; 0]);
    let flush = "function %f(number) {\nblock0:\n    v0 = call bpf_get_root_mem_cgroup()\n    \
                 call bpf_mem_cgroup_flush_stats(v0)\n    return 1\n}\n";
    let wanted = "%on_oom: block0: `v1 = call fn0(v0)    ; f`: what may sleep is called in an RCU section";
    assert_eq!(faults(&two(body, flush)), [wanted]);
    let open = "    v0 = load.ctx 0\n    br eq v0, 0, block1, block2\nblock1:\n    call bpf_rcu_read_lock()\n    \
                jump block2\nblock2:\n    call bpf_rcu_read_unlock()\n    return 0\n";
    assert_eq!(
        faults(&two(open, QUIET)),
        ["%on_oom: block1: `jump block2`: it goes both from inside and from outside of an RCU section"]
    );
}
