//! A forecast in lines for people; `oomc-picture` draws the same.

use super::{AUDIT, Entity, Forecast};

/// Objects of a list that are named; the rest is counted.
const NAMED: usize = 5;

impl Forecast {
    /// In lines. With `trace`, how each rule ended, too.
    #[must_use]
    pub fn lines(&self, trace: bool) -> Vec<String> {
        lines(self, trace)
    }
}

fn lines(forecast: &Forecast, trace: bool) -> Vec<String> {
    let who = if forecast.system { "the machine".to_owned() } else { forecast.domain.clone() };
    let mut lines = vec![format!("when {who} runs out of memory: {}", forecast.summary)];
    lines.extend(forecast.nobody_asks.iter().map(|why| format!("    {why}")));
    if let Some(rule) = &forecast.rule {
        lines.push(format!(
            "    by rule \"{rule}\" of {}, attached to {}",
            forecast.policy, forecast.attached
        ));
    } else if forecast.unknown.is_empty() {
        lines.push(format!("    by no rule of {}, attached to {}", forecast.policy, forecast.attached));
    }
    if forecast.audit {
        lines.push(format!("    {AUDIT}"));
    }
    if let Some(victim) = forecast.victim.as_ref().filter(|_| !forecast.by_the_kernel) {
        lines.push(format!("    the victim: {}", victim.text()));
    }
    if forecast.dies.len() > 1 {
        lines.push(format!("    {} processes would die: {}", forecast.dies.len(), list(&forecast.dies)));
    }
    for remark in &forecast.remarks {
        lines.push(format!("    {remark}"));
    }
    if !forecast.candidates.is_empty() {
        lines.push("candidates, the best first:".to_owned());
    }
    for one in &forecast.candidates {
        let mut line = format!("    {}. {}", one.place, one.entity.text());
        if one.class != "normal" {
            line.push_str(&format!(", {}", one.class));
        }
        line.push_str(&match one.processes {
            1 => ", 1 process".to_owned(),
            count => format!(", {count} processes"),
        });
        for key in &one.keys {
            line.push_str(&format!("  {} {}", key.key, key.text));
        }
        if let Some(tie) = &one.tie {
            line.push_str(&format!("  ({tie})"));
        }
        lines.push(line);
    }
    if !forecast.protections.is_empty() {
        lines.push("protected:".to_owned());
    }
    for clause in &forecast.protections {
        let place = clause.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let whom = if clause.objects.is_empty() { clause.nobody().to_owned() } else { list(&clause.objects) };
        lines.push(format!("    {}{place}: {whom}", clause.clause));
    }
    if trace {
        lines.push("rules:".to_owned());
        lines.extend(forecast.rules.iter().map(|rule| format!("    \"{}\": {}", rule.rule, rule.end)));
    }
    lines
}

/// Some of them by name, and how many more there are.
fn list(objects: &[Entity]) -> String {
    let named: Vec<String> = objects.iter().take(NAMED).map(Entity::text).collect();
    match (named.is_empty(), objects.len().saturating_sub(NAMED)) {
        (true, _) => "nobody".to_owned(),
        (false, 0) => named.join(", "),
        (false, rest) => format!("{}, and {rest} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::{Asked, Candidate, Ended, KeyValue, Kind, Protection};

    #[test]
    fn a_forecast_reads_as_sentences() {
        let process = |id: i64, name: &str| Entity {
            kind: Kind::Process,
            id,
            name: name.to_owned(),
            cgroup: "/job".to_owned(),
        };
        let key = KeyValue { key: "footprint".to_owned(), value: Some(1 << 20), text: "1MiB".to_owned() };
        let forecast = Forecast {
            policy: "p".to_owned(),
            attached: "/job".to_owned(),
            domain: "/job".to_owned(),
            summary: "killed worker (7), about 1MiB".to_owned(),
            rule: Some("kill".to_owned()),
            victim: Some(process(7, "worker")),
            dies: vec![process(7, "worker"), process(8, "worker"), process(9, "sh")],
            candidates: vec![Candidate {
                place: 1,
                entity: process(7, "worker"),
                class: "preferred",
                keys: vec![key],
                processes: 3,
                frees: 3 << 20,
                tie: None,
            }],
            protections: vec![
                Protection {
                    clause: "never kill process where comm == \"sshd\"".to_owned(),
                    line: Some(4),
                    objects: (1..=7).map(|id| process(id, "sshd")).collect(),
                    asked: Asked::Everybody,
                },
                Protection {
                    clause: "oom_score_adj -1000".to_owned(),
                    line: None,
                    objects: Vec::new(),
                    asked: Asked::Everybody,
                },
                Protection {
                    clause: "never kill cgroup \"/x\"".to_owned(),
                    line: Some(5),
                    objects: Vec::new(),
                    asked: Asked::Some,
                },
            ],
            rules: vec![Ended { rule: "kill".to_owned(), end: "made progress".to_owned() }],
            ..Forecast::default()
        };
        let expected = "\
when /job runs out of memory: killed worker (7), about 1MiB
    by rule \"kill\" of p, attached to /job
    the victim: worker (7) in /job
    3 processes would die: worker (7) in /job, worker (8) in /job, sh (9) in /job
candidates, the best first:
    1. worker (7) in /job, preferred, 3 processes  footprint 1MiB
protected:
    never kill process where comm == \"sshd\" (line 4): sshd (1) in /job, sshd (2) in /job, \
sshd (3) in /job, sshd (4) in /job, sshd (5) in /job, and 2 more
    oom_score_adj -1000: nobody
    never kill cgroup \"/x\" (line 5): nobody of those that the rules that ran came to
rules:
    \"kill\": made progress";
        assert_eq!(lines(&forecast, true).join("\n"), expected);
        assert!(!lines(&forecast, false).join("\n").contains("rules:"));
    }
}
