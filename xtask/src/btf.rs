//! `cargo xtask btf --from FILE`: makes the embedded BTF and those of the tests anew from a kernel's.

use std::fs;
use std::path::Path;

use oomc_abi::btf::Btf;
use oomc_abi::reference;

/// Where the result lies, from the top of the repository.
const TARGET: &str = "compiler/abi/btf/reference.btf";

/// Where those of the tests lie.
const TESTS: &str = "tests/btf";

/// Runs the command.
///
/// # Errors
/// One sentence: wrong arguments, a file that cannot be read or written, or bytes that are not a BTF.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let from = match args {
        [flag, from] if flag == "--from" => from,
        _ => return Err("usage: cargo xtask btf --from FILE".to_owned()),
    };
    let bytes = fs::read(from).map_err(|error| format!("cannot read {from}: {error}"))?;
    let full = Btf::parse(&bytes).map_err(|error| format!("{from}: {error}"))?;
    let (reduced, missing) = reference::reduce(&full);
    if !missing.is_empty() {
        crate::say(&format!("not in this kernel: {}", missing.join(", ")));
    }
    let small = Btf::parse(&reduced).map_err(|error| format!("the reduced BTF: {error}"))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = root.join(TARGET);
    fs::write(&target, &reduced).map_err(|error| format!("cannot write {}: {error}", target.display()))?;
    crate::say(&format!(
        "{TARGET}: {} of {} types, {} of {} bytes",
        small.len(),
        full.len(),
        reduced.len(),
        bytes.len()
    ));
    for (name, lacks) in reference::LACKING {
        let small = reference::reduce_without(&full, lacks);
        let target = root.join(TESTS).join(name).with_extension("btf");
        fs::write(&target, &small).map_err(|error| format!("cannot write {}: {error}", target.display()))?;
        crate::say(&format!("{TESTS}/{name}.btf: without {lacks}, {} bytes", small.len()));
    }
    let next = reference::reduce_next(&small).ok_or("the kernel lacks the hook of v3")?;
    let target = root.join(TESTS).join("next.btf");
    fs::write(&target, &next).map_err(|error| format!("cannot write {}: {error}", target.display()))?;
    crate::say(&format!("{TESTS}/next.btf: attaches by the generic link, {} bytes", next.len()));
    Ok(())
}
