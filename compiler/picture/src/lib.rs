//! Pictures of a forecast: a drawing that stands alone, and a page that holds it beside all facts.
//!
//! Takes a [`Forecast`] and gives text; the same forecast gives the same bytes. Neither needs a script, a font or
//! anything else from outside. Knows nothing of policies, files, or how the forecast was found out.
//!
//! A forecast goes through these files in this order: `fold` chooses what is drawn when there is too much,
//! `layout` says where, `tree` draws it; `svg` and `html` put the rest around it. All of them write through `markup`,
//! the only place that escapes.

mod colors;
mod fold;
mod html;
mod layout;
mod markup;
#[cfg(test)]
mod samples;
mod steps;
mod svg;
mod symbols;
mod tree;
mod words;

use oomc_forecast::Forecast;
use oomc_forecast::steps::Steps;

/// A drawing in a file of its own.
#[must_use]
pub fn svg(forecast: &Forecast) -> String {
    svg::document(forecast)
}

/// A page.
#[must_use]
pub fn html(forecast: &Forecast) -> String {
    html::page(forecast)
}

/// What stands on the page, without the page, for a page of somebody else that has the [`stylesheet`].
#[must_use]
pub fn inside(forecast: &Forecast) -> String {
    html::inside(forecast)
}

/// How a decision came about, likewise.
#[must_use]
pub fn steps(steps: &Steps) -> String {
    steps::steps(steps)
}

/// The styles of the page, and its colours as variables.
#[must_use]
pub fn stylesheet() -> String {
    html::stylesheet() + &html::more_variables()
}

/// Text from outside as pictures show it: what shows nothing, or turns the direction of text, is spelt out.
#[must_use]
pub fn visible(text: &str) -> String {
    markup::visible(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use oomc_tests::{browser, markup, page, root};

    use super::*;
    use oomc_forecast::forecast::Kind;

    fn all() -> Vec<(&'static str, Forecast)> {
        let mut kernel = samples::small();
        kernel.by_the_kernel = true;
        kernel.system = true;
        kernel.audit = true;
        kernel.rule = None;
        let mut cgroup = samples::small();
        let api = cgroup.tree[3].path.clone();
        for entity in [cgroup.victim.as_mut().unwrap(), &mut cgroup.candidates[0].entity] {
            (entity.kind, entity.name, entity.cgroup) = (Kind::Cgroup, "api".to_owned(), api.clone());
        }
        cgroup.tree[3].candidate = Some(1);
        cgroup.tree[3].marked.clear();
        let mut nothing = samples::small();
        nothing.victim = None;
        nothing.rule = None;
        nothing.candidates.clear();
        nothing.protections.clear();
        nothing.rules.clear();
        nothing.remarks.clear();
        for node in &mut nothing.tree {
            (node.victim, node.protected, node.candidate) = (false, false, None);
            node.marked.clear();
        }
        vec![
            ("small", samples::small()),
            ("large", samples::large()),
            ("deep", samples::deep(500)),
            ("hostile", samples::hostile()),
            ("the kernel's", kernel),
            ("a cgroup", cgroup),
            ("nothing", nothing),
        ]
    }

    #[test]
    fn pictures_say_what_the_forecast_says() {
        for (name, forecast) in all() {
            let json = serde_json::to_value(&forecast).unwrap();
            assert_eq!(page::compare(&html(&forecast), &json), [""; 0], "{name}");
            assert_eq!(page::compare_drawing(&svg(&forecast), &json), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_browser_reads_them_so() {
        for (name, forecast) in all() {
            let json = serde_json::to_value(&forecast).unwrap();
            let dom = browser::dom_of(&html(&forecast), "html").unwrap();
            assert_eq!(page::compare(&dom, &json), [""; 0], "{name}");
            // A browser that finds an error in XML shows what stands before it, and the error.
            let dom = browser::dom_of(&svg(&forecast), "svg").unwrap();
            assert!(!dom.contains("parsererror"), "{name}");
            assert_eq!(page::compare_drawing(&dom, &json), [""; 0], "{name}");
        }
    }

    #[test]
    fn the_same_forecast_gives_the_same_bytes() {
        for (name, forecast) in all() {
            assert_eq!(html(&forecast), html(&forecast.clone()), "{name}");
            assert_eq!(svg(&forecast), svg(&forecast.clone()), "{name}");
        }
    }

    #[test]
    fn a_page_of_5000_cgroups_has_a_picture_that_can_be_read() {
        let forecast = samples::large();
        assert!(forecast.tree.len() > 5000);
        let page = markup::parse(&html(&forecast)).unwrap();
        for class in ["oomc wide", "oomc narrow"] {
            let drawing = page.with("class", class).unwrap();
            assert!(drawing.having("data-kind").len() < 20, "{class}");
            assert!(drawing.text().contains("4,401 more cgroups, 34MiB together"), "{}", drawing.text());
        }
    }

    #[test]
    fn ids_are_unique_and_labels_exist() {
        let page = markup::parse(&html(&samples::small())).unwrap();
        let mut ids: Vec<&str> = page.having("id").iter().filter_map(|element| element.get("id")).collect();
        let labels = page.having("aria-labelledby");
        assert!(labels.len() > 5);
        for label in labels.iter().flat_map(|element| element.get("aria-labelledby").unwrap().split(' ')) {
            assert!(ids.contains(&label), "{label}");
        }
        let number = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), number);
    }

    #[test]
    fn tables_and_drawings_are_made_for_those_who_do_not_see_them() {
        let page = markup::parse(&html(&samples::small())).unwrap();
        for cell in page.named("th") {
            assert!(["row", "col"].contains(&cell.get("scope").unwrap()), "{cell:?}");
        }
        for drawing in page.named("svg") {
            assert_eq!(drawing.get("role"), Some("img"));
            let text = drawing.named("desc")[0].text();
            assert!(text.contains("Victim: worker (812), marked with a cross."), "{text}");
        }
        // Whoever has no mouse scrolls with the keyboard.
        assert!(page.with("class", "scroll").unwrap().get("tabindex") == Some("0"));
    }

    /// What people look at in a review, and what the comparison is tried on.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test compares files")]
    fn kept_pictures_are_what_is_drawn() {
        let forecast = samples::small();
        let json = format!("{}\n", serde_json::to_string_pretty(&forecast).unwrap());
        for (ending, text) in [("json", json), ("html", html(&forecast)), ("svg", svg(&forecast))] {
            let file = root().join(format!("tests/pictures/small.{ending}"));
            if std::env::var_os("OOMC_BLESS").is_some() {
                fs::write(&file, &text).unwrap();
            }
            let kept = fs::read_to_string(&file).unwrap_or_default();
            assert!(kept == text, "{} is not what is drawn; OOMC_BLESS=1 rewrites it", file.display());
        }
    }
}
