//! `oomc check FILE…`

use std::path::{Path, PathBuf};

use oomc_compiler::diag::{Diagnostic, codes};
use oomc_compiler::hir::watchable::watchable;
use oomc_compiler::hir::{Policy, complexity};
use oomc_compiler::pipeline::REVIEWED;
use oomc_compiler::syntax::ast::ClauseKind;
use oomc_compiler::{Checked, KernelView, Parsed, Source};
use oomc_settings::Settings;
use serde_json::{Value, json};

use crate::args::Check;
use crate::cmd::{count, exit_of, tell};
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy;
use crate::report::Report;
use crate::settings;

/// What is looked at in a folder.
const ENDINGS: [&str; 2] = ["oom", "oomt"];

/// What was found so far.
struct Found {
    exit: Exit,
    diagnostics: Vec<Value>,
    unreadable: Vec<String>,
    costs: Vec<Value>,
    /// That `never` binds this policy only was said: it is the same sentence for each policy.
    never_told: bool,
    /// The kernel that the last file was checked for, and the file of its types: most often the next one's as well.
    view: Option<(Option<PathBuf>, KernelView)>,
}

pub(crate) fn run(report: &Report, args: &Check) -> Outcome {
    if args.verify {
        return super::verify::run(report, &files::expand(&args.files, &["oom"])?);
    }
    let (diagnostics, unreadable, costs) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = Found { exit: Exit::Ok, diagnostics, unreadable, costs, never_told: false, view: None };
    for named in &args.files {
        // A file that cannot be read does not keep the others from being checked.
        match files::expand(std::slice::from_ref(named), &ENDINGS) {
            Ok(paths) => paths.iter().for_each(|path| under_settings(report, args, path, &mut found)),
            Err(failure) => found.unreadable(report, failure),
        }
    }
    let Found { exit, diagnostics, unreadable, costs, .. } = found;
    let result = json!({ "diagnostics": diagnostics, "unreadable": unreadable, "costs": costs });
    report.result("check", exit, result);
    Ok(exit)
}

impl Found {
    fn unreadable(&mut self, report: &Report, failure: Failure) {
        report.unreadable(&failure);
        self.exit = self.exit.max(failure.exit);
        self.unreadable.push(failure.message);
    }
}

/// Looks at one file, as `oomc.toml` wants it.
fn under_settings(report: &Report, args: &Check, path: &Path, found: &mut Found) {
    let settings = match settings::of(report, path, args.warnings.deny_warnings) {
        Ok(Ok(settings)) => settings,
        Ok(Err(unready)) => {
            found.diagnostics.extend(unready.diagnostics);
            found.exit = found.exit.max(unready.exit);
            return;
        }
        Err(failure) => return found.unreadable(report, failure),
    };
    let kernel = settings.kernel(&args.kernel).map(Path::to_owned);
    if !matches!(&found.view, Some((of, _)) if *of == kernel) {
        match settings.view(&args.kernel) {
            Ok(view) => found.view = Some((kernel, view)),
            Err(failure) => return found.unreadable(report, failure),
        }
    }
    // Taken out and put back: what is found is written beside it.
    if let Some((kernel, view)) = found.view.take() {
        look(report, path, &view, &settings.settings, found);
        found.view = Some((kernel, view));
    }
}

/// Looks at one file.
fn look(report: &Report, path: &Path, view: &KernelView, settings: &Settings, found: &mut Found) {
    let (source, looked) = match policy::source(path) {
        Ok(Ok(source)) => match check(path, &source, view) {
            Ok(looked) => (source, looked),
            Err(failure) => return found.unreadable(report, failure),
        },
        Ok(Err((source, diagnostic))) => {
            (source, Looked { diagnostics: vec![diagnostic], ..Looked::default() })
        }
        Err(failure) => return found.unreadable(report, failure),
    };
    let Looked { mut diagnostics, watched, cost } = looked;
    diagnostics = settings.told(diagnostics);
    diagnostics.retain(|one| !(found.never_told && one.code == codes::NEVER_IS_OURS));
    found.never_told |= diagnostics.iter().any(|one| one.code == codes::NEVER_IS_OURS);
    found.diagnostics.extend(tell(report, &source, &diagnostics));
    found.exit = found.exit.max(exit_of(&diagnostics));
    let verdict = if diagnostics.is_empty() { "ok".to_owned() } else { count(&diagnostics) };
    report.remark(format_args!("{}: {verdict}", files::name(path)));
    watched.iter().for_each(|line| report.remark(format_args!("    {line}")));
    if let Some(Cost { class, code }) = cost {
        report.remark(format_args!("    cost of a decision: {class}"));
        if !code {
            report.remark(format_args!(
                "    more than {REVIEWED} rules: whether their code fits the kernel's limits, `oomc build` says"
            ));
        }
        found.costs.push(json!({ "file": files::name(path), "cost": class, "code": code }));
    }
}

/// What of a policy's blocks works on a kernel, a line each; nothing for a policy without blocks.
fn watched(policy: Option<&Policy>, view: &KernelView) -> Vec<String> {
    let Some(policy) = policy.filter(|policy| !policy.blocks.is_empty()) else { return Vec::new() };
    let told = watchable(policy, view).into_iter().map(|(what, works)| format!("{what}: {}", works.told()));
    let hook = match (view.has_hook(), policy.bare_rules().is_empty()) {
        (_, true) => None,
        (true, false) => Some("rules outside of blocks: asked when memory has run out"),
        (false, false) => Some("rules outside of blocks: asked at the limit, the kernel has no hook"),
    };
    told.chain(hook.map(str::to_owned)).collect()
}

/// What there is to say of a file.
#[derive(Default)]
pub(crate) struct Looked {
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What of its blocks works on the kernel.
    watched: Vec<String>,
    /// None: it has an error, or is a file of tests.
    cost: Option<Cost>,
}

struct Cost {
    /// How the work of a decision grows.
    class: String,
    /// Code was made.
    code: bool,
}

/// What is said of a file: of a policy with how its work grows, or of tests, which are read with the policy that they
/// belong to.
pub(crate) fn check(path: &Path, source: &Source, view: &KernelView) -> Result<Looked, Failure> {
    if path.extension().is_none_or(|extension| extension != "oomt") {
        return Ok(of_policy(source, view));
    }
    let policy = match policy::source(&path.with_extension("oom"))? {
        Ok(policy) => policy,
        Err((policy, _)) => return Err(Failure::refused(format!("{} is no text", policy.name))),
    };
    let checked = Parsed::new(policy).with_tests(source.clone()).check(view);
    let diagnostics = checked.beside().map_or_else(Vec::new, |beside| beside.diagnostics.clone());
    Ok(Looked { diagnostics, ..Looked::default() })
}

fn of_policy(source: &Source, view: &KernelView) -> Looked {
    let parsed = Parsed::new(source.clone());
    let has_blocks = parsed.file().clauses.iter().any(|clause| matches!(clause.kind, ClauseKind::Watch(_)));
    if !has_blocks {
        return looked(&parsed.check(view), Vec::new());
    }
    // A kernel without the hook asks nobody, but its blocks are asked there: what of them works is told beside.
    let embedded = KernelView::embedded();
    let asked = parsed.check(&embedded);
    let watched = watched(asked.policy(), view);
    if view.has_hook() || asked.policy().is_none() {
        return looked(&Parsed::new(source.clone()).check(view), watched);
    }
    looked(&asked, watched)
}

fn looked(checked: &Checked<'_>, watched: Vec<String>) -> Looked {
    // The compiler, not the front end alone: a policy that does not fit is found here, too.
    let (diagnostics, code) = checked.review();
    let cost = checked.policy().map(|policy| Cost { class: complexity::class(policy).text(), code });
    Looked { diagnostics, watched, cost }
}
