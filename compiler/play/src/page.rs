//! The parts of the page. They are in the program: nothing is read from a disk, and nothing comes from a network.

use crate::response::Response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, what it is, and its text.
const PARTS: [(&str, &str, &str); 10] = [
    ("", HTML, include_str!("../page/index.html")),
    ("page.css", CSS, include_str!("../page/page.css")),
    ("page.js", SCRIPT, include_str!("../page/page.js")),
    ("ask.js", SCRIPT, include_str!("../page/ask.js")),
    ("policy.js", SCRIPT, include_str!("../page/policy.js")),
    ("machine.js", SCRIPT, include_str!("../page/machine.js")),
    ("result.js", SCRIPT, include_str!("../page/result.js")),
    ("link.js", SCRIPT, include_str!("../page/link.js")),
    // CodeMirror, as `front/bundle.mjs` makes it of npm's packages.
    ("editor.js", SCRIPT, include_str!("../page/editor.js")),
    ("icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
];

/// A part; none: there is none of this name.
pub(crate) fn part(name: &str) -> Option<Response> {
    // The decision is drawn in the colours of pictures, and so is all the rest.
    if name == "picture.css" {
        return Some(Response::part(CSS, oomc_picture::stylesheet()));
    }
    let (_, content, text) = PARTS.iter().find(|(known, ..)| *known == name)?;
    Some(Response::part(content, *text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_asks_for_anything_from_outside_or_has_a_style_or_a_script_inline() {
        for (name, _, text) in PARTS.iter().filter(|(name, ..)| *name != "editor.js") {
            for word in
                ["http://", "https://", "//cdn", "style=", "onclick", "javascript:", "innerHTML", "eval("]
            {
                // A drawing names its kind by an address that nobody asks.
                let text = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
        let page = PARTS[0].2;
        assert!(!page.contains("<style") && !page.contains("<script>"), "{page}");
        let marks = ["src=\"", "href=\""];
        let behind = marks.iter().flat_map(|mark| page.split(mark).skip(1));
        for address in behind.filter_map(|rest| rest.split('"').next()) {
            assert!(address.starts_with('#') || part(address).is_some(), "{address}");
        }
    }
}
