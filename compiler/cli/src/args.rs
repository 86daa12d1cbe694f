//! The command line: one definition for parsing and `--help`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use oomc_compiler::Stage;

/// Decides what happens when memory runs out, in a sentence.
#[derive(Debug, Parser)]
#[command(name = "oomc", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Global {
    /// How to say what happened
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Say only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a reader.
    Human,
    /// For a program: one JSON document on standard output.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a policy to a BPF object
    Build(Build),
    /// Check policies; all errors, not the first
    Check(Check),
    /// Explain a diagnostic: `oomc explain E0302`
    Explain(Explain),
    /// List the fields of the language
    Fields(Fields),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Build {
    /// The policy
    pub(crate) file: PathBuf,
    /// Where to write; by default beside the policy, ending in `.o`
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
    /// Print a representation instead: cst, ast, hir, ir, opt, vcode, asm, btf, elf
    #[arg(long, value_name = "STAGE")]
    pub(crate) emit: Option<Stage>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// The policies
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

/// Which kernel a policy is checked against.
#[derive(Debug, ClapArgs)]
pub(crate) struct Kernel {
    /// BTF of the kernel, for example /sys/kernel/btf/vmlinux; by default the reference kernel's
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// The code of a diagnostic; without it, all codes are listed
    pub(crate) code: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Fields {
    /// Only fields of this name
    pub(crate) name: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        super::Args::command().debug_assert();
    }
}
