//! The parts of the page. They are in the program: nothing is read from a disk, and nothing comes from a network.

use crate::response::Response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, what it is, and its text.
const PARTS: [(&str, &str, &str); 9] = [
    ("", HTML, include_str!("../page/index.html")),
    ("page.css", CSS, include_str!("../page/page.css")),
    ("page.js", SCRIPT, include_str!("../page/page.js")),
    ("ask.js", SCRIPT, include_str!("../page/ask.js")),
    ("policy.js", SCRIPT, include_str!("../page/policy.js")),
    ("machine.js", SCRIPT, include_str!("../page/machine.js")),
    ("result.js", SCRIPT, include_str!("../page/result.js")),
    ("link.js", SCRIPT, include_str!("../page/link.js")),
    ("icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
];

/// CodeMirror, as `front/bundle.mjs` makes it of npm's packages, packed.
const EDITOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/editor.js.gz"));

/// A part; none: there is none of this name.
pub(crate) fn part(name: &str) -> Option<Response> {
    // The decision is drawn in the colours of pictures, and so is all the rest.
    if name == "picture.css" {
        return Some(Response::part(CSS, oomc_picture::stylesheet()));
    }
    if name == "editor.js" {
        return Some(Response::packed(SCRIPT, EDITOR));
    }
    let (_, content, text) = PARTS.iter().find(|(known, ..)| *known == name)?;
    Some(Response::part(content, *text))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_editor_is_unpacked_as_it_was() {
        let mut text = String::new();
        GzDecoder::new(EDITOR).read_to_string(&mut text).unwrap();
        assert_eq!(text, include_str!("../page/editor.js"));
        let mut sent = Vec::new();
        part("editor.js").unwrap().write(&mut sent).unwrap();
        assert!(sent.starts_with(b"HTTP/1.1 200 OK\r\n") && sent.ends_with(EDITOR));
        let head = String::from_utf8_lossy(&sent[..sent.len() - EDITOR.len()]);
        assert!(head.contains("\r\nContent-Encoding: gzip\r\n"), "{head}");
    }

    #[test]
    fn no_part_asks_for_anything_from_outside_or_has_a_style_or_a_script_inline() {
        for (name, _, text) in PARTS {
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
