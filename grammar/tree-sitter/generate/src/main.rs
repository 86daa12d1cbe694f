//! Makes `src/parser.c` of `grammar.js`, in the folder that is the current one.

use std::path::Path;
use std::process::ExitCode;

use tree_sitter_generate::{ABI_VERSION_MAX, OptLevel, generate_parser_in_directory};

fn main() -> ExitCode {
    let mut warnings = Vec::new();
    let (here, grammar) = (Path::new("."), Path::new("grammar.js"));
    let made = generate_parser_in_directory(
        here,
        None::<&Path>,
        Some(grammar),
        ABI_VERSION_MAX,
        None,
        Some("node"),
        true,
        OptLevel::default(),
        &mut warnings,
    );
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
