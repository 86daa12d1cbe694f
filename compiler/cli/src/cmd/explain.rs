//! `oomc explain`: the page of a diagnostic.

use oomc_compiler::diag::Code;
use serde_json::json;

use crate::args::{Explain, Format};
use crate::exit::Exit;
use crate::report::Reporter;

const NAME: &str = "explain";

pub(crate) fn run(args: &Explain, reporter: &Reporter) -> Exit {
    let Some(wanted) = &args.code else {
        let rows: Vec<String> = Code::all().map(|code| format!("{}  {}", code.id(), code.name())).collect();
        if reporter.format() == Format::Json {
            let codes: Vec<_> =
                Code::all().map(|code| json!({ "code": code.id(), "name": code.name() })).collect();
            reporter.result(NAME, json!({ "codes": codes }));
        } else {
            reporter.text(&rows.join("\n"));
        }
        return Exit::Ok;
    };
    match Code::find(&wanted.to_uppercase()) {
        Some(code) if reporter.format() == Format::Json => {
            reporter.result(NAME, json!({ "code": code.id(), "name": code.name(), "page": code.page() }));
            Exit::Ok
        }
        Some(code) => {
            reporter.text(code.page());
            Exit::Ok
        }
        None => {
            reporter.failure(NAME, &format!("`{wanted}` is no code of oomc; `oomc explain` lists them"));
            Exit::Usage
        }
    }
}
