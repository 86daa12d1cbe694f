//! `cargo xtask order`: which functions the everyday commands run, so that they lie side by side in the program.
//!
//! The kernel maps a program sixteen pages at a time. Functions that lie in the order in which the compiler made them cost
//! a command that runs a tenth of them two thirds of the program's pages. Runs the optimised program under an emulator
//! that tells each instruction which it meets, finds their functions in the linker's map, and writes `xtask/order.ld`,
//! which the linker reads for each optimised build. What the file names and a later program does not have does no harm, and
//! functions that it does not name lie behind: so it is made anew when `cargo xtask bench` shows that memory has grown.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::packages::{self, Package};
use crate::{build, say};

const PACKAGES: [Package; 1] = [("qemu-user-static", EMULATOR)];
const EMULATOR: &str = "qemu-x86_64-static";

const FILE: &str = "xtask/order.ld";

/// In a folder with the headline: `policy.oom` and its object. What those need that touch a running policy comes first.
/// How a command ends does not matter: an ordinary kernel has no hook.
const COMMANDS: [&[&str]; 6] = [
    &["load", "policy.o", "--system"],
    &["status"],
    &["--version"],
    &["inspect", "policy.o"],
    &["check", "policy.oom"],
    &["build", "policy.oom", "-o", "again.o"],
];

/// Modules whose functions lie among those of the first commands, too: only a kernel with the hook lets all of them run.
const MODULES: [&str; 18] = [
    "load",
    "bpf",
    "sys",
    "pins",
    "dirs",
    "relocate",
    "sanitize",
    "struct_ops",
    "survey",
    "status",
    "foreign",
    "cgroup",
    "preflight",
    "labels",
    "page",
    "outcome",
    "config",
    "system",
];

/// A function in the program, as the linker's map has it.
struct Placed {
    start: u64,
    size: u64,
    /// The file and the section that it comes from.
    file: String,
    section: String,
}

/// `cargo xtask order`
pub(crate) fn run() -> Result<(), String> {
    packages::need(&packages::BUILD)?;
    packages::need(&PACKAGES)?;
    let folder = build::scratch("order");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let map = folder.join("map");
    say("Building oomc, optimised …");
    build::release_with_map(&map)?;
    let program = build::program("release", "oomc");
    let placed = functions(&read(&map)?);
    let entry =
        entry(&fs::read(&program).map_err(|error| format!("cannot read {}: {error}", program.display()))?)?;
    fs::copy(build::root().join("examples/headline/policy.oom"), folder.join("policy.oom"))
        .map_err(|error| format!("cannot copy the headline: {error}"))?;
    let mut made = Command::new(&program);
    made.current_dir(&folder).args(["build", "policy.oom", "-o", "policy.o"]);
    build::loud(&mut made, "the build of the headline")?;

    let (mut known, mut lines) = (HashSet::new(), Vec::new());
    for (at, words) in COMMANDS.iter().enumerate() {
        say(&format!("oomc {}", words.join(" ")));
        for pattern in ran(&folder, &program, words, entry, &placed)? {
            if known.insert(pattern.clone()) {
                lines.push(pattern);
            }
        }
        if at == 0 {
            lines.extend(MODULES.map(|name| format!("*(.text._ZN12oomc_runtime{}{name}*)", name.len())));
        }
    }
    let text: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let head = "/* Made by `cargo xtask order`: functions that the everyday commands run, which lie side by side. */\n";
    let text =
        format!("{head}SECTIONS\n{{\n  .text.everyday :\n  {{\n{text}  }}\n}}\nINSERT BEFORE .text;\n");
    fs::write(build::root().join(FILE), text).map_err(|error| format!("cannot write {FILE}: {error}"))?;
    // Cargo does not see that what the linker reads has changed.
    build::loud(build::cargo("clean").args(["--release", "-p", "oomc", "-p", "oomc-guest"]), "cargo clean")?;
    say(&format!("{FILE}: {} names", lines.len()));
    Ok(())
}

/// Patterns of the functions that a command runs, in their order in the program.
fn ran(
    folder: &Path,
    program: &Path,
    words: &[&str],
    entry: u64,
    placed: &BTreeMap<u64, Placed>,
) -> Result<Vec<String>, String> {
    let log = folder.join("log");
    Command::new(EMULATOR)
        .args(["-d", "in_asm", "-D"])
        .arg(&log)
        .arg(program)
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start {EMULATOR}: {error}"))?;
    let told = read(&log)?;
    let mut addresses = told.lines().filter_map(|line| {
        let (address, _) = line.strip_prefix("0x")?.split_once(':')?;
        u64::from_str_radix(address, 16).ok()
    });
    // A program may be loaded anywhere: it begins where its file says.
    let first = addresses.next().ok_or_else(|| format!("{EMULATOR} has told of no instruction"))?;
    let base = first.wrapping_sub(entry);
    let starts: HashSet<u64> = addresses
        .filter_map(|address| function(placed, address.wrapping_sub(base)))
        .map(|one| one.start)
        .collect();
    Ok(placed.values().filter(|one| starts.contains(&one.start)).filter_map(Placed::pattern).collect())
}

fn function(placed: &BTreeMap<u64, Placed>, address: u64) -> Option<&Placed> {
    let (_, one) = placed.range(..=address).next_back()?;
    (address - one.start < one.size).then_some(one)
}

impl Placed {
    /// How the linker's script names it: without what changes from build to build, which are hashes of types and crates.
    fn pattern(&self) -> Option<String> {
        let name = lasting(&self.section);
        if self.section.contains("._R") {
            // What has the same name twice in one program has a number behind it.
            return Some(format!("*({name} {name}.[0-9]*)"));
        }
        if self.section.contains("._ZN") {
            return Some(format!("*({name})"));
        }
        // Functions of the C library are told apart by their files.
        match self.file.rsplit('/').next()?.split_once(".a(") {
            Some((archive, member)) => Some(format!("*{archive}.a:{}({name})", member.strip_suffix(')')?)),
            None => (name != ".text").then(|| format!("*({name})")),
        }
    }
}

/// A mangled name with a star where a hash stands: `17h` and sixteen digits, `Cs` and a number up to `_`, and what LLVM
/// adds to names of its own, or to those that it has twice.
fn lasting(name: &str) -> String {
    let name = name.split(".llvm.").next().unwrap_or(name);
    let name = match name.rsplit_once('.') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    let (mut lasting, mut rest) = (String::new(), name);
    while let Some(letter) = rest.chars().next() {
        let hash = rest.strip_prefix("17h").filter(|rest| rest.as_bytes().get(16) == Some(&b'E'));
        let number = rest.strip_prefix("Cs").and_then(|rest| rest.split_once('_'));
        if hash.is_some() {
            return lasting + "17h*";
        }
        match number.filter(|(number, _)| number.chars().all(|letter| letter.is_ascii_alphanumeric())) {
            Some((_, behind)) => {
                lasting.push_str("Cs*_");
                rest = behind;
            }
            None => {
                lasting.push(letter);
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            }
        }
    }
    lasting
}

/// The lines of a linker's map that tell of a section of code: address, address in the file, size, alignment, and behind
/// nine spaces the file and the section in it.
fn functions(map: &str) -> BTreeMap<u64, Placed> {
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let start = u64::from_str_radix(words.next()?, 16).ok()?;
        let size = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        let (file, section) = line.strip_suffix(')')?.rsplit_once(":(")?;
        let file = file.split_whitespace().nth(4)?.to_owned();
        let section = section.to_owned();
        (size > 0 && section.starts_with(".text")).then_some((start, Placed { start, size, file, section }))
    };
    map.lines().filter_map(of).collect()
}

/// Where a program begins (`e_entry` of its ELF header).
fn entry(program: &[u8]) -> Result<u64, String> {
    let bytes = program.get(24..32).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_le_bytes).ok_or_else(|| "the program is no ELF file".to_owned())
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_last_longer_than_hashes() {
        for (name, expected) in [
            (
                ".text._ZN12oomc_runtime4load9load_with17h0123456789abcdefE",
                ".text._ZN12oomc_runtime4load9load_with17h*",
            ),
            (".text._ZN4core17h0123456789abcdefE.llvm.77", ".text._ZN4core17h*"),
            (".text._RNvNtCsg5Xa_5alloc3fmt6format", ".text._RNvNtCs*_5alloc3fmt6format"),
            (".text._RNvNtCsg5Xa_5alloc3fmt6format.1064", ".text._RNvNtCs*_5alloc3fmt6format"),
            (".text.avx2", ".text.avx2"),
            (".text._RINvCsa_4core3fooNtCsb1_5alloc3vecE", ".text._RINvCs*_4core3fooNtCs*_5alloc3vecE"),
            (".text.unlikely._ZN3abc2Cs17h", ".text.unlikely._ZN3abc2Cs17h"),
        ] {
            assert_eq!(lasting(name), expected);
        }
    }

    #[test]
    fn a_map_tells_functions_and_their_files() {
        let map = "             VMA              LMA     Size Align Out     In      Symbol\n\
                   \x20         d2d00            d2d00       22    16         /usr/lib/rcrt1.o:(.text)\n\
                   \x20         d2d00            d2d00       22     1                 _start\n\
                   \x20         6a2b20           6a2b20     2297    16         /usr/../libc.a(malloc.o):(.text)\n\
                   \x20         7a2b20           7a2b20       20     8         /tmp/a.o:(.rodata)\n\
                   \x20         8a2b20           8a2b20       10    16         /tmp/a.o:(.text._ZN1a1b17h0123456789abcdefE)\n";
        let placed = functions(map);
        let told: Vec<_> = placed.values().map(|one| (one.start, one.size, one.pattern())).collect();
        assert_eq!(told.len(), 3);
        assert_eq!(told[0], (0xd2d00, 0x22, None), "the beginning stays where it is");
        assert_eq!(told[1].2.as_deref(), Some("*libc.a:malloc.o(.text)"));
        assert_eq!(told[2].2.as_deref(), Some("*(.text._ZN1a1b17h*)"));
        assert_eq!(function(&placed, 0x6a2b20 + 0x2296).map(|one| one.size), Some(0x2297));
        assert!(function(&placed, 0x6a2b20 + 0x2297).is_none());
    }
}
