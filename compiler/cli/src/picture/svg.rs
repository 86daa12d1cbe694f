//! Draws the tree: in a document of its own with what belongs to it, or for a page that says the rest.
//!
//! Each row carries what it shows as data attributes, and as a sentence that viewers show over it.

use std::fmt::Display;

use super::colors;
use super::fold::What;
use super::layout::{Area, Form, Head, Layout, Placed, WIDE, layout};
use super::markup::{Attribute, Markup};
use super::words::{Role, count, cut, percent, shortage, size, who, wrap};
use crate::forecast::{Candidate, Forecast, Kind, Node, Protection};

/// Fonts that a machine has; names are in one of fixed width, so that their length is known.
pub(super) const FONTS: &str = ".oomc{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif;\
     font-size:13px;font-variant-numeric:tabular-nums}\
     .oomc text{unicode-bidi:isolate;white-space:pre}\
     .oomc .name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace}\
     .oomc .small{font-size:12px}.oomc .strong{font-weight:600}.oomc .title{font-size:22px;font-weight:600}\
     .oomc .lead{font-size:15px}.oomc .rank{font-size:11px;font-weight:600}";

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

/// The tree for a page, in one of the forms.
pub(super) fn tree(out: &mut Markup, forecast: &Forecast, form: &'static Form) {
    let layout = layout(forecast, form);
    let height = layout.height + legend_height(form);
    let class = format!("oomc {}", form.name);
    frame(out, forecast, form, &class, height, |out| draw(out, &layout));
}

/// A document.
pub(super) fn document(forecast: &Forecast) -> String {
    let layout = layout(forecast, &WIDE);
    // The heights of the parts are known only when they are drawn; the frame stands before them.
    let mut body = Markup::default();
    let mut y = head(&mut body, forecast);
    body.open("g", &[("transform", &format!("translate(0 {y})"))]);
    draw(&mut body, &layout);
    body.close();
    y += layout.height + legend_height(&WIDE);
    y = candidates(&mut body, forecast, y);
    y = protections(&mut body, forecast, y);
    let body = body.finish();

    let mut out = Markup::default();
    frame(&mut out, forecast, &WIDE, "oomc", y + 16, |out| {
        out.open("style", &[]);
        out.raw(FONTS);
        out.raw(&colors::drawing());
        out.close();
        out.raw(&body);
    });
    out.finish()
}

fn frame(
    out: &mut Markup,
    forecast: &Forecast,
    form: &Form,
    class: &str,
    height: i64,
    inside: impl FnOnce(&mut Markup),
) {
    let (width, name) = (form.width, form.name);
    let labels = format!("{name}-title {name}-desc");
    out.open(
        "svg",
        &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("class", &class),
            ("viewBox", &format!("0 0 {width} {height}")),
            ("width", &width),
            ("height", &height),
            ("role", &"img"),
            ("aria-labelledby", &labels),
        ],
    );
    out.leaf("title", &[("id", &format!("{name}-title"))], format_args!("What {} would do", forecast.policy));
    out.leaf("desc", &[("id", &format!("{name}-desc"))], description(forecast));
    inside(out);
    out.close();
    out.line();
}

/// The picture for those who do not see it.
fn description(forecast: &Forecast) -> String {
    let cgroups = count(forecast.tree.len(), "cgroup", "cgroups");
    let victim = match &forecast.victim {
        Some(victim) => format!("Victim: {}, marked with a cross.", who(victim)),
        None => "No victim.".to_owned(),
    };
    format!(
        "Memory runs out in {}: {cgroups} with bars for their usage. {}. {victim} {} are numbered by rank.",
        shortage(forecast),
        forecast.summary,
        count(forecast.candidates.len(), "candidate", "candidates"),
    )
}

fn draw(out: &mut Markup, layout: &Layout<'_>) {
    let form = layout.form;
    let clip = format!("{}-names", form.name);
    if let Some(first) = layout.rows.first() {
        out.open("clipPath", &[("id", &clip)]);
        let width = first.name.right();
        out.empty("rect", &[("x", &0), ("y", &0), ("width", &width), ("height", &layout.height)]);
        out.close();
    }
    for Head { area, text, left } in &layout.heads {
        match left {
            true => label(out, area.x, area, "quiet small", text),
            false => number(out, *area, "quiet small", &[], text),
        }
    }
    for row in &layout.rows {
        draw_row(out, row, form, &clip);
    }
    legend(out, form, layout.height);
}

fn draw_row(out: &mut Markup, placed: &Placed<'_>, form: &Form, clip: &str) {
    let Placed { row, role, area, name, .. } = placed;
    let facts = data(&row.what);
    let facts: Vec<Attribute<'_>> =
        facts.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
    out.line();
    out.open("g", &facts);
    out.leaf("title", &[], sentence(placed));
    if role.victim && !role.inside {
        let (x, y) = (2, area.y + 1);
        let (width, height) = (area.width - 4, area.height - 2);
        out.empty(
            "rect",
            &[("class", &"panel"), ("x", &x), ("y", &y), ("width", &width), ("height", &height), ("rx", &6)],
        );
    }
    if let Some((x, top, middle, end)) = placed.guide {
        let path = format!("M{x}.5 {top}V{middle}.5H{end}");
        out.empty("path", &[("class", &"guide"), ("d", &path)]);
    }
    let rest = matches!(row.what, What::Rest(_));
    let strong = if role.victim && !role.inside { " strong" } else { "" };
    let class = if rest { "quiet".to_owned() } else { format!("name ink{strong}") };
    let base = baseline(name);
    let clip = format!("url(#{clip})");
    let mut attributes: Vec<Attribute<'_>> =
        vec![("class", &class), ("x", &name.x), ("y", &base), ("data-says", &"name")];
    if !rest {
        attributes.push(("clip-path", &clip));
    }
    out.leaf("text", &attributes, &placed.text);
    if !rest {
        draw_role(out, *role, placed.role_box);
    }
    draw_bar(out, placed);
    for (what, area, text) in &placed.numbers {
        let class = match (*what, form.name) {
            ("usage", "wide") => "ink",
            (_, "wide") => "quiet",
            _ => "ink small",
        };
        number(out, *area, class, &[("data-says", what)], text);
    }
    out.close();
}

/// Candidates have their rank in a circle, the victim a cross, whoever is protected a shield; and each its word.
fn draw_role(out: &mut Markup, role: Role, room: Area) {
    let middle = room.middle();
    if let Some(place) = role.candidate {
        rank(out, room.x + 9, middle, place);
    }
    if role.victim {
        cross(out, room.x + 30, middle);
    } else if role.protected {
        shield(out, room.x + 30, middle);
    }
    let class = match role {
        Role { victim: true, inside: true, .. } => "victim",
        Role { victim: true, .. } => "victim strong",
        Role { candidate: Some(_), .. } => "quiet",
        _ => "protected",
    };
    if !role.word().is_empty() {
        let x = if role.victim || role.protected { room.x + 43 } else { room.x + 22 };
        let base = baseline(&room);
        out.leaf("text", &[("class", &class), ("x", &x), ("y", &base), ("data-says", &"role")], role.word());
    }
}

fn draw_bar(out: &mut Markup, placed: &Placed<'_>) {
    if let Some(track) = placed.bar.track {
        // Half a unit inside, so that the edge is sharp and stays in the box.
        let (width, height) = ((track.width - 1).max(1), track.height - 1);
        out.empty(
            "rect",
            &[
                ("class", &"track"),
                ("x", &format!("{}.5", track.x)),
                ("y", &format!("{}.5", track.y)),
                ("width", &width),
                ("height", &height),
                ("rx", &2),
            ],
        );
    }
    if let Some(fill) = placed.bar.fill {
        rectangle(out, placed.role.class(), fill, &[("data-bar", &"usage")]);
    }
    if let Some(x) = placed.bar.mark {
        let room = placed.bar.room;
        let path = format!("M{x} {}V{}", room.y - 3, room.bottom() + 3);
        out.empty("path", &[("class", &"mark"), ("stroke-width", &2), ("d", &path)]);
    }
}

/// What a program reads of a row.
fn data(what: &What<'_>) -> Vec<(&'static str, String)> {
    let mut data = Vec::new();
    let role = match what {
        What::Cgroup { node, .. } => {
            data.extend([("data-kind", "cgroup".to_owned()), ("data-path", node.path.clone())]);
            data.extend([("data-usage", node.usage.to_string()), ("data-limit", node.limit.to_string())]);
            data.extend(node.own_limit.map(|limit| ("data-own-limit", limit.to_string())));
            data.push(("data-processes", node.processes.to_string()));
            Role::of_cgroup(node)
        }
        What::Process { process, node } => {
            data.extend([("data-kind", "process".to_owned()), ("data-path", node.path.clone())]);
            data.extend([("data-pid", process.pid.to_string()), ("data-name", process.name.clone())]);
            data.push(("data-usage", process.footprint.to_string()));
            Role::of_process(process)
        }
        What::Rest(rest) => {
            data.push(("data-kind", "rest".to_owned()));
            data.push(("data-cgroups", rest.cgroups.to_string()));
            data.push(("data-processes", rest.processes.to_string()));
            data.push(("data-usage", rest.bytes.to_string()));
            Role::default()
        }
    };
    data.extend(role.candidate.map(|place| ("data-candidate", place.to_string())));
    data.extend(role.victim.then(|| ("data-victim", "true".to_owned())));
    data.extend(role.protected.then(|| ("data-protected", "true".to_owned())));
    data
}

/// Everything of a row.
fn sentence(placed: &Placed<'_>) -> String {
    let mut facts = match placed.row.what {
        What::Cgroup { node, .. } => cgroup_facts(node),
        What::Process { process, .. } => vec![size(process.footprint)],
        What::Rest(_) => Vec::new(),
    };
    facts.extend(placed.role.facts());
    match facts.is_empty() {
        true => placed.full.clone(),
        false => format!("{}: {}", placed.full, facts.join(", ")),
    }
}

fn cgroup_facts(node: &Node) -> Vec<String> {
    let percent = percent(node).map(|percent| format!(" ({percent})")).unwrap_or_default();
    let own =
        node.own_limit.map_or("no limit of its own".to_owned(), |own| format!("own limit {}", size(own)));
    vec![
        format!("{} of {}{percent}", size(node.usage), size(node.limit)),
        own,
        count(node.processes, "process", "processes"),
    ]
}

fn legend_height(form: &Form) -> i64 {
    if form.name == WIDE.name { 44 } else { 16 + 24 * LEGEND.len() as i64 }
}

fn legend(out: &mut Markup, form: &Form, top: i64) {
    let wide = form.name == WIDE.name;
    let (mut x, mut y) = (form_left(form), top + 20);
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

fn form_left(form: &Form) -> i64 {
    if form.name == WIDE.name { 16 } else { 8 }
}

/// What stands above the tree; gives its height.
fn head(out: &mut Markup, forecast: &Forecast) -> i64 {
    let paper: [Attribute<'_>; 3] = [("class", &"paper"), ("width", &"100%"), ("height", &"100%")];
    out.empty("rect", &paper);
    let title = format!("What {} would do", forecast.policy);
    out.leaf("text", &[("class", &"title ink"), ("x", &16), ("y", &40)], cut(&title, 66));
    let mut y = 66;
    for line in wrap(&forecast.summary, 110) {
        out.leaf("text", &[("class", &"lead ink"), ("x", &16), ("y", &y)], line);
        y += 21;
    }
    let mut facts = vec![format!("Memory runs out in {}", shortage(forecast))];
    facts.push(format!("the policy is at {}", forecast.attached));
    facts.extend(forecast.rule.as_ref().map(|rule| format!("the rule {rule} decides")));
    facts.extend(forecast.by_the_kernel.then(|| "the kernel chooses".to_owned()));
    facts.extend(forecast.audit.then(|| "audit: nothing is done, only written down".to_owned()));
    for line in wrap(&facts.join(", "), 125) {
        out.leaf("text", &[("class", &"quiet"), ("x", &16), ("y", &y)], line);
        y += 19;
    }
    y + 6
}

fn section(out: &mut Markup, y: i64, title: &str) -> i64 {
    out.line();
    out.leaf("text", &[("class", &"lead ink strong"), ("x", &16), ("y", &(y + 32))], title);
    y + 42
}

fn candidates(out: &mut Markup, forecast: &Forecast, y: i64) -> i64 {
    if forecast.candidates.is_empty() {
        return y;
    }
    let mut y = section(out, y, "Candidates");
    for candidate in &forecast.candidates {
        let victim = forecast.victim.as_ref() == Some(&candidate.object);
        let Candidate { place, object, class, keys, processes, .. } = candidate;
        let line = Area { x: 16, y, width: 0, height: 20 };
        rank(out, 25, line.middle(), *place);
        if victim {
            cross(out, 48, line.middle());
        }
        let strong = if victim { "name ink strong" } else { "name ink" };
        label(out, 64, &line, strong, &cut(&who(object), 32));
        let mut facts: Vec<String> = keys.iter().map(|key| format!("{} {}", key.key, key.text)).collect();
        if victim {
            facts.insert(0, "victim".to_owned());
        }
        facts.extend((*class != "normal").then(|| (*class).to_owned()));
        facts.push(count(*processes, "process", "processes"));
        label(out, 336, &line, "ink", &cut(&facts.join(", "), 50));
        if object.kind == Kind::Process {
            label(out, 752, &line, "name quiet", &cut(&object.cgroup, 29));
        }
        y += 26;
    }
    y
}

fn protections(out: &mut Markup, forecast: &Forecast, y: i64) -> i64 {
    if forecast.protections.is_empty() {
        return y;
    }
    let mut y = section(out, y, "Protected");
    for Protection { clause, line, objects } in &forecast.protections {
        let room = Area { x: 16, y, width: 0, height: 20 };
        if !objects.is_empty() {
            shield(out, 25, room.middle());
        }
        let place = line.map(|line| format!("line {line}")).unwrap_or_default();
        label(out, 40, &room, "name ink", &cut(clause, 56));
        label(out, 508, &room, "quiet", &place);
        let names: Vec<String> = objects.iter().take(5).map(who).collect();
        let more = objects.len().saturating_sub(names.len());
        let names = match (names.is_empty(), more) {
            (true, _) => "nobody here".to_owned(),
            (false, 0) => cut(&names.join(", "), 50),
            (false, more) => {
                let more = format!(" and {} more", super::words::thousands(more));
                format!("{}{more}", cut(&names.join(", "), 50_usize.saturating_sub(more.len())))
            }
        };
        label(out, 576, &room, "ink", &names);
        y += 26;
    }
    y
}

/// A text that begins here, in the middle of the area's height.
fn label(out: &mut Markup, x: i64, area: &Area, class: &str, text: &str) {
    out.leaf("text", &[("class", &class), ("x", &x), ("y", &baseline(area))], text);
}

fn baseline(area: &Area) -> i64 {
    area.middle() + 5
}

/// A text that ends at the right of its box.
fn number(out: &mut Markup, area: Area, class: &str, more: &[Attribute<'_>], text: &str) {
    let (x, y) = (area.right(), baseline(&area));
    let mut attributes: Vec<Attribute<'_>> =
        vec![("class", &class), ("x", &x), ("y", &y), ("text-anchor", &"end")];
    attributes.extend(more);
    out.leaf("text", &attributes, text);
}

fn rectangle(out: &mut Markup, class: &str, area: Area, more: &[Attribute<'_>]) {
    let Area { x, y, width, height } = area;
    let mut attributes: Vec<Attribute<'_>> =
        vec![("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    attributes.extend(more);
    out.empty("rect", &attributes);
}

fn rank(out: &mut Markup, x: i64, y: i64, place: u32) {
    out.empty("circle", &[("class", &"candidate"), ("cx", &x), ("cy", &y), ("r", &9)]);
    let base = y + 4;
    out.leaf("text", &[("class", &"on rank"), ("x", &x), ("y", &base), ("text-anchor", &"middle")], place);
}

fn cross(out: &mut Markup, x: i64, y: i64) {
    out.empty("circle", &[("class", &"victim"), ("cx", &x), ("cy", &y), ("r", &9)]);
    let path = format!("M{} {}l7 7m0 -7l-7 7", f(x, -35), f(y, -35));
    out.empty(
        "path",
        &[("class", &"cross"), ("stroke-width", &2), ("stroke-linecap", &"round"), ("d", &path)],
    );
}

fn shield(out: &mut Markup, x: i64, y: i64) {
    let path = format!("M{x} {}l7 3v5c0 4 -3 7 -7 9c-4 -2 -7 -5 -7 -9v-5z", y - 9);
    out.empty("path", &[("class", &"protected"), ("d", &path)]);
    let tick = format!("M{} {y}l2.5 2.5l4 -5", f(x, -32));
    out.empty("path", &[("class", &"tick"), ("stroke-width", &1.6), ("d", &tick)]);
}

/// A number and so many tenths.
fn f(whole: i64, tenths: i64) -> String {
    let all = whole * 10 + tenths;
    format!("{}.{}", all / 10, (all % 10).abs())
}
