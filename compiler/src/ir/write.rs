//! IR as text, as sketched in [`super`].

use core::fmt::Write as _;

use cranelift_entity::SecondaryMap;

use super::{Block, BlockCall, Cond, Function, Global, Inst, InstData, Operand, Size, Value};

/// The text of a function.
#[must_use]
pub fn write(func: &Function) -> String {
    write_with(func, |_| Vec::new())
}

/// The text of a function with remarks below the instructions that they are about.
#[must_use]
pub fn write_with(func: &Function, remarks: impl Fn(Inst) -> Vec<String>) -> String {
    let names = Names::new(func);
    let mut out = format!("function %{} {{\n", func.name);
    for (field, data) in func.fields.iter() {
        let _ = writeln!(out, "    {field} = {}.{}", data.container, data.path);
    }
    for (enumerator, data) in func.enums.iter() {
        let _ = writeln!(out, "    {enumerator} = enum {}.{}", data.enumeration, data.name);
    }
    for (ty, tag) in func.types.iter() {
        let _ = writeln!(out, "    {ty} = type {tag}");
    }
    for (ksym, name) in func.ksyms.iter() {
        let _ = writeln!(out, "    {ksym} = ksym {name}");
    }
    for (slot, data) in func.slots.iter() {
        let _ = writeln!(out, "    {slot} = stack {}", data.size);
    }
    for (global, data) in func.globals.iter() {
        let access = if data.read_only { " read-only" } else { "" };
        let _ =
            writeln!(out, "    {global} = {} {}, {} bytes{access}", data.section, data.name, data.data.len());
    }
    for (map, data) in func.maps.iter() {
        let (kind, name, entries) = (data.kind.spelling(), &data.name, data.max_entries);
        let _ = writeln!(out, "    {map} = {kind} {name}, {entries}");
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
            let data = &func.globals[global];
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
        super::Type::I64 => value.to_string(),
        super::Type::Ptr => format!("{value}: ptr"),
    };
    format!("{block}({})", params.iter().map(param).collect::<Vec<_>>().join(", "))
}

/// An instruction with its result.
#[must_use]
pub fn text(func: &Function, inst: Inst) -> String {
    let result = func.results[inst].map(|value| format!("{value} = ")).unwrap_or_default();
    result + &data(func, &func.insts[inst])
}

fn data(func: &Function, inst: &InstData) -> String {
    match inst {
        InstData::Iconst(imm) => format!("iconst {imm}"),
        InstData::Binary(op, a, b) => format!("{} {a}, {}", format!("{op:?}").to_lowercase(), operand(b)),
        InstData::SignExtend(size, a) => format!("sext{} {a}", bits(*size)),
        InstData::LoadCtx(index) => format!("load.ctx {index}"),
        InstData::Load { size, ptr, offset } => format!("load{} {ptr}{offset:+}", bits(*size)),
        InstData::Store { size, ptr, offset, value } => {
            format!("store{} {ptr}{offset:+}, {}", bits(*size), operand(value))
        }
        InstData::LoadField { ptr, field } => format!("load.field {ptr}, {field}{}", name(func, *field)),
        InstData::LoadPtr { ptr, field } => format!("load.ptr {ptr}, {field}{}", name(func, *field)),
        InstData::FieldAddr { ptr, field } => format!("field.addr {ptr}, {field}{}", name(func, *field)),
        InstData::FieldExists(field) => format!("field.exists {field}{}", name(func, *field)),
        InstData::EnumValue(enumerator) => {
            format!("enum.value {enumerator}    ; {}", func.enums[*enumerator].name)
        }
        InstData::EnumExists(enumerator) => {
            format!("enum.exists {enumerator}    ; {}", func.enums[*enumerator].name)
        }
        InstData::TypeId(ty) => format!("type.id {ty}    ; {}", func.types[*ty]),
        InstData::KsymAddr(ksym) => format!("ksym.addr {ksym}    ; {}", func.ksyms[*ksym]),
        InstData::KfuncAddr(kfunc) => format!("kfunc.addr {}", kfunc.row().name),
        InstData::MapAddr(map) => format!("map.addr {map}    ; {}", func.maps[*map].name),
        InstData::StackAddr(slot) => format!("stack.addr {slot}"),
        InstData::GlobalAddr { global, offset } => {
            format!("global.addr {global}+{offset}    ; {}", func.globals[*global].name)
        }
        InstData::PtrAdd(ptr, value) => format!("ptr.add {ptr}, {value}"),
        InstData::Call { kfunc, args } => format!("call {}({})", kfunc.row().name, list(args)),
        InstData::CallHelper { helper, args } => format!("call {}({})", helper.name, list(args)),
        InstData::Jump(call) => format!("jump {}", target(call)),
        InstData::Branch { cond, a, b, then, otherwise } => {
            format!("br {} {a}, {}, {}, {}", cond_name(*cond), operand(b), target(then), target(otherwise))
        }
        InstData::Return(value) => format!("return {}", operand(value)),
    }
}

fn name(func: &Function, field: super::FieldRef) -> String {
    let field = &func.fields[field];
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
