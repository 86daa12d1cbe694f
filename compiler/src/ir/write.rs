//! IR as text, as sketched in [`super`].

use core::fmt::Write as _;

use super::opcodes::{Kind, Part};
use super::{Block, BlockCall, Function, Inst, InstData, Module, Operand, Param, Refs, Type, Value};

/// The text of a module: what its functions refer to stands in the first.
#[must_use]
pub fn module(module: &Module) -> String {
    let mut out = String::new();
    for (at, func) in module.functions.iter().enumerate() {
        out.push_str(&function(func, at == 0, |_| Vec::new()));
    }
    out
}

/// The text of a function alone.
#[must_use]
pub fn write(func: &Function) -> String {
    write_with(func, |_| Vec::new())
}

/// The text of a function with remarks below the instructions that they are about.
#[must_use]
pub fn write_with(func: &Function, remarks: impl Fn(Inst) -> Vec<String>) -> String {
    function(func, true, remarks)
}

fn function(func: &Function, with_refs: bool, remarks: impl Fn(Inst) -> Vec<String>) -> String {
    let mut out = format!("function {} {{\n", signature(&func.name, &func.params));
    if with_refs {
        refs(&func.refs, &mut out);
    }
    for (slot, data) in func.slots.iter() {
        let _ = writeln!(out, "    {slot} = stack {}", data.size);
    }
    for &block in &func.layout {
        let _ = writeln!(out, "{}:", head(func, block));
        for &inst in &func.blocks[block].insts {
            let _ = writeln!(
                out,
                "    {}{}",
                text(func, inst),
                member(func, &func.insts[inst]).unwrap_or_default()
            );
            for remark in remarks(inst) {
                let _ = writeln!(out, "    ^ {remark}");
            }
        }
    }
    out.push_str("}\n");
    out
}

fn refs(refs: &Refs, out: &mut String) {
    for (field, data) in refs.fields.iter() {
        let _ = writeln!(out, "    {field} = {}.{}", data.container, data.path);
    }
    for (enumerator, data) in refs.enums.iter() {
        let _ = writeln!(out, "    {enumerator} = enum {}.{}", data.enumeration, data.name);
    }
    for (ty, tag) in refs.types.iter() {
        let _ = writeln!(out, "    {ty} = type {tag}");
    }
    for (ksym, name) in refs.ksyms.iter() {
        let _ = writeln!(out, "    {ksym} = ksym {name}");
    }
    for (global, data) in refs.globals.iter() {
        let _ = write!(out, "    {global} = {} {}, {} bytes", data.section, data.name, data.data.len());
        if data.read_only {
            out.push_str(" read-only");
        }
        if !data.members.is_empty() {
            let _ = write!(out, " {{ {} }}", data.members.join(" "));
        }
        if data.data.iter().any(|byte| *byte != 0) {
            let _ = write!(out, " \"{}\"", data.data.escape_ascii());
        }
        out.push('\n');
    }
    for (map, data) in refs.maps.iter() {
        let (kind, name, entries) = (data.kind.spelling(), &data.name, data.max_entries);
        let _ = write!(out, "    {map} = {kind} {name}, {entries}");
        if !data.key.is_empty() {
            let _ = write!(out, " key {{ {} }}", data.key.join(" "));
        }
        if !data.value.is_empty() {
            let _ = write!(out, " value {{ {} }}", data.value.join(" "));
        } else if data.value_bytes > 0 {
            let _ = write!(out, " value {}", data.value_bytes);
        }
        out.push('\n');
    }
    for (func, data) in refs.functions.iter() {
        let _ = writeln!(out, "    {func} = function {}", signature(&data.name, &data.params));
    }
}

/// `%choose(ptr mem_cgroup, number)`
fn signature(name: &str, params: &[Param]) -> String {
    if params.is_empty() {
        return format!("%{name}");
    }
    let param = |param: &Param| match param {
        Param::Number => "number".to_owned(),
        Param::Trusted(tag) => format!("ptr {tag}"),
    };
    format!("%{name}({})", params.iter().map(param).collect::<Vec<_>>().join(", "))
}

/// A remark that names the member of a global that a load or store is about.
fn member(func: &Function, data: &InstData) -> Option<String> {
    let (InstData::Load { ptr, offset, .. } | InstData::Store { ptr, offset, .. }) = data else {
        return None;
    };
    let Some(InstData::GlobalAddr { global, offset: base }) = func.def_inst(*ptr) else { return None };
    let global = func.refs.globals.get(*global)?;
    let at = usize::try_from(i64::from(*base) + i64::from(*offset)).ok()? / 8;
    global.members.get(at).map(|member| format!("    ; {}.{member}", global.name))
}

/// `block1(v3, v4: ptr)`
fn head(func: &Function, block: Block) -> String {
    let params = &func.blocks[block].params;
    if params.is_empty() {
        return block.to_string();
    }
    let param = |value: &Value| match func.values[*value] {
        Type::I64 => value.to_string(),
        Type::Ptr => format!("{value}: ptr"),
    };
    format!("{block}({})", params.iter().map(param).collect::<Vec<_>>().join(", "))
}

/// An instruction with its result.
#[must_use]
pub fn text(func: &Function, inst: Inst) -> String {
    let data = &func.insts[inst];
    let result = func.results[inst].map(|value| {
        // A reader cannot tell a null pointer from a number, nor what was parked in memory.
        let hidden = func.values.get(value) == Some(&Type::Ptr) && func.result_type(data) != Some(Type::Ptr);
        format!("{value}{} = ", if hidden { ": ptr" } else { "" })
    });
    result.unwrap_or_default() + &body(func, data)
}

/// An instruction without its result: name, operands, and a remark that names what a number refers to.
fn body(func: &Function, inst: &InstData) -> String {
    let mut out = inst.opcode().row().name.to_owned();
    let mut between = " ";
    let mut remark = None;
    inst.for_each_part(|kind, part| {
        match kind {
            Kind::Operator | Kind::Width | Kind::Fact | Kind::Arguments | Kind::Offset | Kind::Byte => {}
            Kind::Condition => out.push(' '),
            Kind::Object if matches!(part, Part::Object(None)) => {}
            _ => {
                out.push_str(between);
                between = ", ";
            }
        }
        let _ = match part {
            Part::BinOp(op) => write!(out, "{}", format!("{op:?}").to_lowercase()),
            Part::Cond(cond) => write!(out, "{}", format!("{cond:?}").to_lowercase()),
            Part::Size(size) => write!(out, "{}", size.bytes() * 8),
            Part::Fact(fact) => write!(out, "{}", fact.spelling()),
            Part::I64(number) => write!(out, "{number}"),
            Part::U32(number) if kind == Kind::Byte => write!(out, "+{number}"),
            Part::U32(number) => write!(out, "{number}"),
            Part::I32(number) => write!(out, "{number:+}"),
            Part::Value(value) | Part::Operand(Operand::Value(value)) => write!(out, "{value}"),
            Part::Operand(Operand::Imm(imm)) => write!(out, "{imm}"),
            Part::Object(Some(value)) => write!(out, "{value}"),
            Part::Object(None) => Ok(()),
            Part::Kfunc(kfunc) => write!(out, "{}", kfunc.row().name),
            Part::Helper(helper) => write!(out, "{}", helper.name),
            Part::Slot(slot) => write!(out, "{slot}"),
            Part::Arguments(args) => write!(out, "({})", list(&args)),
            Part::Target(call) => write!(out, "{}", target(&call)),
            Part::Field(_)
            | Part::Enumerator(_)
            | Part::Type(_)
            | Part::Ksym(_)
            | Part::Function(_)
            | Part::Map(_)
            | Part::Global(_) => {
                let (reference, name) = reference(&func.refs, &part);
                remark = Some(name);
                write!(out, "{reference}")
            }
        };
    });
    if let Some(name) = remark {
        let _ = write!(out, "    ; {}", name.unwrap_or_else(|| "?".to_owned()));
    }
    out
}

/// A reference as text, and the name of what it refers to, if that exists.
fn reference(refs: &Refs, part: &Part<'_>) -> (String, Option<String>) {
    match part {
        Part::Field(field) => {
            let data = refs.fields.get(*field);
            (field.to_string(), data.map(|data| format!("{}.{}", data.container, data.path)))
        }
        Part::Enumerator(of) => (of.to_string(), refs.enums.get(*of).map(|data| data.name.clone())),
        Part::Type(ty) => (ty.to_string(), refs.types.get(*ty).cloned()),
        Part::Ksym(ksym) => (ksym.to_string(), refs.ksyms.get(*ksym).cloned()),
        Part::Function(func) => (func.to_string(), refs.functions.get(*func).map(|data| data.name.clone())),
        Part::Map(map) => (map.to_string(), refs.maps.get(*map).map(|data| data.name.clone())),
        Part::Global(global) => (global.to_string(), refs.globals.get(*global).map(|data| data.name.clone())),
        _ => (String::new(), None),
    }
}

fn list(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

fn target(call: &BlockCall) -> String {
    if call.args.is_empty() {
        call.block.to_string()
    } else {
        format!("{}({})", call.block, list(&call.args))
    }
}
