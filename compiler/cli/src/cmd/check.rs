//! `oomc check FILE…`

use std::path::{Path, PathBuf};

use oomc_compiler::diag::{Diagnostic, codes};
use oomc_compiler::hir::complexity;
use oomc_compiler::hir::watchable::watchable;
use oomc_compiler::{KernelView, Parsed, Source};
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
    let (source, mut diagnostics, cost) = match policy::source(path) {
        Ok(Ok(source)) => match check(path, &source, view) {
            Ok((diagnostics, cost)) => (source, diagnostics, cost),
            Err(failure) => return found.unreadable(report, failure),
        },
        Ok(Err((source, diagnostic))) => (source, vec![diagnostic], None),
        Err(failure) => return found.unreadable(report, failure),
    };
    diagnostics = settings.told(diagnostics);
    diagnostics.retain(|one| !(found.never_told && one.code == codes::NEVER_IS_OURS));
    found.never_told |= diagnostics.iter().any(|one| one.code == codes::NEVER_IS_OURS);
    found.diagnostics.extend(tell(report, &source, &diagnostics));
    found.exit = found.exit.max(exit_of(&diagnostics));
    let verdict = if diagnostics.is_empty() { "ok".to_owned() } else { count(&diagnostics) };
    report.remark(format_args!("{}: {verdict}", files::name(path)));
    watched(&source, view).iter().for_each(|line| report.remark(format_args!("    {line}")));
    if let Some(cost) = cost {
        report.remark(format_args!("    cost of a decision: {cost}"));
        found.costs.push(json!({ "file": files::name(path), "cost": cost }));
    }
}

/// What of a policy's blocks works on a kernel, a line each; nothing for a policy without blocks.
fn watched(source: &Source, view: &KernelView) -> Vec<String> {
    let embedded = KernelView::embedded();
    let checked = Parsed::new(source.clone()).check(&embedded);
    let Some(policy) = checked.policy().filter(|policy| !policy.blocks.is_empty()) else { return Vec::new() };
    let told = watchable(policy, view).into_iter().map(|(what, works)| format!("{what}: {}", works.told()));
    let hook = match (view.has_hook(), policy.bare_rules().is_empty()) {
        (_, true) => None,
        (true, false) => Some("rules outside of blocks: asked when memory has run out"),
        (false, false) => Some("rules outside of blocks: asked at the limit, the kernel has no hook"),
    };
    told.chain(hook.map(str::to_owned)).collect()
}

/// What is said of a file: of a policy with how its work grows, or of tests, which are read with the policy that they
/// belong to.
pub(crate) fn check(
    path: &Path,
    source: &Source,
    view: &KernelView,
) -> Result<(Vec<Diagnostic>, Option<String>), Failure> {
    if path.extension().is_none_or(|extension| extension != "oomt") {
        // A kernel without the hook asks nobody, but its blocks are asked there: what of them works is told beside.
        let embedded = KernelView::embedded();
        let asked = Parsed::new(source.clone()).check(&embedded);
        let has_blocks = asked.policy().is_some_and(|policy| !policy.blocks.is_empty());
        if !view.has_hook() && has_blocks {
            let cost = asked.policy().map(|policy| complexity::class(policy).text());
            return Ok((asked.compile().diagnostics, cost));
        }
        // The whole compiler, not the front end alone: a policy that does not fit is found here too.
        let checked = Parsed::new(source.clone()).check(view);
        let cost = checked.policy().map(|policy| complexity::class(policy).text());
        return Ok((checked.compile().diagnostics, cost));
    }
    let policy = match policy::source(&path.with_extension("oom"))? {
        Ok(policy) => policy,
        Err((policy, _)) => return Err(Failure::refused(format!("{} is no text", policy.name))),
    };
    let checked = Parsed::new(policy).with_tests(source.clone()).check(view);
    Ok((checked.beside().map_or_else(Vec::new, |beside| beside.diagnostics.clone()), None))
}
