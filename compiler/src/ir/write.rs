//! IR as text, as sketched in [`super`].

use core::fmt::Write as _;

use cranelift_entity::SecondaryMap;
use oomc_abi::kfuncs::Ret;

use super::{
    Block, BlockCall, Cond, Function, Global, Inst, InstData, Module, Operand, Param, Refs, Size, Type, Value,
};

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
    let names = Names::new(func);
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
            let _ = writeln!(out, "    {}{}", text(func, inst), names.member(func, &func.insts[inst]));
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

/// Which addresses point into a global whose members have names.
struct Names(SecondaryMap<Value, Option<(Global, u32)>>);

impl Names {
    fn new(func: &Function) -> Self {
        let mut names = Self(SecondaryMap::new());
        for (inst, data) in func.insts.iter() {
            if let (InstData::GlobalAddr { global, offset }, Some(result)) = (data, func.results[inst]) {
                names.0[result] = Some((*global, *offset));
            }
        }
        names
    }

    /// A remark that names the member that a load or store is about.
    fn member(&self, func: &Function, data: &InstData) -> String {
        let (InstData::Load { ptr, offset, .. } | InstData::Store { ptr, offset, .. }) = data else {
            return String::new();
        };
        let member = self.0[*ptr].and_then(|(global, base)| {
            let data = func.refs.globals.get(global)?;
            let at = usize::try_from(i64::from(base) + i64::from(*offset)).ok()? / 8;
            data.members.get(at).map(|member| format!("    ; {}.{member}", data.name))
        });
        member.unwrap_or_default()
    }
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
        let hidden = func.values.get(value) == Some(&Type::Ptr) && result_type(func, data) != Some(Type::Ptr);
        format!("{value}{} = ", if hidden { ": ptr" } else { "" })
    });
    result.unwrap_or_default() + &body(func, data)
}

/// The type of an operation's result, as far as the operation tells.
pub(super) fn result_type(func: &Function, data: &InstData) -> Option<Type> {
    match data {
        InstData::LoadCtx(_)
        | InstData::LoadPtr { .. }
        | InstData::FieldAddr { .. }
        | InstData::KsymAddr(_)
        | InstData::KfuncAddr(_)
        | InstData::MapAddr(_)
        | InstData::StackAddr(_)
        | InstData::GlobalAddr { .. }
        | InstData::PtrAdd(..) => Some(Type::Ptr),
        InstData::Param(at) => Some(func.params.get(*at as usize).map_or(Type::I64, Param::ty)),
        InstData::Call { kfunc, .. } => match kfunc.row().ret {
            Ret::Void => None,
            Ret::Ptr => Some(Type::Ptr),
            Ret::Bool | Ret::Int | Ret::Long => Some(Type::I64),
        },
        InstData::CallHelper { helper, .. } => Some(if helper.pointer { Type::Ptr } else { Type::I64 }),
        InstData::Store { .. }
        | InstData::Mark { .. }
        | InstData::Jump(_)
        | InstData::Branch { .. }
        | InstData::Return(_) => None,
        InstData::Iconst(_)
        | InstData::Binary(..)
        | InstData::SignExtend(..)
        | InstData::Load { .. }
        | InstData::LoadField { .. }
        | InstData::FieldExists(_)
        | InstData::FieldFact(..)
        | InstData::EnumValue(_)
        | InstData::EnumExists(_)
        | InstData::TypeId(_)
        | InstData::CallFunc { .. } => Some(Type::I64),
    }
}

fn body(func: &Function, inst: &InstData) -> String {
    match inst {
        InstData::Iconst(imm) => format!("iconst {imm}"),
        InstData::Binary(op, a, b) => format!("{} {a}, {}", format!("{op:?}").to_lowercase(), operand(b)),
        InstData::SignExtend(size, a) => format!("sext{} {a}", bits(*size)),
        InstData::LoadCtx(index) => format!("load.ctx {index}"),
        InstData::Param(index) => format!("param {index}"),
        InstData::Load { size, ptr, offset } => format!("load{} {ptr}{offset:+}", bits(*size)),
        InstData::Store { size, ptr, offset, value } => {
            format!("store{} {ptr}{offset:+}, {}", bits(*size), operand(value))
        }
        InstData::LoadField { ptr, field } => format!("load.field {ptr}, {field}{}", name(func, *field)),
        InstData::LoadPtr { ptr, field } => format!("load.ptr {ptr}, {field}{}", name(func, *field)),
        InstData::FieldAddr { ptr, field } => format!("field.addr {ptr}, {field}{}", name(func, *field)),
        InstData::FieldExists(field) => format!("field.exists {field}{}", name(func, *field)),
        InstData::FieldFact(fact, field) => {
            format!("field.{} {field}{}", fact.spelling(), name(func, *field))
        }
        InstData::EnumValue(enumerator) => {
            format!("enum.value {enumerator}    ; {}", func.refs.enums[*enumerator].name)
        }
        InstData::EnumExists(enumerator) => {
            format!("enum.exists {enumerator}    ; {}", func.refs.enums[*enumerator].name)
        }
        InstData::TypeId(ty) => format!("type.id {ty}    ; {}", func.refs.types[*ty]),
        InstData::KsymAddr(ksym) => format!("ksym.addr {ksym}    ; {}", func.refs.ksyms[*ksym]),
        InstData::KfuncAddr(kfunc) => format!("kfunc.addr {}", kfunc.row().name),
        InstData::MapAddr(map) => format!("map.addr {map}    ; {}", func.refs.maps[*map].name),
        InstData::StackAddr(slot) => format!("stack.addr {slot}"),
        InstData::GlobalAddr { global, offset } => {
            format!("global.addr {global}+{offset}    ; {}", func.refs.globals[*global].name)
        }
        InstData::PtrAdd(ptr, value) => format!("ptr.add {ptr}, {value}"),
        InstData::Call { kfunc, args } => format!("call {}({})", kfunc.row().name, list(args)),
        InstData::CallHelper { helper, args } => format!("call {}({})", helper.name, list(args)),
        InstData::CallFunc { func: callee, args } => {
            let name = func.refs.functions.get(*callee).map_or("?", |callee| callee.name.as_str());
            format!("call {callee}({})    ; {name}", list(args))
        }
        InstData::Mark { point, object: None } => format!("mark {point}"),
        InstData::Mark { point, object: Some(object) } => format!("mark {point}, {object}"),
        InstData::Jump(call) => format!("jump {}", target(call)),
        InstData::Branch { cond, a, b, then, otherwise } => {
            format!("br {} {a}, {}, {}, {}", cond_name(*cond), operand(b), target(then), target(otherwise))
        }
        InstData::Return(value) => format!("return {}", operand(value)),
    }
}

fn name(func: &Function, field: super::FieldRef) -> String {
    let field = &func.refs.fields[field];
    format!("    ; {}.{}", field.container, field.path)
}

fn bits(size: Size) -> u32 {
    size.bytes() * 8
}

fn operand(operand: &Operand) -> String {
    match operand {
        Operand::Value(value) => value.to_string(),
        Operand::Imm(imm) => imm.to_string(),
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

fn cond_name(cond: Cond) -> String {
    format!("{cond:?}").to_lowercase()
}
