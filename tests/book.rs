//! The book as a reader has it: each page that mdBook made, in a browser (Debian packages chromium and chromium-driver).
//!
//! Every link leads to a page and a part that are there, nothing is wider than the window, nothing is asked of another
//! machine, and no script fails. `OOMC_BOOK` names the folder of the built book; `cargo xtask book` builds it and runs
//! this.

#![expect(clippy::unwrap_used, reason = "a test whose browser cannot be started has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use oomc_tests::driver::{Driver, keys, lacks};
use oomc_tests::files;
use oomc_tests::site::Site;
use serde::Deserialize;
use serde_json::json;

/// A telephone, and a desk.
const WIDTHS: [u32; 2] = [400, 1280];

/// What is seen of a page.
#[derive(Deserialize)]
struct Seen {
    /// Where its links lead, as the browser reads them.
    links: Vec<String>,
    /// Its parts.
    parts: BTreeSet<String>,
    /// What it has loaded.
    loaded: Vec<String>,
    /// How many pixels lie beside the window.
    beside: i64,
    /// The first thing that reaches out of the window and does not scroll by itself.
    wide: Option<String>,
    /// Letters that are read.
    letters: usize,
    /// Blocks of policy in which nothing is coloured.
    plain: Vec<String>,
}

/// Parts of what scrolls by itself may lie beside the window. mdBook lets the whole page scroll sideways as well, so that what
/// reaches out of it does not make the document wider: around `main` nothing counts as something that scrolls.
const LOOK: &str = "
    const at = document.documentElement;
    const scrolls = (one) => {
        for (; one && !one.matches('main'); one = one.parentElement) {
            if (/auto|scroll|hidden/.test(getComputedStyle(one).overflowX)) return true;
        }
        return false;
    };
    const wide = [...document.querySelectorAll('main *')].find((one) =>
        one.getBoundingClientRect().right > at.clientWidth + 1 && !scrolls(one));
    return {
        links: [...document.querySelectorAll('a[href]')].map((one) => one.href),
        parts: [...document.querySelectorAll('[id]')].map((one) => one.id),
        loaded: performance.getEntriesByType('resource').map((one) => one.name),
        beside: at.scrollWidth - at.clientWidth,
        wide: wide ? wide.outerHTML.slice(0, 200) : null,
        letters: document.querySelector('main')?.textContent.length ?? 0,
        plain: [...document.querySelectorAll('code.language-oom')].filter((one) => !one.querySelector('[class^=hljs-]'))
            .map((one) => one.textContent),
    };";

/// The folder of the built book and a browser; none where one of them is not there.
fn open(width: u32) -> Option<(PathBuf, Driver)> {
    let Some(folder) = std::env::var_os("OOMC_BOOK").map(PathBuf::from) else {
        eprintln!("skipped: there is no built book; `cargo xtask book` builds it and runs this");
        return None;
    };
    if let Some(sentence) = lacks() {
        eprintln!("{sentence}");
        return None;
    }
    Some((folder, Driver::new(width, 900, false).unwrap()))
}

/// The files of the built book, by their paths in it.
fn names(folder: &Path) -> BTreeSet<String> {
    files(folder).iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
}

/// What is made for others than readers: a frame with the table of contents for who has no scripts, and the page of a
/// server that has no other answer, whose links begin at the top of that server.
const NO_PAGES: [&str; 2] = ["toc.html", "404.html"];

#[test]
fn every_page_can_be_read_and_every_link_followed() {
    for width in WIDTHS {
        let Some((folder, browser)) = open(width) else { return };
        let site = Site::new(&folder).unwrap();
        let names = names(&folder);
        let is_page = |name: &&String| name.ends_with(".html") && !NO_PAGES.contains(&name.as_str());
        let pages: Vec<&String> = names.iter().filter(is_page).collect();
        assert!(pages.len() > 100, "only {} pages were found", pages.len());
        let mut problems = Vec::new();
        let mut seen = BTreeMap::new();
        for page in &pages {
            let address = format!("{}/{page}", site.address);
            browser.open(&address).unwrap();
            let look: Seen = serde_json::from_value(browser.run(LOOK, &json!([])).unwrap()).unwrap();
            let mut wrong = |what: String| problems.push(format!("{page} at {width}: {what}"));
            if look.beside != 0 {
                wrong(format!("{} pixels lie beside the window", look.beside));
            }
            look.plain.iter().for_each(|block| wrong(format!("this is not coloured: {block}")));
            if let Some(wide) = &look.wide {
                wrong(format!("this reaches out of the window: {wide}"));
            }
            if look.letters < 20 {
                wrong("there is nothing to read".to_owned());
            }
            let elsewhere =
                look.loaded.iter().filter(|from| !from.starts_with(&format!("{}/", site.address)));
            elsewhere.for_each(|from| wrong(format!("loads {from}")));
            site.missing().into_iter().for_each(|what| wrong(format!("asks for {what}, which is not there")));
            browser.complaints().unwrap().into_iter().for_each(&mut wrong);
            seen.insert(address, look);
        }
        for (from, look) in &seen {
            let own = |link: &&String| link.starts_with(&format!("{}/", site.address));
            for link in look.links.iter().filter(own) {
                let (to, part) = link.split_once('#').unwrap_or((link, ""));
                let file = to.strip_prefix(&format!("{}/", site.address)).unwrap_or_default();
                match seen.get(to) {
                    // A file that is no page has no parts.
                    None if part.is_empty() && names.contains(file) => {}
                    None => problems.push(format!("{from} at {width}: leads nowhere: {link}")),
                    Some(page) if !part.is_empty() && !page.parts.contains(part) => {
                        problems.push(format!("{from} at {width}: there is no such part: {link}"));
                    }
                    Some(_) => {}
                }
            }
        }
        assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    }
}

#[test]
fn a_reader_finds_what_is_searched_for() {
    let Some((folder, browser)) = open(400) else { return };
    let site = Site::new(&folder).unwrap();
    browser.open(&format!("{}/index.html", site.address)).unwrap();
    browser.click("return document.querySelector('#mdbook-search-toggle, #search-toggle')").unwrap();
    browser.wait("return document.activeElement?.matches('input[type=search]')").unwrap();
    browser.type_keys("E0302").unwrap();
    let found = "return [...document.querySelectorAll('#mdbook-searchresults a, #searchresults a')]
        .find((one) => one.href.includes('errors/E0302.html'))";
    browser.click(found).unwrap();
    browser.wait("return location.pathname === '/errors/E0302.html'").unwrap();
    let heading = browser.wait("return document.querySelector('main h1')?.textContent").unwrap();
    assert!(heading.as_str().unwrap().starts_with("E0302: "), "{heading}");
    browser.type_keys(keys::TAB).unwrap();
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
    assert_eq!(site.missing(), [""; 0]);
}
