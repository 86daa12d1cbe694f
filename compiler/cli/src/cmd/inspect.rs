//! `oomc inspect FILE.o`: what an object is, without loading it.

use std::collections::BTreeMap;

use oomc_abi::maps::{TYPE_ARRAY, TYPE_CGRP_STORAGE, TYPE_HASH, TYPE_RINGBUF};
use oomc_abi::relo;
use oomc_compiler::bpf::insn::Insn;
use oomc_runtime::object::{ExternKind, Target};
use oomc_runtime::{Object, object};
use serde_json::{Value, json};

use crate::args::Inspect;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, read};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Inspect) -> Outcome {
    let name = files::name(&args.file);
    let bytes = read(&args.file)?;
    let object = Object::parse(&bytes).map_err(|error| Failure::refused(format!("{name}: {error}")))?;
    let functions = Functions::of(&object);
    tell(report, &object, &functions);
    let code = disassembly(&object);
    for one in &code {
        if let Some(line) = &one.line {
            report.remark(format_args!("; {}", line.text()));
        }
        report.remark(format_args!("{:>5}: {}", one.insn, one.text));
    }
    let exit = if object.foreign.is_empty() { Exit::Ok } else { Exit::Errors };
    report.result("inspect", exit, document(&object, &functions, &code));
    Ok(exit)
}

/// What of the kernel an object uses.
struct Functions<'o> {
    needed: Vec<&'o str>,
    optional: Vec<&'o str>,
    variables: Vec<&'o str>,
}

impl<'o> Functions<'o> {
    fn of(object: &'o Object) -> Self {
        let names = |wanted: &dyn Fn(bool, ExternKind) -> bool| {
            let all = object.externs.iter().filter(|one| wanted(one.weak, one.kind));
            all.map(|one| one.name.as_str()).collect()
        };
        let function = |kind| matches!(kind, ExternKind::Function(_));
        Self {
            needed: names(&|weak, kind| function(kind) && !weak),
            optional: names(&|weak, kind| function(kind) && weak),
            variables: names(&|_, kind| kind == ExternKind::Address),
        }
    }
}

/// An entry of the object's description; none if the object does not say.
fn said<'o>(object: &'o Object, key: &str) -> Option<&'o str> {
    Some(object.meta.get(key)).filter(|text| !text.is_empty())
}

fn tell(report: &Report, object: &Object, functions: &Functions<'_>) {
    let row = |name: &str, text: &str| report.line(format_args!("{name:<13} {text}"));
    let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    row("policy", &object.ops_name());
    row("digest", &format!("{} ({})", object.digest.text().as_deref().unwrap_or("none"), object.digest));
    for odd in &object.foreign {
        row("foreign", &odd.to_string());
    }
    row("hash", said(object, "hash").unwrap_or("none"));
    row("edition", said(object, "edition").unwrap_or("unknown"));
    row("built by", &format!("oomc {}", said(object, "tool").unwrap_or("of an unknown version")));
    row("profile", "either: the kernel's types decide when it is loaded");
    for target in object.targets() {
        row("runs on", target.row().kernels);
    }
    row("page size", said(object, "page").unwrap_or("unknown"));
    row("cost", said(object, "cost").unwrap_or("unknown"));
    row("needs", &list(&functions.needed));
    row("may use", &list(&functions.optional));
    row("reads", &list(&functions.variables));
    for map in &object.maps {
        let (key, value, entries) = (map.key.0, map.value.0, map.max_entries);
        row("map", &format!("{}: {}, key {key}, value {value}, {entries} entries", map.name, kind(map.kind)));
    }
    for global in &object.globals {
        let frozen = if global.read_only { ", read-only" } else { "" };
        row("global", &format!("{}: {} bytes{frozen}", global.map_name(), global.data.len()));
    }
    row("instructions", &object.code.len().to_string());
}

fn kind(number: u32) -> String {
    match number {
        TYPE_HASH => "hash".to_owned(),
        TYPE_ARRAY => "array".to_owned(),
        TYPE_RINGBUF => "ring buffer".to_owned(),
        TYPE_CGRP_STORAGE => "storage of cgroups".to_owned(),
        other => format!("map of kind {other}"),
    }
}

/// A place of the policy.
struct Line {
    file: String,
    line: u32,
    column: u32,
    source: String,
}

impl Line {
    fn text(&self) -> String {
        format!("{}:{}:{}: {}", self.file, self.line, self.column, self.source.trim())
    }
}

/// An instruction, and where its code begins the place that it comes from.
struct Shown {
    insn: usize,
    text: String,
    line: Option<Line>,
}

fn disassembly(object: &Object) -> Vec<Shown> {
    let ours = |name: u32| object.btf.string(name) == Some(&object.section);
    let string = |at: u32| object.btf.string(at).unwrap_or_default().to_owned();
    let lines = object.ext.lines.iter().filter(|section| ours(section.name)).flat_map(|one| &one.records);
    let mut lines: BTreeMap<usize, Line> = lines
        .map(|line| {
            let (file, source) = (string(line.file), string(line.text));
            (line.insn as usize, Line { file, line: line.line, column: line.column, source })
        })
        .collect();
    let relos = object.ext.relos.iter().filter(|section| ours(section.name)).flat_map(|one| &one.records);
    let mut facts: BTreeMap<usize, String> = relos
        // Against its own types a record tells what it is about.
        .filter_map(|relo| {
            let found = relo::resolve(&object.btf, relo, &object.btf).ok()?;
            Some((relo.insn as usize, found.what))
        })
        .collect();
    let names: BTreeMap<usize, String> =
        object.relocs.iter().map(|reloc| (reloc.insn as usize, target(object, reloc.target))).collect();
    let mut shown = Vec::new();
    let mut at = 0;
    while let Some(code) = object.code.get(at..).filter(|code| !code.is_empty()) {
        let insn = Insn::decode(code);
        let plain = match &insn {
            Some(insn) => insn.to_string(),
            None => format!("unknown {:#018x}", code.first().copied().unwrap_or_default()),
        };
        let about: Vec<String> = names.get(&at).cloned().into_iter().chain(facts.remove(&at)).collect();
        let text = if about.is_empty() { plain } else { format!("{plain:<36}  ; {}", about.join(", ")) };
        shown.push(Shown { insn: at, text, line: lines.remove(&at) });
        at += insn.map_or(1, |insn| insn.places() as usize);
    }
    shown
}

/// What a relocation names.
fn target(object: &Object, target: Target) -> String {
    let name = match target {
        Target::Global { index, offset } => object.globals.get(index).map(|global| match offset {
            0 => format!("&{}", global.map_name()),
            _ => format!("&{}+{offset}", global.map_name()),
        }),
        Target::Map(index) => object.maps.get(index).map(|map| map.name.clone()),
        Target::Address(index) | Target::Call(index) => object.externs.get(index).map(|one| one.name.clone()),
    };
    name.unwrap_or_else(|| "nothing".to_owned())
}

fn document(object: &Object, functions: &Functions<'_>, code: &[Shown]) -> Value {
    let odd: Vec<String> = object.foreign.iter().map(object::foreign::Oddity::to_string).collect();
    let maps = object.maps.iter().map(|map| {
        let (key, value, entries) = (map.key.0, map.value.0, map.max_entries);
        json!({ "name": map.name, "kind": kind(map.kind), "key": key, "value": value, "entries": entries })
    });
    let globals = object.globals.iter().map(|global| {
        json!({ "name": global.map_name(), "bytes": global.data.len(), "read_only": global.read_only })
    });
    let code = code.iter().map(|one| {
        let line = one.line.as_ref().map(|line| {
            json!({ "file": line.file, "line": line.line, "column": line.column, "text": line.source })
        });
        json!({ "insn": one.insn, "text": one.text, "source": line })
    });
    json!({
        "policy": object.ops_name(),
        "name": said(object, "name"),
        "hash": said(object, "hash"),
        "digest": object.digest.text(),
        "digest_holds": object.digest.holds(),
        "foreign": odd,
        "edition": said(object, "edition"),
        "tool": said(object, "tool"),
        "page_size": object.meta.page_size(),
        "cost": said(object, "cost"),
        "needed": functions.needed,
        "optional": functions.optional,
        "variables": functions.variables,
        "maps": maps.collect::<Vec<_>>(),
        "globals": globals.collect::<Vec<_>>(),
        "instructions": object.code.len(),
        "code": code.collect::<Vec<_>>(),
    })
}
