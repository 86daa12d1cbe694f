//! `oomc fields`: the field table of the language.

use oomc_abi::fields::{self, Field, Owner, Unit};
use serde_json::{Value, json};

use crate::args::{Fields, Format};
use crate::exit::Exit;
use crate::report::Reporter;

const NAME: &str = "fields";

pub(crate) fn run(args: &Fields, reporter: &Reporter) -> Exit {
    let rows: Vec<&Field> = fields::all()
        .map(|id| id.row())
        .filter(|row| args.name.as_deref().is_none_or(|name| name == row.name))
        .collect();
    if rows.is_empty() {
        let name = args.name.as_deref().unwrap_or_default();
        reporter.failure(NAME, &format!("`{name}` is no field; `oomc fields` lists them"));
        return Exit::Usage;
    }
    if reporter.format() == Format::Json {
        let rows: Vec<Value> = rows.iter().map(|row| as_json(row)).collect();
        reporter.result(NAME, json!({ "fields": rows }));
        return Exit::Ok;
    }
    for row in rows {
        let mut text = format!("{} {} ({})\n    {}\n", owner(row), row.name, unit(row), row.doc);
        if !row.missing.is_empty() {
            text.push_str(&format!("    missing: {}\n", row.missing));
        }
        text.push_str(&format!("    from: {}", row.source));
        reporter.text(&text);
    }
    Exit::Ok
}

fn owner(row: &Field) -> &'static str {
    match row.owner {
        Owner::Process => "process",
        Owner::Cgroup => "cgroup",
    }
}

fn unit(row: &Field) -> &'static str {
    match row.unit {
        Unit::Bytes => "bytes",
        Unit::Count => "count",
        Unit::Duration => "duration",
        Unit::Bool => "bool",
        Unit::Text => "string",
    }
}

fn as_json(row: &Field) -> Value {
    json!({
        "owner": owner(row),
        "name": row.name,
        "unit": unit(row),
        "meaning": row.doc,
        "missing": row.missing,
        "source": row.source,
    })
}
