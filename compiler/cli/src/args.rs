//! The command line's words. Help texts are the doc comments.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use oomc_compiler::Stage;
use oomc_runtime::{Assignment, Target};

/// What a newcomer needs.
const BEGIN: &str = "To begin: `oomc new job` writes job.oom, `oomc test job.oom` runs its tests, `oomc check job.oom` \
                     looks for mistakes, and `oomc plan job.oom --cgroup /job` shows whom it would kill now.";

/// Compiles policies for the kernel's out-of-memory handling, and loads them.
///
/// Exit codes: 0 done; 1 the policy has errors; 2 wrong usage; 3 a privilege or a kernel feature is
/// missing; 4 the kernel or the outside world refused.
#[derive(Debug, Parser)]
#[command(name = "oomc", version, max_term_width = 100, after_help = BEGIN)]
pub(crate) struct Args {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// What to print: text for people, or JSON (schema 1) on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Print the answer and errors, nothing else
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more; with `--version`, what this program is made for
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that knows colours (TERM), unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text
    Human,
    /// JSON
    Json,
    /// Text, and annotations for GitHub's checks; for `check` and `test`
    Github,
    /// SARIF 2.1.0, for services that look at changes; for `check`
    Sarif,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin a policy: write NAME.oom into the current folder, with a test that passes
    ///
    /// Without `--from` a small policy in audit mode. Nothing is overwritten.
    New(New),
    /// Turn the configuration of another OOM killer into a policy with tests
    ///
    /// Reads oomd's JSON, systemd-oomd's rulesets, `ManagedOOM…=` of units and oomd.conf, earlyoom's arguments, nohang.conf, and
    /// a kubelet's eviction thresholds. What has no counterpart is a warning, and a comment in the policy.
    Convert(Convert),
    /// Check policies: all errors, not the first
    Check(Check),
    /// Write policies in their canonical form; comments are kept, clauses with mistakes stay as they are
    Fmt(Fmt),
    /// Repair policies: write what the help of each diagnostic says, where nothing else can be meant
    ///
    /// After each repair the policy is checked again; one that does not help is not made. Ends with 1 if errors are
    /// left.
    Fix(Fix),
    /// Compile a policy to an object
    Build(Build),
    /// Show what an object is: its digest, what it needs of a kernel, its maps, its instructions
    ///
    /// Ends with 1 if oomc did not make it, or it was changed since.
    Inspect(Inspect),
    /// Look at this machine: whether policies can be loaded and are asked, and what to do about it
    ///
    /// Ends with 3 if something stands in their way. With `--verbose` also what is as it should be.
    Doctor(Doctor),
    /// Load a policy and attach it to a cgroup; it stays when oomc exits
    ///
    /// A FILE.oom is compiled first, against the types of the running kernel, so that what this kernel
    /// lacks is an error at the policy's line. An object made by `oomc build` is loaded as it is.
    Load(Load),
    /// Run a policy for a cgroup until ended, or, as a service, keep the standing policies attached
    ///
    /// On a kernel that lets policies handle out-of-memory events, the policy is attached, and detached at the end. On any
    /// other kernel since 6.10 it is asked a little before the limit: `memory.high` of the cgroup, and of those below with
    /// a limit, is set below it (and put back at the end), and what the policy decides is done from here. Every decision
    /// says so.
    ///
    /// With `--all`, for a service: attaches policies when their cgroups appear, also when a service manager makes them
    /// anew, and again when somebody has unloaded them; detaches those that no file names any more. SIGHUP, and a change of
    /// a file, lets it read its files again. When it ends, policies stay attached. Each decision goes to the journal. On a
    /// kernel that asks no policy, it asks them itself, and nobody does when it has ended.
    Run(Run),
    /// Attach the version before again: the policy that `load --replace` has put another one in the place of
    ///
    /// With the params and the mode that it had; labels stay on their cgroups. What is attached becomes the version
    /// before, so that a second `rollback` undoes the first.
    Rollback(One),
    /// Detach a policy and print its final counters
    ///
    /// Also removes what is left of policies that were attached to a cgroup with this path and are gone.
    Unload(Unload),
    /// Show which policies are attached to which cgroups, and what they have done
    ///
    /// Also policies whose cgroup is gone: their records stay until `unload` or `tidy`. Changes nothing. Ends with 4 if
    /// something among the pins is not as oomc makes it.
    Status(Status),
    /// Print the text of the policy that is attached to a cgroup
    ///
    /// From the copy that its object carries; of the last policy there, if none is attached any more.
    Show(One),
    /// Remove what is left of policies whose cgroup is gone, and of commands that were killed
    ///
    /// Their records are gone then. Policies that are attached stay as they are.
    Tidy,
    /// Change params of an attached policy: `oomc set --cgroup /job step=30%`
    ///
    /// All of them or, when one is refused, none. The next out-of-memory event sees the new values.
    Set(Set),
    /// Let an attached policy act, or only record what it would do
    ///
    /// In audit mode the kernel does what it does without a policy. Switching forgets what audit mode counted.
    Mode(ModeOf),
    /// Put labels on a cgroup, for it and everything below: `oomc label /job tier=3`
    ///
    /// They are for the policy that is attached to the cgroup, or to its nearest ancestor with one.
    /// `NAME=inherit` takes a label away.
    Label(Label),
    /// Show what policies have decided: the last 64 decisions of each
    ///
    /// With `--verbose` also who wanted memory and how each rule ended.
    Events(Events),
    /// Run the tests of policies, in a simulator that runs the very bytes that the kernel runs
    ///
    /// `test` blocks stand in the policy or in a file beside it, NAME.oomt beside NAME.oom. Needs neither root nor a
    /// kernel. Ends with 1 when a test fails, when none ran, or when less is covered than was asked for.
    Test(Test),
    /// Record the cgroups and processes of this machine in a file
    Snapshot(Snapshot),
    /// Show what a policy would do on a recorded machine
    ///
    /// The cgroup that runs out of memory is taken as full, whatever it uses in the snapshot.
    Sim(Sim),
    /// Show what a policy would do on this machine now, without touching it
    ///
    /// Reads the cgroups and processes, and simulates: the victim now, the next candidates, how many processes each
    /// holds, and whom the policy's clauses protect.
    Plan(Plan),
    /// Show where two policies decide differently on a recorded machine
    ///
    /// Each cgroup with a limit of its own runs out of memory once for each policy. Ends with 1 if they differ.
    Diff(Diff),
    /// Explain one decision in full: who wanted memory, how each rule ended, the candidates in order
    Why(Why),
    /// Explain a diagnostic: `oomc explain E0302`
    Explain {
        /// The code; without it, all codes are listed
        code: Option<String>,
    },
    /// List the fields of processes and cgroups
    Fields(Fields),
    /// Try policies on a page in your browser: a policy, a machine, and a button that lets memory run out
    ///
    /// Prints the address of the page, and serves it to this machine alone until it is ended (Ctrl-C). The policy is
    /// checked while it is written; what it decides is decided as by `sim`. Nothing is written, and nothing of this
    /// machine is read but the files that are named.
    Play(Play),
    /// Serve an editor: the language server protocol on standard input and output
    ///
    /// Ends with 0 when the editor says `shutdown` and `exit`, with 1 when it goes without.
    Lsp(Lsp),
    /// Print what is attached and what it has done, in OpenMetrics
    ///
    /// Changes nothing; waits while another command changes what is attached, as `status` does.
    Metrics {
        /// Write it to this file, which is replaced as a whole: for a collector of text files
        #[arg(long, value_name = "FILE")]
        textfile: Option<PathBuf>,
    },
    /// Print completions for a shell: `oomc completions bash > /etc/bash_completion.d/oomc`
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page per command into a folder
    Man {
        /// Folder for oomc.1, oomc-check.1 and so on; without it, oomc.1 is printed
        folder: Option<PathBuf>,
    },
}

impl Command {
    /// Its word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::New(_) => "new",
            Self::Convert(_) => "convert",
            Self::Check(_) => "check",
            Self::Fmt(_) => "fmt",
            Self::Fix(_) => "fix",
            Self::Build(_) => "build",
            Self::Inspect(_) => "inspect",
            Self::Doctor(_) => "doctor",
            Self::Load(_) => "load",
            Self::Run(_) => "run",
            Self::Rollback(_) => "rollback",
            Self::Unload(_) => "unload",
            Self::Status(_) => "status",
            Self::Show(_) => "show",
            Self::Tidy => "tidy",
            Self::Set(_) => "set",
            Self::Mode(_) => "mode",
            Self::Label(_) => "label",
            Self::Events(_) => "events",
            Self::Test(_) => "test",
            Self::Snapshot(_) => "snapshot",
            Self::Sim(_) => "sim",
            Self::Plan(_) => "plan",
            Self::Diff(_) => "diff",
            Self::Why(_) => "why",
            Self::Explain { .. } => "explain",
            Self::Fields(_) => "fields",
            Self::Play(_) => "play",
            Self::Lsp(_) => "lsp",
            Self::Metrics { .. } => "metrics",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
        }
    }

    /// How many of the files that it writes go to standard output.
    pub(crate) fn outputs_to_stdout(&self) -> usize {
        let pictures = |pictures: &Pictures| [pictures.svg.clone(), pictures.html.clone()];
        let written: Vec<Option<PathBuf>> = match self {
            Self::Build(Build { output: None, emit: None, file, .. }) => {
                vec![Some(crate::files::object_path(file))]
            }
            Self::Build(build) => vec![build.output.clone()],
            Self::Snapshot(snapshot) => vec![Some(snapshot.output.clone())],
            Self::Sim(sim) => pictures(&sim.pictures).into(),
            Self::Plan(plan) => pictures(&plan.pictures).into(),
            Self::Test(test) => vec![test.junit.clone()],
            Self::Convert(convert) => {
                vec![Some(convert.output.clone().unwrap_or_else(|| "-".into())), convert.tests.clone()]
            }
            _ => Vec::new(),
        };
        written.iter().flatten().filter(|path| crate::files::is_dash(path)).count()
    }
}

/// The kernel to compile for.
#[derive(Clone, Debug, Group)]
pub(crate) struct Kernel {
    /// Types of the kernel to compile for, e.g. /sys/kernel/btf/vmlinux; default: the reference kernel's,
    /// which oomc carries
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
}

/// What becomes of warnings.
#[derive(Clone, Debug, Group)]
pub(crate) struct Warnings {
    /// Warnings are errors, but for those of which oomc.toml says something else
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

#[derive(Debug, Group)]
pub(crate) struct New {
    /// The name of the policy and, with `.oom`, of its file
    pub(crate) name: String,
    /// Begin with this policy of the library, and its tests, e.g. `largest_leaf`; the book has them all
    #[arg(long, value_name = "POLICY")]
    pub(crate) from: Option<String>,
}

#[derive(Debug, Group)]
pub(crate) struct Convert {
    /// The configuration; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Whose configuration it is; default: what its name and its words say
    #[arg(long, value_name = "KILLER", value_parser = killers())]
    pub(crate) from: Option<oomc_convert::Format>,
    /// Where to write the policy, with its tests beside it (NAME.oomt beside NAME.oom); default: standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Where to write its tests; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) tests: Option<PathBuf>,
}

/// Other OOM killers, by their words.
fn killers() -> impl clap::builder::TypedValueParser<Value = oomc_convert::Format> {
    use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
    use oomc_convert::Format;
    let words = Format::ALL.map(|format| PossibleValue::new(format.word()).help(format.about()));
    PossibleValuesParser::new(words).try_map(|word| {
        Format::ALL.into_iter().find(|format| format.word() == word).ok_or("there is no such killer")
    })
}

#[derive(Debug, Group)]
pub(crate) struct Check {
    /// Policies, files of tests beside them, or folders, in which all of these are meant; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Let the running kernel's verifier look at each, too; nothing is attached. Takes objects as well
    #[arg(long, conflicts_with_all = ["btf", "deny_warnings"])]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) warnings: Warnings,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Fmt {
    /// Policies and files of tests, which are rewritten, or folders of them; `-` reads standard input and prints
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Write nothing and show what would change; end with 1 if that is anything, or a file has clauses that cannot be
    /// read
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the defaults out: `largest`, `process`, the order of a selection, `default defer`
    #[arg(long)]
    pub(crate) expand: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Fix {
    /// Policies and files of tests, which are rewritten, or folders of them; `-` reads standard input and prints
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Also make repairs that may not be what was meant: read the result
    #[arg(long = "unsafe")]
    pub(crate) all: bool,
    /// Write nothing; show what would change
    #[arg(long)]
    pub(crate) diff: bool,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Build {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where to write the object; default: the file's name with `.o`. `-` is standard output, and the default for a
    /// policy from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print a representation instead of writing an object
    #[arg(long, value_name = "STAGE", value_parser = stages())]
    pub(crate) emit: Option<Stage>,
    /// Bytes in a page of the machines that the object is for; arm64 has all three (`getconf PAGE_SIZE`)
    #[arg(long, value_name = "BYTES", value_enum, default_value_t = PageSize::Small)]
    pub(crate) page_size: PageSize,
    #[command(flatten)]
    pub(crate) warnings: Warnings,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

/// Sizes that pages have, in the order of `oomc_abi::consts::PAGE_SIZES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageSize {
    /// All of x86-64, most of arm64
    #[value(name = "4096")]
    Small,
    /// Some of arm64
    #[value(name = "16384")]
    Middle,
    /// Some of arm64
    #[value(name = "65536")]
    Large,
}

impl PageSize {
    /// The number.
    pub(crate) fn bytes(self) -> i64 {
        let [small, middle, large] = oomc_abi::consts::PAGE_SIZES;
        match self {
            Self::Small => small,
            Self::Middle => middle,
            Self::Large => large,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct Inspect {
    /// An object made by `oomc build`; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct Doctor {
    /// Look at the files of another machine, in `proc` and `sys` below this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

fn stages() -> impl clap::builder::TypedValueParser<Value = Stage> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(Stage::ALL.map(Stage::name)).try_map(|name| name.parse::<Stage>())
}

/// Which cgroup: one of the two.
#[derive(Debug, Group)]
#[group(required = true, multiple = false)]
pub(crate) struct One {
    /// The cgroup: relative to the cgroup2 mount, or an absolute path below it
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    /// The root cgroup: decides for the whole machine
    #[arg(long)]
    pub(crate) system: bool,
}

impl One {
    pub(crate) fn target(&self) -> Target {
        target(self.cgroup.as_deref())
    }
}

/// A cgroup, or without one the machine.
fn target(cgroup: Option<&str>) -> Target {
    cgroup.map_or(Target::System, |path| Target::Cgroup(path.to_owned()))
}

#[derive(Debug, Group)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// The cgroup: relative to the cgroup2 mount, or an absolute path below it
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    /// The root cgroup: decides for the whole machine
    #[arg(long)]
    pub(crate) system: bool,
    /// Attach the standing policies: what the files NAME.toml of a folder say; what is so already stays
    #[arg(long, conflicts_with_all = ["file", "mode", "set", "foreign"])]
    pub(crate) all: bool,
}

impl Place {
    pub(crate) fn target(&self) -> Target {
        target(self.cgroup.as_deref())
    }
}

/// A policy and where, or the standing ones.
#[derive(Debug, Group)]
pub(crate) struct What {
    /// A policy, or an object made by `oomc build`; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "all")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// The folder of standing policies
    #[arg(long, value_name = "FOLDER", default_value = "/etc/oomc/policies.d", requires = "all")]
    pub(crate) policies: PathBuf,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Load an object although oomc did not make it, or it was changed since; where it is attached, `status` calls it
    /// foreign from then on
    #[arg(long)]
    pub(crate) foreign: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) what: What,
    /// Put it in the place of the policy that is attached there; params, mode and labels that were set stay as far as
    /// the new policy has them, and `oomc rollback` undoes it
    #[arg(long, conflicts_with = "all")]
    pub(crate) replace: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) what: What,
    /// On a kernel without the hook: how far below its limit a cgroup is about to run out, as `8MiB`; at most an eighth of
    /// the limit
    #[arg(long, value_name = "SIZE")]
    pub(crate) headroom: Option<String>,
}

/// What a policy begins with.
#[derive(Clone, Debug, Group)]
pub(crate) struct Settings {
    /// Begin in this mode, whatever the policy says
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Begin with this value of a param; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Assignment>,
}

/// Whether a policy acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Only record what it would do
    Audit,
    /// Act
    Enforce,
}

impl From<Mode> for oomc_runtime::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Audit => Self::Audit,
            Mode::Enforce => Self::Enforce,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) one: One,
    /// Params and their new values, as the language writes them: `30%`, `64MiB`, `5m`, `3`
    #[arg(required = true, value_name = "NAME=VALUE")]
    pub(crate) params: Vec<Assignment>,
}

#[derive(Debug, Group)]
pub(crate) struct ModeOf {
    #[command(flatten)]
    pub(crate) one: One,
    /// The mode
    #[arg(value_enum)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Group)]
pub(crate) struct Label {
    /// The cgroup: relative to the cgroup2 mount, or an absolute path below it
    #[arg(value_name = "CGROUP", required_unless_present = "system")]
    pub(crate) cgroup: Option<String>,
    /// Labels and their values, as the language writes them
    #[arg(value_name = "NAME=VALUE", required_unless_present = "refresh")]
    pub(crate) labels: Vec<Assignment>,
    /// Read the extended attributes `user.oom.NAME` of the cgroup and everything below anew
    #[arg(long, conflicts_with = "labels")]
    pub(crate) refresh: bool,
    /// The root cgroup; only with `--refresh`
    #[arg(long, conflicts_with = "cgroup", requires = "refresh")]
    pub(crate) system: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) which: Status,
    /// Go on with new decisions, also of policies that are attached later, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// Where a machine is read from.
#[derive(Clone, Debug, Group)]
pub(crate) struct Roots {
    /// The cgroup2 mount, or a copy of it; default: where it is mounted
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cgroup_root: Option<PathBuf>,
    /// Where processes are listed, or a copy of it
    #[arg(long, value_name = "FOLDER", default_value = "/proc")]
    pub(crate) proc_root: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct Snapshot {
    /// Only this cgroup with everything below and what is above: relative to the cgroup2 mount, or an
    /// absolute path below it
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    /// Replace names of cgroups, commands, labels and users, the same ones alike
    #[arg(long)]
    pub(crate) redact: bool,
    /// Where to write it; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) roots: Roots,
}

/// Pictures of what would be done.
#[derive(Clone, Debug, Default, Group)]
pub(crate) struct Pictures {
    /// Draw the tree to an SVG file: usage, candidates, the victim, who is protected; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Draw the same to a page that needs nothing else, with the candidates' values in tables; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct Sim {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The machine, as `oomc snapshot` recorded it
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: PathBuf,
    /// The cgroup that runs out of memory; default: the one that was recorded, or the whole machine
    #[arg(long, value_name = "PATH")]
    pub(crate) oom: Option<String>,
    /// The whole machine runs out of memory
    #[arg(long, conflicts_with = "oom")]
    pub(crate) system: bool,
    /// Where the policy is attached; default: to the cgroup that runs out of memory
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Also tell how each rule ended
    #[arg(long)]
    pub(crate) trace: bool,
    /// So many events, one after the other; victims are gone in between
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    #[command(flatten)]
    pub(crate) pictures: Pictures,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Plan {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) one: One,
    /// The cgroup that runs out of memory; default: the one that the policy is for
    #[arg(long, value_name = "PATH")]
    pub(crate) oom: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Also tell how each rule ended
    #[arg(long)]
    pub(crate) trace: bool,
    #[command(flatten)]
    pub(crate) pictures: Pictures,
    #[command(flatten)]
    pub(crate) roots: Roots,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Diff {
    /// A policy
    #[arg(value_name = "A")]
    pub(crate) before: PathBuf,
    /// Another one
    #[arg(value_name = "B")]
    pub(crate) after: PathBuf,
    /// The machine, as `oomc snapshot` recorded it
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: PathBuf,
    /// Where both are attached; default: to the cgroup that was recorded, or the root
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    /// Begin B, not A, with this value of a param; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Assignment>,
    /// Only this cgroup runs out of memory
    #[arg(long, value_name = "PATH")]
    pub(crate) oom: Option<String>,
    /// Only the whole machine runs out of memory
    #[arg(long, conflicts_with = "oom")]
    pub(crate) system: bool,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Why {
    /// The decision's number, as `oomc events` shows it; default: the last one
    #[arg(value_name = "ID", conflicts_with = "last")]
    pub(crate) number: Option<u64>,
    /// The last decision
    #[arg(long)]
    pub(crate) last: bool,
    #[command(flatten)]
    pub(crate) which: Status,
}

#[derive(Debug, Group)]
pub(crate) struct Test {
    /// Policies, files of tests, or folders, in which every policy is meant; default: the current folder. `-` is a
    /// policy from standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only tests whose names match this regular expression
    #[arg(long, value_name = "RE")]
    pub(crate) run: Option<regex_lite::Regex>,
    /// Also tell which rules, branches and conditions the tests reach; end with 1 below this percentage
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "0",
          value_parser = percent)]
    pub(crate) coverage: Option<f64>,
    /// Write the results to a file in JUnit's format, too; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Run the tests in another order, and let the kernel come to each machine's objects in another order
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "random",
          value_parser = seed)]
    pub(crate) shuffle: Option<Seed>,
    /// Run them again whenever a policy, its tests, oomc.toml or the kernel's types change, until interrupted
    #[arg(long, conflicts_with_all = ["junit"])]
    pub(crate) watch: bool,
    /// Bytes in a page of the machines that the tests describe
    #[arg(long, value_name = "BYTES", value_enum, default_value_t = PageSize::Small)]
    pub(crate) page_size: PageSize,
    #[command(flatten)]
    pub(crate) warnings: Warnings,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

/// Which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// A new one each time.
    Random,
    /// The same each time.
    Number(u64),
}

fn seed(text: &str) -> Result<Seed, String> {
    match text {
        "random" => Ok(Seed::Random),
        number => number.parse().map(Seed::Number).map_err(|_| "a number, or nothing".to_owned()),
    }
}

/// `90` or `90%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    number
        .ok()
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| "a percentage from 0 to 100".to_owned())
}

#[derive(Debug, Group)]
#[group(required = true, multiple = false)]
pub(crate) struct Unload {
    /// The cgroup: relative to the cgroup2 mount, or an absolute path below it
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    /// The root cgroup
    #[arg(long)]
    pub(crate) system: bool,
    /// Every policy that oomc loaded
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Status {
    /// Only this cgroup: relative to the cgroup2 mount, or an absolute path below it
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,
    /// Only the root cgroup
    #[arg(long, conflicts_with = "cgroup")]
    pub(crate) system: bool,
}

impl Status {
    pub(crate) fn target(&self) -> Option<Target> {
        match &self.cgroup {
            Some(path) => Some(Target::Cgroup(path.clone())),
            None => self.system.then_some(Target::System),
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct Fields {
    /// Only fields in whose names this stands: `swap`, `events`, `cgroup.usage`
    #[arg(value_name = "WORD")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Play {
    /// The policy that the page begins with; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The machine that it begins with, as `oomc snapshot` recorded it
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    /// What the page begins with, as its `Copy a link` gave it
    #[arg(long, value_name = "LINK", conflicts_with_all = ["file", "snapshot"])]
    pub(crate) link: Option<String>,
    /// The port of 127.0.0.1 that it listens on; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
}

#[derive(Debug, Group)]
pub(crate) struct Lsp {
    #[command(flatten)]
    pub(crate) kernel: Kernel,
    #[command(flatten)]
    pub(crate) roots: Roots,
    /// Means nothing: many editors name the transport, and there is no other
    #[arg(long, hide = true)]
    pub(crate) stdio: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        super::Args::command().debug_assert();
    }
}
