//! Draws the tree, for a page or as part of a document.
//!
//! Each row carries what it shows as data attributes, and as a sentence that viewers show over it.

use std::fmt::Display;

use crate::fold::What;
use crate::layout::{Area, Form, Head, Layout, Placed, layout};
use crate::markup::{Attribute, Markup};
use crate::symbols::{baseline, cross, label, legend, legend_height, number, rank, rectangle, shield};
use crate::words::{Role, count, percent, shortage, size, who};
use oomc_forecast::forecast::{Forecast, Node};

/// The tree for a page, in one of the forms.
pub(crate) fn tree(out: &mut Markup, forecast: &Forecast, form: &'static Form) {
    let layout = layout(forecast, form);
    let height = layout.height + legend_height(form);
    let class = format!("oomc {}", form.name);
    frame(out, forecast, form, &class, height, |out| draw(out, &layout));
}

pub(crate) fn frame(
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

pub(crate) fn draw(out: &mut Markup, layout: &Layout<'_>) {
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
