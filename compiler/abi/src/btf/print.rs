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
    declare(btf, id, "", 0)
}

/// A declaration as C would write it: `char name[64]`.
#[must_use]
pub fn declaration(btf: &Btf, id: TypeId, name: &str) -> String {
    declare(btf, id, name, 0)
}

/// Wraps a declarator, from the name outwards, in what the type says of it.
fn declare(btf: &Btf, id: TypeId, inner: &str, depth: u32) -> String {
    if depth > 32 {
        return "…".to_owned();
    }
    let Some(ty) = btf.get(id) else { return format!("?{id}") };
    let outer = |to: TypeId, inner: &str| declare(btf, to, inner, depth + 1);
    let base = |text: &str| if inner.is_empty() { text.to_owned() } else { format!("{text} {inner}") };
    let tagged = |word: &str| {
        if ty.name.is_empty() {
            base(&format!("{word} [{id}]"))
        } else {
            base(&format!("{word} {}", ty.name))
        }
    };
    let qualified = |word: &str, to: TypeId| match btf.get(to).map(|ty| ty.kind) {
        Some(Kind::Ptr(_)) if inner.is_empty() => outer(to, word),
        Some(Kind::Ptr(_)) => outer(to, &format!("{word} {inner}")),
        _ => format!("{word} {}", outer(to, inner)),
    };
    match &ty.kind {
        Kind::Void => base("void"),
        Kind::Ptr(to) => match btf.resolve(*to).map(|(_, ty)| ty.kind) {
            Some(Kind::FuncProto { .. } | Kind::Array { .. }) => outer(*to, &format!("(*{inner})")),
            _ => outer(*to, &format!("*{inner}")),
        },
        Kind::Array { element, len, .. } => outer(*element, &format!("{inner}[{len}]")),
        Kind::FuncProto { ret, params } => {
            let list: Vec<String> = params
                .iter()
                .map(|param| match param.ty {
                    0 => "...".to_owned(),
                    ty => outer(ty, param.name),
                })
                .collect();
            let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
            outer(*ret, &format!("{inner}({list})"))
        }
        Kind::Struct { .. } | Kind::Fwd { union: false } => tagged("struct"),
        Kind::Union { .. } | Kind::Fwd { union: true } => tagged("union"),
        Kind::Enum { .. } => tagged("enum"),
        Kind::Const(to) => qualified("const", *to),
        Kind::Volatile(to) => qualified("volatile", *to),
        Kind::Restrict(to) => qualified("restrict", *to),
        Kind::TypeTag(to) => qualified(&format!("__tag(\"{}\")", ty.name), *to),
        _ => base(ty.name),
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
                let text = declaration(btf, member.ty, member.name);
                let at = member.bit_offset / 8;
                let _ = writeln!(out, "    {text}{bits}; /* [{}] at {at} */", member.ty);
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
            let _ = write!(out, "typedef {} /* [{to}] */", declaration(btf, *to, ty.name));
        }
        Kind::Func { proto, linkage } => {
            let _ = write!(out, "{}{} /* [{proto}] */", prefix(*linkage), declaration(btf, *proto, ty.name));
        }
        Kind::Var { ty: to, linkage } => {
            let linkage = prefix(*linkage as u16);
            let _ = write!(out, "{linkage}{} /* [{to}] */", declaration(btf, *to, ty.name));
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
