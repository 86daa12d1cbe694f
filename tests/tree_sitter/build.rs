//! Compiles the parser that lies in `grammar/tree-sitter`.

fn main() {
    let folder = "../../grammar/tree-sitter/src";
    let parser = format!("{folder}/parser.c");
    cc::Build::new().include(folder).file(&parser).warnings(false).std("c11").compile("tree-sitter-oom");
    emit(&format!("cargo:rerun-if-changed={parser}"));
}

fn emit(line: &str) {
    println!("{line}");
}
