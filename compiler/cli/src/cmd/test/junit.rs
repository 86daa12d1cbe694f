//! Results of tests in JUnit's format, which other programs read.

use oomc_forecast::Suite;
use oomc_forecast::test_run::Ran;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::exit::Failure;

/// All results in JUnit's format: a suite for each file.
pub(super) fn text(suites: &[Suite<'_>], ran: &[Ran]) -> Result<String, Failure> {
    let mut all = quick_junit::Report::new("oomc");
    for suite in suites {
        let mut own = TestSuite::new(suite.source().name.as_str());
        for (test, ran) in ran.iter().filter_map(|ran| {
            let (of, test) = ran.of(suites)?;
            std::ptr::eq(of, suite).then_some((test, ran))
        }) {
            let failures = ran.wrong();
            let status = match failures.first() {
                None => TestCaseStatus::success(),
                Some((_, first)) => {
                    let kind = match ran.result {
                        Ok(_) => NonSuccessKind::Failure,
                        Err(_) => NonSuccessKind::Error,
                    };
                    let mut status = TestCaseStatus::non_success(kind);
                    status.set_message(first.as_str());
                    status.set_description(ran.explain(suite).join("\n"));
                    status
                }
            };
            let mut case = TestCase::new(test.test.name.as_str(), status);
            case.set_classname(test.file.as_str()).set_time(ran.time);
            case.extra.insert("line".into(), test.test.line.to_string().into());
            own.add_test_case(case);
        }
        if own.tests > 0 {
            all.add_test_suite(own);
        }
    }
    all.to_string().map_err(|error| Failure::refused(format!("cannot write JUnit's format: {error}")))
}
