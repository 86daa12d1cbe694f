//! Says where everything of the tree stands. Numbers are units of the drawing, from its upper left corner.
//!
//! Two forms: [`WIDE`] with a line for each row, and [`NARROW`], which has two and fits a telephone. What is drawn
//! of a row stands in boxes that do not overlap, and texts are cut so that they stay in theirs.

use crate::fold::{self, Row, What};
use crate::words::{Role, cut, percent, process, size};
use oomc_forecast::forecast::Forecast;

/// Width of a column of the font for names, in hundredths of its size: the widest of the usual ones.
const COLUMN: i64 = 62;

/// A form that the tree is drawn in.
#[derive(Debug)]
pub(crate) struct Form {
    /// For classes and ids.
    pub(crate) name: &'static str,
    pub(crate) width: i64,
    /// Height of a row.
    row: i64,
    /// Size of the font for names.
    pub(crate) font: i64,
    /// How far the deepest cgroup is indented at most.
    indent: i64,
    name_box: Area,
    role_box: Area,
    bar_box: Area,
    /// Numbers stand at the right of these. In the narrow form all are in the last.
    processes_box: Option<Area>,
    usage_box: Option<Area>,
    limit_box: Option<Area>,
    last_box: Area,
    /// Height of the line above the rows that names the columns.
    head: i64,
}

/// For screens and paper.
pub(crate) const WIDE: Form = Form {
    name: "wide",
    width: 1000,
    row: 28,
    font: 13,
    indent: 160,
    name_box: Area { x: 16, y: 4, width: 324, height: 20 },
    role_box: Area { x: 352, y: 4, width: 136, height: 20 },
    processes_box: Some(Area { x: 492, y: 4, width: 68, height: 20 }),
    bar_box: Area { x: 576, y: 8, width: 200, height: 12 },
    usage_box: Some(Area { x: 784, y: 4, width: 76, height: 20 }),
    limit_box: Some(Area { x: 864, y: 4, width: 76, height: 20 }),
    last_box: Area { x: 944, y: 4, width: 44, height: 20 },
    head: 26,
};

/// For telephones.
pub(crate) const NARROW: Form = Form {
    name: "narrow",
    width: 340,
    row: 46,
    font: 13,
    indent: 60,
    name_box: Area { x: 8, y: 4, width: 192, height: 19 },
    role_box: Area { x: 204, y: 4, width: 132, height: 19 },
    processes_box: None,
    bar_box: Area { x: 8, y: 27, width: 110, height: 12 },
    usage_box: None,
    limit_box: None,
    last_box: Area { x: 124, y: 24, width: 210, height: 18 },
    head: 0,
};

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: i64,
    pub(crate) y: i64,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

impl Area {
    fn below(self, y: i64) -> Self {
        Self { y: self.y + y, ..self }
    }

    pub(crate) fn right(self) -> i64 {
        self.x + self.width
    }

    pub(crate) fn bottom(self) -> i64 {
        self.y + self.height
    }

    pub(crate) fn middle(self) -> i64 {
        self.y + self.height / 2
    }
}

/// The tree in a form.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) form: &'static Form,
    pub(crate) height: i64,
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: Vec<Placed<'a>>,
}

/// The name of a column, above it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) area: Area,
    pub(crate) text: String,
    /// Begins at the left; otherwise it ends at the right, as numbers do.
    pub(crate) left: bool,
}

/// A row and where it stands.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) row: Row<'a>,
    pub(crate) role: Role,
    pub(crate) area: Area,
    pub(crate) name: Area,
    /// The name as far as it fits, and the whole of it.
    pub(crate) text: String,
    pub(crate) full: String,
    pub(crate) role_box: Area,
    pub(crate) bar: Bar,
    /// Numbers that end at the right of their boxes; what they are.
    pub(crate) numbers: Vec<(&'static str, Area, String)>,
    /// From the row above it in the tree: its corner, and the end at the name.
    pub(crate) guide: Option<(i64, i64, i64, i64)>,
}

/// What is used of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    /// Where bars may be.
    pub(crate) room: Area,
    /// What may be used; a process and a sum have no limit.
    pub(crate) track: Option<Area>,
    pub(crate) fill: Option<Area>,
    /// Where the own limit is, if that is within the scale.
    pub(crate) mark: Option<i64>,
}

/// Places the rows of a forecast.
pub(crate) fn layout<'a>(forecast: &'a Forecast, form: &'static Form) -> Layout<'a> {
    let rows = fold::rows(forecast);
    let scale = scale(&rows);
    let deepest = rows.iter().map(|row| row.depth).max().unwrap_or(0);
    let step = (form.indent / i64::try_from(deepest.max(1)).unwrap_or(i64::MAX)).clamp(1, 16);
    let indent =
        |depth: usize| i64::try_from(depth).unwrap_or(i64::MAX).saturating_mul(step).min(form.indent);

    let mut placed: Vec<Placed<'a>> = Vec::with_capacity(rows.len());
    // Middle of the last row of each depth, where the lines to what is below begin.
    let mut above: Vec<i64> = Vec::new();
    let mut y = form.head;
    for row in rows {
        let shift = indent(row.depth);
        let name =
            Area { x: form.name_box.x + shift, width: form.name_box.width - shift, ..form.name_box }.below(y);
        above.truncate(row.depth);
        // In two lines for each row they would cross the bars; where steps are small there is no room for them.
        let guide = above.last().filter(|_| form.head > 0 && step >= 10).map(|top| {
            let x = form.name_box.x + indent(row.depth.saturating_sub(1)) + 4;
            (x, *top, name.middle(), name.x - 4)
        });
        above.push(name.bottom() - 2);
        placed.push(place(row, form, scale, y, name, guide));
        y += form.row;
    }
    let heads = heads(form, scale);
    Layout { form, height: y + 4, heads, rows: placed }
}

/// Bars of one picture can be compared: they have one scale, what the domain may use. Nothing sticks out.
fn scale(rows: &[Row<'_>]) -> i64 {
    let most = rows.iter().map(|row| match row.what {
        What::Cgroup { node, .. } if row.depth == 0 => node.limit.max(node.usage),
        What::Cgroup { node, .. } => node.usage,
        What::Process { process, .. } => process.footprint,
        What::Rest(rest) => rest.bytes,
    });
    most.max().unwrap_or(1).max(1)
}

fn heads(form: &Form, scale: i64) -> Vec<Head> {
    let Form { processes_box, usage_box, limit_box, last_box, name_box, .. } = *form;
    let (Some(processes), Some(usage), Some(limit)) = (processes_box, usage_box, limit_box) else {
        return Vec::new();
    };
    let (zero, bar) = (20, Area { y: processes.y, height: processes.height, ..form.bar_box });
    let head = |area, text: &str, left| Head { area, text: text.to_owned(), left };
    vec![
        head(name_box, "Cgroup", true),
        head(processes, "Processes", false),
        head(Area { width: zero, ..bar }, "0", true),
        head(Area { x: bar.x + zero, width: bar.width - zero, ..bar }, &size(scale), false),
        head(usage, "Usage", false),
        head(limit, "Limit", false),
        head(last_box, "Used", false),
    ]
}

fn place<'a>(
    row: Row<'a>,
    form: &Form,
    scale: i64,
    y: i64,
    name: Area,
    guide: Option<(i64, i64, i64, i64)>,
) -> Placed<'a> {
    let room = form.bar_box.below(y);
    let bar =
        |bytes: i64| Some(Area { width: length(bytes, scale, room.width), ..room }).filter(|_| bytes > 0);
    let (full, short, role, bar) = match row.what {
        What::Cgroup { node, skipped } => {
            let mark = node.own_limit.filter(|limit| (0..=scale).contains(limit));
            let mark = mark.map(|limit| room.x + length(limit, scale, room.width));
            let bar = Bar { room, track: bar(node.limit), fill: bar(node.usage), mark };
            // The first row says where in the machine the picture is.
            let short = match row.depth {
                0 => node.path.clone(),
                _ if skipped => format!("…/{}", node.name),
                _ => node.name.clone(),
            };
            (node.path.clone(), short, Role::of_cgroup(node), bar)
        }
        What::Process { process: one, .. } => {
            let text = process(&one.name, one.pid);
            let bar = Bar { room, track: None, fill: bar(one.footprint), mark: None };
            (text.clone(), text, Role::of_process(one), bar)
        }
        What::Rest(rest) => {
            let bar = Bar { room, track: None, fill: bar(rest.bytes), mark: None };
            (rest.text(), rest.text(), Role::default(), bar)
        }
    };
    // A sum has nothing in the columns next to its name.
    let name = match row.what {
        What::Rest(_) => Area { width: form.role_box.right() - name.x, ..name },
        _ => name,
    };
    let columns = usize::try_from(name.width * 100 / (form.font * COLUMN)).unwrap_or(0);
    let area = Area { x: 0, y, width: form.width, height: form.row };
    let (text, role_box) = (cut(&short, columns), form.role_box.below(y));
    let numbers = numbers(&row.what, form, y);
    Placed { row, role, area, name, text, full, role_box, bar, numbers, guide }
}

/// How long so many bytes are: something is seen of everything that is more than nothing.
fn length(bytes: i64, scale: i64, width: i64) -> i64 {
    let exact = i128::from(bytes.max(0)) * i128::from(width) / i128::from(scale.max(1));
    i64::try_from(exact).unwrap_or(width).clamp(i64::from(bytes > 0), width)
}

fn numbers(what: &What<'_>, form: &Form, y: i64) -> Vec<(&'static str, Area, String)> {
    let usage = match what {
        What::Cgroup { node, .. } => size(node.usage),
        What::Process { process, .. } => size(process.footprint),
        What::Rest(rest) => size(rest.bytes),
    };
    let What::Cgroup { node, .. } = what else {
        return vec![("usage", form.usage_box.unwrap_or(form.last_box).below(y), usage)];
    };
    let (limit, percent) = (size(node.limit), percent(node));
    let (Some(processes), Some(used), Some(limits)) = (form.processes_box, form.usage_box, form.limit_box)
    else {
        let percent = percent.map(|percent| format!(", {percent}")).unwrap_or_default();
        return vec![("usage", form.last_box.below(y), format!("{usage} of {limit}{percent}"))];
    };
    vec![
        ("processes", processes.below(y), crate::words::thousands(node.processes)),
        ("usage", used.below(y), usage),
        ("limit", limits.below(y), limit),
        ("percent", form.last_box.below(y), percent.unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::samples;

    fn all() -> Vec<Forecast> {
        let mut wild = samples::small();
        // What no machine says, but a file may.
        wild.tree[0].usage = -5;
        wild.tree[0].limit = 0;
        wild.tree[1].usage = i64::MAX;
        wild.tree[1].limit = i64::MIN;
        wild.tree[2].own_limit = Some(i64::MAX);
        wild.tree[3].depth = 900;
        wild.tree[3].name = "x".repeat(300);
        let empty = Forecast::default();
        let four = [samples::small(), samples::large(), samples::deep(1000), samples::hostile()];
        four.into_iter().chain([wild, empty]).collect()
    }

    fn each(check: impl Fn(&Layout<'_>)) {
        for forecast in all() {
            for form in [&WIDE, &NARROW] {
                check(&layout(&forecast, form));
            }
        }
    }

    fn boxes(row: &Placed<'_>) -> Vec<Area> {
        let rest = matches!(row.row.what, What::Rest(_));
        let role = Some(row.role_box).filter(|_| !rest);
        let numbers = row.numbers.iter().map(|(_, area, _)| *area);
        [row.name, row.bar.room].into_iter().chain(role).chain(numbers).collect()
    }

    fn meet(one: Area, other: Area) -> bool {
        one.x < other.right() && other.x < one.right() && one.y < other.bottom() && other.y < one.bottom()
    }

    fn within(inner: Area, outer: Area) -> bool {
        inner.x >= outer.x
            && inner.y >= outer.y
            && inner.right() <= outer.right()
            && inner.bottom() <= outer.bottom()
    }

    #[test]
    fn rows_do_not_meet() {
        each(|layout| {
            for pair in layout.rows.windows(2) {
                assert!(pair[0].area.bottom() <= pair[1].area.y, "{pair:?}");
            }
            let canvas = Area { x: 0, y: 0, width: layout.form.width, height: layout.height };
            for row in &layout.rows {
                assert!(within(row.area, canvas), "{row:?}");
                assert!(layout.heads.iter().all(|head| !meet(head.area, row.area)), "{row:?}");
            }
        });
    }

    #[test]
    fn what_stands_in_a_row_does_not_meet() {
        each(|layout| {
            for row in &layout.rows {
                let boxes = boxes(row);
                for (at, one) in boxes.iter().enumerate() {
                    assert!(one.width > 0 && within(*one, row.area), "{row:?}");
                    assert!(boxes[at + 1..].iter().all(|other| !meet(*one, *other)), "{row:?}");
                }
            }
        });
    }

    #[test]
    fn texts_stay_in_their_boxes() {
        each(|layout| {
            for row in &layout.rows {
                let columns = row.text.width() as i64;
                assert!(columns * layout.form.font * COLUMN / 100 <= row.name.width, "{row:?}");
            }
        });
    }

    #[test]
    fn bars_stay_inside() {
        each(|layout| {
            for row in &layout.rows {
                let Bar { room, track, fill, mark } = row.bar;
                for part in track.into_iter().chain(fill) {
                    assert!(part.width > 0 && within(part, room), "{row:?}");
                }
                assert!(mark.is_none_or(|mark| (room.x..=room.right()).contains(&mark)), "{row:?}");
            }
        });
    }

    #[test]
    fn bars_are_as_long_as_the_usage() {
        let forecast = samples::small();
        let layout = layout(&forecast, &WIDE);
        let bar = |name: &str| layout.rows.iter().find(|row| row.text == name).unwrap().bar;
        let widths = |bar: Bar| (bar.fill.map(|fill| fill.width), bar.track.map(|track| track.width));
        // 200 units for 200MiB.
        assert_eq!(widths(bar("/job")), (Some(198), Some(200)));
        assert_eq!(widths(bar("api")), (Some(120), Some(128)));
        assert_eq!(widths(bar("worker (812)")), (Some(96), None));
        assert_eq!(bar("api").mark, Some(WIDE.bar_box.x + 128));
        // 400MiB would be outside; the numbers say it.
        assert_eq!(bar("web").mark, None);
    }

    #[test]
    fn the_smallest_usage_is_seen() {
        assert_eq!(length(0, 1 << 40, 200), 0);
        assert_eq!(length(1, 1 << 40, 200), 1);
        assert_eq!(length(i64::MAX, i64::MAX, 200), 200);
    }
}
