//! Reads the verifier's log: which instruction it refused, and which line of the policy that is.
//!
//! Takes the log and the object's line information. A policy that the compiler accepts and the verifier
//! refuses is a fault of the compiler, and is reported as one. Knows nothing of how the log came about.

use std::fmt;

use oomc_abi::btf::ext::LineInfo;
use oomc_abi::shown::shown;

use crate::object::Object;

/// The verifier does not accept a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the policy.
    pub policy: String,
    /// What the verifier said last.
    pub message: String,
    /// The instruction that it looked at last.
    pub insn: Option<u32>,
    /// Where that instruction comes from.
    pub place: Option<SourceLine>,
    /// Everything it said.
    pub log: String,
}

/// A place in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// As it was called when it was compiled.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in bytes.
    pub column: u32,
    /// The line's text.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, message) = (shown(&self.policy), shown(&self.message));
        write!(f, "the kernel's verifier refuses the program of `{policy}`: {message}")?;
        if let Some(place) = &self.place {
            // They stand in the object.
            let (file, text) = (shown(&place.file), shown(place.text.trim()));
            write!(f, "\n  at {file}:{}:{}: {text}", place.line, place.column)?;
        }
        Ok(())
    }
}

/// Reads a log. None if it gives no reason: then it was not the verifier that refused, but a kernel that had no memory
/// for its work, for example, which ends a log in the middle (seen on 6.12 with allocations that are made to fail).
#[must_use]
pub fn read(object: &Object, log: String) -> Option<Refusal> {
    let message = message(&log)?.to_owned();
    let insn = last_insn(&log);
    let place = insn.and_then(|insn| place(object, insn));
    Some(Refusal { policy: object.ops_name(), message, insn, place, log })
}

/// An instruction's line begins with its number: `12: (85) call …`, or `from 7 to 12: …`.
fn last_insn(log: &str) -> Option<u32> {
    log.lines().rev().find_map(|line| {
        let (number, rest) = line.split_once(": ")?;
        let number = number.rsplit(' ').next()?;
        let number = number.parse().ok()?;
        rest.starts_with('(').then_some(number)
    })
}

/// The last line that is neither an instruction or a state before it, nor a source line, nor statistics.
fn message(log: &str) -> Option<&str> {
    let noise = [
        ";",
        "func#",
        "from ",
        "processed ",
        "verification time",
        "stack depth",
        "max_states",
        "peak_states",
    ];
    log.lines().map(str::trim).rfind(|line| {
        let (number, _) = line.split_once(':').unwrap_or_default();
        !line.is_empty()
            && (!line.starts_with("R0") || line.contains("invalid") || line.contains("type"))
            && !noise.iter().any(|word| line.starts_with(word))
            && number.parse::<u32>().is_err()
    })
}

/// The line whose code holds an instruction.
fn place(object: &Object, insn: u32) -> Option<SourceLine> {
    let line: &LineInfo = object
        .ext
        .lines
        .iter()
        .filter(|section| object.btf.string(section.name) == Some(&object.section))
        .flat_map(|section| &section.records)
        .take_while(|line| line.insn <= insn)
        .last()?;
    Some(SourceLine {
        file: object.btf.string(line.file)?.to_owned(),
        line: line.line,
        column: line.column,
        text: object.btf.string(line.text)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
func#0 @0
0: R1=ctx() R10=fp0
; kill largest in subtree @ a.oom:1
0: (79) r6 = *(u64 *)(r1 +0)          ; R1=ctx()
12: (85) call bpf_oom_kill_process#4711
R2 must be referenced or trusted
processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
";

    #[test]
    fn the_last_instruction_and_the_last_words() {
        assert_eq!(last_insn(LOG), Some(12));
        assert_eq!(message(LOG), Some("R2 must be referenced or trusted"));
        assert_eq!(last_insn("nothing"), None);
        assert_eq!(message(""), None);
        assert_eq!(message(&LOG.replace("R2 must be referenced or trusted\n", "")), None);
    }
}
