//! Signs and texts that drawings are made of, and the legend that explains them.

use crate::layout::{Area, Form, WIDE};
use crate::markup::{Attribute, Markup};

/// What the legend explains, in the order in which it stands.
const LEGEND: [(Symbol, &str); 5] = [
    (Symbol::Bar, "used, of what may be used"),
    (Symbol::Mark, "the cgroup's own limit"),
    (Symbol::Rank, "candidate, by rank"),
    (Symbol::Cross, "victim"),
    (Symbol::Shield, "protected"),
];

#[derive(Clone, Copy)]
enum Symbol {
    Bar,
    Mark,
    Rank,
    Cross,
    Shield,
}

pub(crate) fn legend_height(form: &Form) -> i64 {
    if form.name == WIDE.name { 44 } else { 16 + 24 * LEGEND.len() as i64 }
}

pub(crate) fn legend(out: &mut Markup, form: &Form, top: i64) {
    let wide = form.name == WIDE.name;
    let (mut x, mut y) = (left(form), top + 20);
    out.line();
    out.open("g", &[("class", &"legend")]);
    for (symbol, text) in LEGEND {
        let end = match symbol {
            Symbol::Bar => {
                let track = Area { x, y: y - 6, width: 32, height: 12 };
                rectangle(out, "track", track, &[("rx", &2)]);
                rectangle(out, "plain", Area { width: 20, ..track }, &[]);
                track.right()
            }
            Symbol::Mark => {
                let path = format!("M{} {}V{}", x + 5, y - 9, y + 9);
                out.empty("path", &[("class", &"mark"), ("stroke-width", &2), ("d", &path)]);
                x + 8
            }
            Symbol::Rank => {
                rank(out, x + 9, y, 1);
                x + 18
            }
            Symbol::Cross => {
                cross(out, x + 9, y);
                x + 18
            }
            Symbol::Shield => {
                shield(out, x + 9, y);
                x + 18
            }
        };
        out.leaf("text", &[("class", &"quiet small"), ("x", &(end + 7)), ("y", &(y + 4))], text);
        if wide {
            x = end + 7 + 7 * text.len() as i64 + 20;
        } else {
            y += 24;
        }
    }
    out.close();
}

fn left(form: &Form) -> i64 {
    if form.name == WIDE.name { 16 } else { 8 }
}

/// A text that begins here, in the middle of the area's height.
pub(crate) fn label(out: &mut Markup, x: i64, area: &Area, class: &str, text: &str) {
    out.leaf("text", &[("class", &class), ("x", &x), ("y", &baseline(area))], text);
}

pub(crate) fn baseline(area: &Area) -> i64 {
    area.middle() + 5
}

/// A text that ends at the right of its box.
pub(crate) fn number(out: &mut Markup, area: Area, class: &str, more: &[Attribute<'_>], text: &str) {
    let (x, y) = (area.right(), baseline(&area));
    let mut attributes: Vec<Attribute<'_>> =
        vec![("class", &class), ("x", &x), ("y", &y), ("text-anchor", &"end")];
    attributes.extend(more);
    out.leaf("text", &attributes, text);
}

pub(crate) fn rectangle(out: &mut Markup, class: &str, area: Area, more: &[Attribute<'_>]) {
    let Area { x, y, width, height } = area;
    let mut attributes: Vec<Attribute<'_>> =
        vec![("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    attributes.extend(more);
    out.empty("rect", &attributes);
}

pub(crate) fn rank(out: &mut Markup, x: i64, y: i64, place: u32) {
    out.empty("circle", &[("class", &"candidate"), ("cx", &x), ("cy", &y), ("r", &9)]);
    let base = y + 4;
    out.leaf("text", &[("class", &"on rank"), ("x", &x), ("y", &base), ("text-anchor", &"middle")], place);
}

pub(crate) fn cross(out: &mut Markup, x: i64, y: i64) {
    out.empty("circle", &[("class", &"victim"), ("cx", &x), ("cy", &y), ("r", &9)]);
    let path = format!("M{} {}l7 7m0 -7l-7 7", tenths(x, -35), tenths(y, -35));
    out.empty(
        "path",
        &[("class", &"cross"), ("stroke-width", &2), ("stroke-linecap", &"round"), ("d", &path)],
    );
}

pub(crate) fn shield(out: &mut Markup, x: i64, y: i64) {
    let path = format!("M{x} {}l7 3v5c0 4 -3 7 -7 9c-4 -2 -7 -5 -7 -9v-5z", y - 9);
    out.empty("path", &[("class", &"protected"), ("d", &path)]);
    let tick = format!("M{} {y}l2.5 2.5l4 -5", tenths(x, -32));
    out.empty("path", &[("class", &"tick"), ("stroke-width", &1.6), ("d", &tick)]);
}

/// A number and so many tenths.
fn tenths(whole: i64, more: i64) -> String {
    let all = whole * 10 + more;
    format!("{}.{}", all / 10, (all % 10).abs())
}
