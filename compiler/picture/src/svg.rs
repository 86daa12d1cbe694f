//! Draws a document of its own: the tree, and the texts that belong to it.

use crate::colors;
use crate::layout::{Area, WIDE, layout};
use crate::markup::{Attribute, Markup};
use crate::symbols::{cross, label, legend_height, rank, shield};
use crate::tree::{draw, frame};
use crate::words::{count, cut, shortage, who, wrap};
use oomc_forecast::forecast::{AUDIT, Candidate, Forecast, Kind, Protection, Then};

/// Fonts that a machine has; names are in one of fixed width, so that their length is known.
pub(crate) const FONTS: &str = ".oomc{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif;\
     font-size:13px;font-variant-numeric:tabular-nums}\
     .oomc text{unicode-bidi:isolate;white-space:pre}\
     .oomc .name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace}\
     .oomc .small{font-size:12px}.oomc .strong{font-weight:600}.oomc .title{font-size:22px;font-weight:600}\
     .oomc .lead{font-size:15px}.oomc .rank{font-size:11px;font-weight:600}";

/// A document.
pub(crate) fn document(forecast: &Forecast) -> String {
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
    y = then(&mut body, forecast, y);
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

/// What stands above the tree; gives its height.
fn head(out: &mut Markup, forecast: &Forecast) -> i64 {
    let paper: [Attribute<'_>; 3] = [("class", &"paper"), ("width", &"100%"), ("height", &"100%")];
    out.empty("rect", &paper);
    let title = format!("What {} would do", forecast.policy);
    out.leaf("text", &[("class", &"title ink"), ("x", &16), ("y", &40)], cut(&title, 66));
    let mut y = 66;
    let summary = [Some(&forecast.summary), forecast.nobody_asks.as_ref()];
    for line in summary.into_iter().flatten().flat_map(|text| wrap(text, 110)) {
        out.leaf("text", &[("class", &"lead ink"), ("x", &16), ("y", &y)], line);
        y += 21;
    }
    let mut facts = vec![format!("Memory runs out in {}", shortage(forecast))];
    facts.push(format!("the policy is at {}", forecast.attached));
    facts.extend(forecast.rule.as_ref().map(|rule| format!("the rule {rule} decides")));
    facts.extend(forecast.by_the_kernel.then(|| "the kernel chooses".to_owned()));
    facts.extend(forecast.audit.then(|| AUDIT.to_owned()));
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
        let victim = forecast.victim.as_ref() == Some(&candidate.entity);
        let Candidate { place, entity, class, keys, processes, .. } = candidate;
        let line = Area { x: 16, y, width: 0, height: 20 };
        rank(out, 25, line.middle(), *place);
        if victim {
            cross(out, 48, line.middle());
        }
        let strong = if victim { "name ink strong" } else { "name ink" };
        label(out, 64, &line, strong, &cut(&who(entity), 32));
        let mut facts: Vec<String> = keys.iter().map(|key| format!("{} {}", key.key, key.text)).collect();
        if victim {
            facts.insert(0, "victim".to_owned());
        }
        facts.extend((*class != "normal").then(|| (*class).to_owned()));
        facts.push(count(*processes, "process", "processes"));
        label(out, 336, &line, "ink", &cut(&facts.join(", "), 50));
        if entity.kind == Kind::Process {
            label(out, 752, &line, "name quiet", &cut(&entity.cgroup, 29));
        }
        if let Some(tie) = &candidate.tie {
            y += 18;
            label(out, 336, &Area { y, ..line }, "quiet small", &cut(tie, 75));
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
    for protection in &forecast.protections {
        let Protection { clause, line, objects, .. } = protection;
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
            (true, _) => cut(protection.nobody(), 50),
            (false, 0) => cut(&names.join(", "), 50),
            (false, more) => {
                let more = format!(" and {} more", crate::words::thousands(more));
                format!("{}{more}", cut(&names.join(", "), 50_usize.saturating_sub(more.len())))
            }
        };
        label(out, 576, &room, "ink", &names);
        y += 26;
    }
    y
}

/// What the next events would bring.
fn then(out: &mut Markup, forecast: &Forecast, y: i64) -> i64 {
    if forecast.then.is_empty() {
        return y;
    }
    let mut y = section(out, y, "Then");
    for Then { event, summary, dies, .. } in &forecast.then {
        let who: Vec<String> = dies.iter().map(who).collect();
        let who = if who.is_empty() { String::new() } else { format!(": {}", who.join(", ")) };
        for line in wrap(&format!("{event}. {summary}{who}"), 120) {
            let room = Area { x: 16, y, width: 0, height: 20 };
            label(out, 16, &room, "ink", &line);
            y += 22;
        }
    }
    y
}
