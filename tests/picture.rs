//! A real browser shows the pictures of forecasts (Debian package chromium-headless-shell).
//!
//! What they say is compared with the forecast; what is seen of them is looked for in the browser's pixels.

#![expect(clippy::unwrap_used, reason = "a test whose browser cannot be started has failed")]

use std::path::{Path, PathBuf};

use oomc_tests::browser::{self, Window};
use oomc_tests::{page, read, root};
use oomc_vm::shown;
use serde_json::Value;

const WIDE: Window = Window { width: 1200, height: 1800, dark: false };
/// A small telephone.
const NARROW: Window = Window { width: 360, height: 2400, dark: false };

/// Colours of the bars in a light and in a dark window: of the victim, of who is protected, of others.
const LIGHT: [[u8; 3]; 3] = [[0xb3, 0x26, 0x1e], [0x17, 0x69, 0x4a], [0x6f, 0x7d, 0x90]];
const DARK: [[u8; 3]; 3] = [[0xff, 0x80, 0x79], [0x62, 0xc5, 0x96], [0x8f, 0x9c, 0xb0]];

fn kept(ending: &str) -> PathBuf {
    root().join(format!("tests/pictures/small.{ending}"))
}

/// How many pixels of a colour stand side by side at most.
fn longest(rows: &[Vec<[u8; 3]>], color: [u8; 3]) -> usize {
    let runs = |row: &Vec<[u8; 3]>| row.split(|pixel| *pixel != color).map(<[_]>::len).max();
    rows.iter().filter_map(runs).max().unwrap_or(0)
}

fn bars(file: &Path, window: Window) -> [usize; 3] {
    let rows = browser::seen(file, window).unwrap();
    let colors = if window.dark { DARK } else { LIGHT };
    colors.map(|color| longest(&rows, color))
}

#[test]
fn the_page_and_the_drawing_say_what_the_forecast_says() {
    let forecast: Value = serde_json::from_str(&read(&kept("json"))).unwrap();
    assert_eq!(page::compare(&browser::dom(&kept("html")).unwrap(), &forecast), [""; 0]);
    assert_eq!(page::compare_drawing(&browser::dom(&kept("svg")).unwrap(), &forecast), [""; 0]);
}

/// The book's page draws it in letters.
#[test]
fn the_page_of_the_book_says_what_the_drawing_says() {
    let page = read(&root().join("book/src/start/picture.md"));
    let drawing = read(&kept("svg"));
    let block = shown::blocks(&page).into_iter().find(|block| block.info == ["text"]).unwrap();
    let sign = |letter: char| !letter.is_ascii_alphanumeric() && !"()%/".contains(letter);
    let words = block.lines.iter().flat_map(|line| line.split(sign)).filter(|word| !word.is_empty());
    let missing: Vec<&str> = words.filter(|word| !drawing.contains(word)).collect();
    assert_eq!(missing, [""; 0]);
    assert_eq!(block.lines.len(), 8);
}

/// 96MiB, 41MiB and 198MiB, where 200 pixels are 200MiB.
#[test]
fn bars_are_seen_as_long_as_they_are() {
    assert_eq!(bars(&kept("html"), WIDE), [96, 41, 198]);
    assert_eq!(bars(&kept("svg"), Window { width: 1000, ..WIDE }), [96, 41, 198]);
}

#[test]
fn a_dark_window_has_its_own_colours() {
    assert_eq!(bars(&kept("html"), Window { dark: true, ..WIDE }), [96, 41, 198]);
    assert_eq!(bars(&kept("svg"), Window { width: 1000, dark: true, ..WIDE }), [96, 41, 198]);
    let rows = browser::seen(&kept("html"), Window { dark: true, ..WIDE }).unwrap();
    assert_eq!(rows[0][0], [0x14, 0x17, 0x1c], "the paper");
}

/// Bars are 110 units of 340, which take 328 pixels.
#[test]
fn a_telephone_shows_the_narrow_form_whole() {
    let rows = browser::seen(&kept("html"), NARROW).unwrap();
    let bars = LIGHT.map(|color| longest(&rows, color));
    let pixels = |mib: usize| mib * 110 / 200 * 328 / 340;
    for (bar, mib) in bars.into_iter().zip([96, 41, 198]) {
        assert!(bar.abs_diff(pixels(mib)) <= 2, "{bar} pixels for {mib}MiB, not {}", pixels(mib));
    }
    // What is too wide would stand in the margin at the right.
    let margin = rows.iter().flat_map(|row| &row[row.len() - 14..]);
    assert!(margin.copied().all(|pixel| pixel == [0xff; 3]));
    // And there is something to be seen in every part above the end of the page.
    let inked = rows.iter().filter(|row| row.iter().any(|pixel| *pixel != [0xff; 3])).count();
    assert!(inked > 600, "{inked}");
}
