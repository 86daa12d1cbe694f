//! `oomc fields [WORD]`

use oomc_abi::availability::lacks;
use oomc_abi::fields::{self, Field};
use serde_json::{Value, json};

use crate::args::Fields;
use crate::cmd::view;
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Fields) -> Outcome {
    let view = view(&args.kernel)?;
    let word = args.name.as_deref().map(str::to_lowercase);
    let wanted = |row: &Field| word.as_deref().is_none_or(|word| whole_name(row).contains(word));
    let rows: Vec<&Field> = fields::all().map(fields::FieldId::row).filter(|row| wanted(row)).collect();
    if rows.is_empty() {
        let name = args.name.as_deref().unwrap_or_default();
        let known: Vec<&str> = fields::all().map(|id| id.row().name).collect();
        let near = oomc_compiler::diag::suggest::nearest(name, known);
        let help = near.map_or_else(
            || "`oomc fields` lists all fields".to_owned(),
            |near| format!("did you mean `{near}`? `oomc fields` lists all fields"),
        );
        return Err(Failure::new(Exit::Usage, format!("no field has `{name}` in its name")).help(help));
    }
    let mut list: Vec<Value> = Vec::new();
    for row in rows {
        let lacks = lacks(&view, row);
        tell(report, row, lacks.as_deref());
        list.push(json!({
            "owner": row.owner.name(),
            "name": row.name,
            "unit": row.unit.name(),
            "percent_of": row.base,
            "missing": (!row.missing.is_empty()).then_some(row.missing),
            "doc": row.doc,
            "source": row.source,
            "available": lacks.is_none(),
            "lacks": lacks,
        }));
    }
    report.result("fields", Exit::Ok, json!({ "fields": list }));
    Ok(Exit::Ok)
}

/// With its owner: `cgroup.usage`.
fn whole_name(row: &Field) -> String {
    format!("{}.{}", row.owner.name(), row.name)
}

fn tell(report: &Report, row: &Field, lacks: Option<&str>) {
    let name = whole_name(row);
    report.line(format_args!("{name:<24} {:<9} {}", row.unit.name(), row.doc));
    let say = |text: String| report.remark(format_args!("{:<34} {text}", ""));
    if let Some(base) = row.base {
        say(format!("a percent beside it is taken of {}.{base}", row.owner.name()));
    }
    if !row.missing.is_empty() {
        say(format!("missing when {}", row.missing));
    }
    if let Some(lacks) = lacks {
        say(format!("not on this kernel: {lacks}"));
    }
    report.detail(format_args!("{:<34} {}", "", row.source));
}
