//! A BTF as text that looks like C, for a reader.
//!
//! One entry per type, in order of numbers, each with its number in brackets, so that relocation records can
//! be followed by eye.

use std::fmt::Write as _;

use super::{Btf, INT_BOOL, INT_SIGNED, Kind, LINKAGE_EXTERN, LINKAGE_STATIC, TypeId};

/// The whole BTF as text.
#[must_use]
pub fn print(btf: &Btf) -> String {
    let mut out = String::new();
    for id in btf.ids() {
        let _ = writeln!(out, "[{id}] {}", entry(btf, id));
    }
    out
}

/// A type as C would name it: `const struct task_struct *`.
#[must_use]
pub fn type_name(btf: &Btf, id: TypeId) -> String {
    name(btf, id, 0)
}

fn name(btf: &Btf, id: TypeId, depth: u32) -> String {
    if depth > 32 {
        return "…".to_owned();
    }
    let Some(ty) = btf.get(id) else { return format!("?{id}") };
    let tagged = |word: &str| {
        if ty.name.is_empty() { format!("{word} [{id}]") } else { format!("{word} {}", ty.name) }
    };
    let inner = |to: TypeId| name(btf, to, depth + 1);
    match ty.kind {
        Kind::Void => "void".to_owned(),
        Kind::Ptr(to) => {
            let to = inner(to);
            if to.ends_with('*') { format!("{to}*") } else { format!("{to} *") }
        }
        Kind::Array { element, len, .. } => format!("{}[{len}]", inner(element)),
        Kind::Struct { .. } | Kind::Fwd { union: false } => tagged("struct"),
        Kind::Union { .. } | Kind::Fwd { union: true } => tagged("union"),
        Kind::Enum { .. } => tagged("enum"),
        Kind::Const(to) => format!("const {}", inner(to)),
        Kind::Volatile(to) => format!("volatile {}", inner(to)),
        Kind::Restrict(to) => format!("restrict {}", inner(to)),
        Kind::TypeTag(to) => format!("__tag(\"{}\") {}", ty.name, inner(to)),
        Kind::FuncProto { ret, params } => {
            let list: Vec<String> = params
                .iter()
                .map(|param| format!("{} {}", inner(param.ty), param.name).trim_end().to_owned())
                .collect();
            let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
            format!("{} ({list})", inner(ret))
        }
        _ => ty.name.to_owned(),
    }
}

fn entry(btf: &Btf, id: TypeId) -> String {
    let Some(ty) = btf.get(id) else { return "?".to_owned() };
    let mut out = String::new();
    match &ty.kind {
        Kind::Int { size, encoding, .. } => {
            let sign = match encoding {
                bits if bits & INT_BOOL != 0 => "bool",
                bits if bits & INT_SIGNED != 0 => "signed",
                _ => "unsigned",
            };
            let _ = write!(out, "int {}: {size} bytes, {sign}", ty.name);
        }
        Kind::Struct { size, members } | Kind::Union { size, members } => {
            let _ = writeln!(out, "{} {{ /* {size} bytes */", type_name(btf, id));
            for member in members {
                let bits = if member.bits == 0 { String::new() } else { format!(" : {}", member.bits) };
                let text = format!("{} {}", type_name(btf, member.ty), member.name);
                let at = member.bit_offset / 8;
                let _ = writeln!(out, "    {}{bits}; /* [{}] at {at} */", text.trim_end(), member.ty);
            }
            out.push('}');
        }
        Kind::Enum { values, size, signed, .. } => {
            let sign = if *signed { ", signed" } else { "" };
            let _ = writeln!(out, "{} {{ /* {size} bytes{sign} */", type_name(btf, id));
            for value in values {
                let _ = writeln!(out, "    {} = {},", value.name, value.value);
            }
            out.push('}');
        }
        Kind::Fwd { .. } => {
            let _ = write!(out, "{} declared", type_name(btf, id));
        }
        Kind::Typedef(to) => {
            let _ = write!(out, "typedef {} {} /* [{to}] */", type_name(btf, *to), ty.name);
        }
        Kind::Func { proto, linkage } => {
            let _ = write!(
                out,
                "{}func {}: {} /* [{proto}] */",
                prefix(*linkage),
                ty.name,
                type_name(btf, *proto)
            );
        }
        Kind::Var { ty: to, linkage } => {
            let linkage = prefix(*linkage as u16);
            let _ = write!(out, "{linkage}var {}: {} /* [{to}] */", ty.name, type_name(btf, *to));
        }
        Kind::DataSec { size, entries } => {
            let _ = writeln!(out, "section {} {{ /* {size} bytes */", ty.name);
            for entry in entries {
                let name = btf.name(entry.ty);
                let _ = writeln!(
                    out,
                    "    {name}; /* [{}] at {}, {} bytes */",
                    entry.ty, entry.offset, entry.size
                );
            }
            out.push('}');
        }
        Kind::Float { size } => {
            let _ = write!(out, "float {}: {size} bytes", ty.name);
        }
        Kind::DeclTag { ty: to, component } => {
            let _ = write!(out, "tag \"{}\" on [{to}], component {component}", ty.name);
        }
        _ => out = type_name(btf, id),
    }
    out
}

fn prefix(linkage: u16) -> &'static str {
    match linkage {
        LINKAGE_STATIC => "static ",
        LINKAGE_EXTERN => "extern ",
        _ => "",
    }
}
