//! Chooses the rows of the tree: everything if that can be read, otherwise what the decision is about.
//!
//! What is left out is summed up below the cgroup that it is in. The candidates and the victim always have a row;
//! the domain has the first.

use crate::words::{count, size};
use oomc_forecast::forecast::{Forecast, Marked, Node};

/// More rows than this nobody reads.
pub(crate) const MOST: usize = 200;
/// Protected processes of one cgroup that are drawn when there is too much.
const FEW: usize = 3;
/// Cgroups at the top, and above each that matters, that are drawn when a way down is too long.
const NEAR: usize = 6;

/// A row of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// In the picture: below the domain, which is at 0.
    pub(crate) depth: usize,
    pub(crate) what: What<'a>,
}

/// What stands in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// A cgroup; whether some between it and the one drawn above it are left out.
    Cgroup { node: &'a Node, skipped: bool },
    /// A process, and the cgroup that it is in.
    Process { process: &'a Marked, node: &'a Node },
    /// What is left out below the cgroup drawn above it.
    Rest(Rest),
}

/// A sum of what is not drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) cgroups: usize,
    pub(crate) processes: usize,
    /// How many of either are protected.
    pub(crate) protected: usize,
    /// What they use and is part of no other row below the same cgroup.
    pub(crate) bytes: i64,
}

impl Rest {
    /// In words.
    pub(crate) fn text(&self) -> String {
        let what = if self.processes > 0 {
            count(self.processes, "more process", "more processes")
        } else {
            count(self.cgroups, "more cgroup", "more cgroups")
        };
        let together = if self.cgroups + self.processes == 1 { "" } else { " together" };
        format!("{what}, {}{together}{}", size(self.bytes), self.protection())
    }

    /// How much of it is protected.
    fn protection(&self) -> String {
        match self.protected {
            0 => String::new(),
            all if all == self.cgroups + self.processes => ", protected".to_owned(),
            some => format!(", {} protected", crate::words::thousands(some)),
        }
    }
}

/// The rows, from the top.
pub(crate) fn rows(forecast: &Forecast) -> Vec<Row<'_>> {
    let tree = Tree::of(&forecast.tree);
    let mut rows = Vec::new();
    for effort in [Effort::All, Effort::Marked, Effort::Tops, Effort::Chosen, Effort::Near] {
        rows = tree.rows(effort);
        if rows.len() <= MOST {
            break;
        }
    }
    rows
}

/// How much is left out; each more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    /// Nothing.
    All,
    /// Who is neither candidate, victim nor protected, nor above one.
    Marked,
    /// And who is protected only because the cgroup above is; and processes that are, but for a few.
    Tops,
    /// And whoever is only protected.
    Chosen,
    /// And the middle of long ways down.
    Near,
}

/// The cgroups, and for each the one above it.
struct Tree<'a> {
    nodes: &'a [Node],
    /// Place in `nodes`; the domain is its own parent.
    parents: Vec<usize>,
}

impl<'a> Tree<'a> {
    fn of(nodes: &'a [Node]) -> Self {
        let mut way: Vec<usize> = Vec::new();
        let mut parents = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            way.truncate(node.depth);
            parents.push(way.last().copied().unwrap_or(0));
            way.push(at);
        }
        Self { nodes, parents }
    }

    fn parent(&self, at: usize) -> usize {
        self.parents.get(at).copied().unwrap_or(0)
    }

    fn node(&self, at: usize) -> Option<&'a Node> {
        self.nodes.get(at)
    }

    fn rows(&self, effort: Effort) -> Vec<Row<'a>> {
        let mut kept = self.kept(effort);
        // A row that sums up one cgroup is no shorter than the cgroup's own.
        let (above, rests) = (self.above(&kept), self.rests(&kept));
        for (keep, above) in kept.iter_mut().zip(above) {
            *keep |= rests.get(above).is_some_and(|rest| rest.cgroups == 1);
        }
        let (above, rests) = (self.above(&kept), self.rests(&kept));
        let is_kept = |at: usize| kept.get(at).copied().unwrap_or(false);
        let above = |at: usize| above.get(at).copied().unwrap_or(0);
        let mut rows: Vec<Row<'a>> = Vec::new();
        // Drawn cgroups whose children are being drawn.
        let mut open: Vec<usize> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| is_kept(*at)) {
            while open.last().is_some_and(|last| at != 0 && *last != above(at)) {
                let depth = open.len();
                rows.extend(open.pop().and_then(|last| rest_row(&rests, last, depth)));
            }
            let skipped = !is_kept(self.parent(at));
            rows.push(Row { depth: open.len(), what: What::Cgroup { node, skipped } });
            open.push(at);
            processes(&mut rows, node, open.len(), effort);
        }
        while let Some(last) = open.pop() {
            rows.extend(rest_row(&rests, last, open.len() + 1));
        }
        rows
    }

    /// For each cgroup the nearest drawn one above it.
    fn above(&self, kept: &[bool]) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::with_capacity(kept.len());
        for at in 0..kept.len() {
            let parent = self.parent(at);
            let drawn = kept.get(parent).copied().unwrap_or(false) || parent == at;
            all.push(if drawn { parent } else { all.get(parent).copied().unwrap_or(0) });
        }
        all
    }

    /// For each drawn cgroup what is left out below it.
    fn rests(&self, kept: &[bool]) -> Vec<Rest> {
        let is_kept = |at: usize| kept.get(at).copied().unwrap_or(false);
        let mut rests = vec![Rest::default(); self.nodes.len()];
        for (at, (node, above)) in self.nodes.iter().zip(self.above(kept)).enumerate() {
            let Some(rest) = rests.get_mut(above) else { continue };
            let (kept, hangs_on_kept) = (is_kept(at), is_kept(self.parent(at)));
            if !kept {
                rest.cgroups += 1;
                rest.protected += usize::from(node.protected);
            }
            // What is left out, without what is drawn of it.
            match (kept, hangs_on_kept) {
                (false, true) => rest.bytes = rest.bytes.saturating_add(node.usage),
                (true, false) => rest.bytes = rest.bytes.saturating_sub(node.usage),
                _ => {}
            }
        }
        rests
    }

    /// Who gets a row.
    fn kept(&self, effort: Effort) -> Vec<bool> {
        let mut kept = vec![effort == Effort::All; self.nodes.len()];
        for at in (0..self.nodes.len()).filter(|at| effort != Effort::All && self.matters(*at, effort)) {
            self.keep_way(&mut kept, at, effort);
        }
        if let Some(domain) = kept.first_mut() {
            *domain = true;
        }
        kept
    }

    /// Keeps a cgroup and those above it.
    fn keep_way(&self, kept: &mut [bool], at: usize, effort: Effort) {
        let (mut at, mut steps) = (at, 0);
        loop {
            let depth = self.node(at).map_or(0, |node| node.depth);
            let near = effort < Effort::Near || steps <= NEAR || depth < NEAR;
            match kept.get_mut(at) {
                // Shortened ways differ in what they keep of the same cgroups.
                Some(true) if effort < Effort::Near => return,
                Some(keep) => *keep |= near,
                None => return,
            }
            if at == 0 {
                return;
            }
            at = self.parent(at);
            steps += 1;
        }
    }

    fn matters(&self, at: usize, effort: Effort) -> bool {
        let Some(node) = self.node(at) else { return false };
        let chosen = |process: &Marked| process.candidate.is_some() || process.victim;
        let inherits = at != 0 && self.node(self.parent(at)).is_some_and(|above| above.protected);
        let protects = match effort {
            Effort::All | Effort::Marked => node.protected || !node.marked.is_empty(),
            Effort::Tops => (node.protected && !inherits) || !node.marked.is_empty(),
            Effort::Chosen | Effort::Near => false,
        };
        node.candidate.is_some() || node.victim || node.marked.iter().any(chosen) || protects
    }
}

/// The row of what is left out below a cgroup, if something is.
fn rest_row<'a>(rests: &[Rest], at: usize, depth: usize) -> Option<Row<'a>> {
    let rest = rests.get(at).filter(|rest| rest.cgroups > 0)?;
    // Memory that is charged late can make a part larger than the whole.
    let rest = Rest { bytes: rest.bytes.max(0), ..*rest };
    Some(Row { depth, what: What::Rest(rest) })
}

/// The processes of a cgroup: the chosen ones in any case.
fn processes<'a>(rows: &mut Vec<Row<'a>>, node: &'a Node, depth: usize, effort: Effort) {
    let most = match effort {
        Effort::All | Effort::Marked => usize::MAX,
        Effort::Tops => FEW,
        Effort::Chosen | Effort::Near => 0,
    };
    let (mut spared, mut rest) = (0, Rest::default());
    for process in &node.marked {
        let chosen = process.candidate.is_some() || process.victim;
        if chosen || spared < most {
            spared += usize::from(!chosen);
            rows.push(Row { depth, what: What::Process { process, node } });
        } else {
            rest.processes += 1;
            rest.protected += usize::from(process.protected);
            rest.bytes = rest.bytes.saturating_add(process.footprint);
        }
    }
    if rest.processes > 0 {
        rows.push(Row { depth, what: What::Rest(rest) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// The rows as an indented text.
    fn picture(rows: &[Row<'_>]) -> Vec<String> {
        let text = |what: &What<'_>| match what {
            What::Cgroup { node, skipped: false } => node.name.clone(),
            What::Cgroup { node, skipped: true } => format!("…/{}", node.name),
            What::Process { process, .. } => format!("{} ({})", process.name, process.pid),
            What::Rest(rest) => rest.text(),
        };
        rows.iter().map(|row| format!("{}{}", "  ".repeat(row.depth), text(&row.what))).collect()
    }

    fn cgroups(rows: &[Row<'_>]) -> (usize, usize) {
        let drawn = rows.iter().filter(|row| matches!(row.what, What::Cgroup { .. })).count();
        let rest = |row: &Row<'_>| if let What::Rest(rest) = row.what { rest.cgroups } else { 0 };
        (drawn, rows.iter().map(rest).sum())
    }

    #[test]
    fn a_small_tree_is_drawn_whole() {
        let forecast = samples::small();
        assert_eq!(
            picture(&rows(&forecast)),
            [
                "job",
                "  db",
                "    postgres (700)",
                "  web",
                "    api",
                "      worker (812)",
                "      worker (813)",
                "      sh (801)",
                "    static",
            ]
        );
    }

    #[test]
    fn who_does_not_matter_is_summed_up() {
        let mut forecast = samples::small();
        // 300 cgroups of 1MiB below `/job/web`, each with one below it that uses half of it.
        samples::add_quiet(&mut forecast, "/job/web", 300);
        let rows = rows(&forecast);
        assert_eq!(
            picture(&rows),
            [
                "job",
                "  db",
                "    postgres (700)",
                "  web",
                "    api",
                "      worker (812)",
                "      worker (813)",
                "      sh (801)",
                // `static` (12MiB) and the 600 others.
                "    601 more cgroups, 312MiB together",
            ]
        );
        assert_eq!(cgroups(&rows), (4, 601));
    }

    #[test]
    fn protection_from_above_gives_way_first() {
        let mut forecast = samples::small();
        samples::add_quiet(&mut forecast, "/job/db", 300);
        for node in forecast.tree.iter_mut().filter(|node| node.path.starts_with("/job/db/")) {
            node.protected = true;
        }
        let rows = rows(&forecast);
        assert_eq!(
            picture(&rows)[1..4],
            ["  db", "    postgres (700)", "    600 more cgroups, 300MiB together, protected"]
        );
    }

    #[test]
    fn protected_processes_give_way() {
        let mut forecast = samples::small();
        let db = forecast.tree.iter_mut().find(|node| node.path == "/job/db").unwrap();
        db.marked = (0..5000).map(|pid| Marked { pid, footprint: 1 << 20, ..db.marked[0].clone() }).collect();
        let rows = rows(&forecast);
        assert_eq!(
            picture(&rows)[1..6],
            [
                "  db",
                "    postgres (0)",
                "    postgres (1)",
                "    postgres (2)",
                "    4,997 more processes, 4.9GiB together, protected",
            ]
        );
    }

    #[test]
    fn many_protected_cgroups_are_summed_up() {
        let mut forecast = samples::small();
        samples::add_quiet(&mut forecast, "/job/web", 2500);
        for node in forecast.tree.iter_mut().filter(|node| node.name.starts_with("quiet")) {
            node.protected = true;
        }
        let rows = rows(&forecast);
        assert_eq!(cgroups(&rows).0 + cgroups(&rows).1, forecast.tree.len());
        assert_eq!(
            picture(&rows)[8..],
            ["    5,001 more cgroups, 2.5GiB together, 5,000 protected"],
            "a row for one cgroup would be no shorter than the cgroup's"
        );
    }

    #[test]
    fn a_long_way_down_is_shortened() {
        let forecast = samples::deep(3000);
        let rows = rows(&forecast);
        assert!(rows.len() < 20, "{}", rows.len());
        let (drawn, rest) = cgroups(&rows);
        assert_eq!(drawn + rest, 3000);
        let picture = picture(&rows);
        assert_eq!(picture[6], format!("{}…/level2993", "  ".repeat(6)));
        // 3000MiB at the top, one less in each below it: what is left out is what the last one above the gap uses
        // more than the first one below it.
        assert_eq!(picture.last().unwrap().trim(), "2,987 more cgroups, 2.9GiB together");
        assert!(rows.iter().any(|row| matches!(row.what, What::Process { process, .. } if process.victim)));
    }

    #[test]
    fn candidates_and_the_victim_always_have_a_row() {
        for forecast in [samples::small(), samples::large(), samples::deep(500)] {
            let rows = rows(&forecast);
            assert!(rows.len() <= MOST, "{}", rows.len());
            let chosen = |row: &&Row<'_>| match row.what {
                What::Cgroup { node, .. } => node.candidate.is_some() || node.victim,
                What::Process { process, .. } => process.candidate.is_some() || process.victim,
                What::Rest(_) => false,
            };
            let cgroups = forecast.tree.iter().filter(|node| node.candidate.is_some() || node.victim).count();
            let all = forecast.tree.iter().flat_map(|node| &node.marked);
            let processes = all.filter(|one| one.candidate.is_some() || one.victim).count();
            assert_eq!(rows.iter().filter(chosen).count(), cgroups + processes);
            let (drawn, rest) = super::tests::cgroups(&rows);
            assert_eq!(drawn + rest, forecast.tree.len());
        }
    }
}
