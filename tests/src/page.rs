//! Compares what a page or drawing of a forecast says with the forecast.
//!
//! Takes the document as a browser has it, and the forecast as JSON; gives what differs. Says in its own words how
//! numbers and names are shown, and takes nothing from the code that draws them but the names of its marks.

use oomc_abi::amount::short;
use oomc_abi::fields::Measure;
use serde_json::Value;

use crate::markup::{Element, parse};

/// What the page says differently.
#[must_use]
pub fn compare(dom: &str, forecast: &Value) -> Vec<String> {
    let page = match parse(dom) {
        Ok(page) => page,
        Err(error) => return vec![error],
    };
    let mut differences = Differences::default();
    alone(&mut differences, &page);
    facts(&mut differences, &page, forecast);
    for class in ["oomc wide", "oomc narrow"] {
        match page.with("class", class) {
            Some(drawing) => rows(&mut differences, class, drawing, forecast),
            None => differences.say(class, "is missing"),
        }
    }
    numbers(&mut differences, &page, forecast);
    candidates(&mut differences, &page, forecast);
    let dies: Vec<_> = page.having("data-dies").into_iter().map(object).collect();
    differences.equal("dies", &dies, &list(forecast, "dies", |one| (who(one), place(one))));
    protections(&mut differences, &page, forecast);
    rules(&mut differences, &page, forecast);
    let remarks = texts(&page.having("data-remark"));
    differences.equal("remarks", &remarks, &list(forecast, "remarks", shown));
    differences.0
}

/// What the drawing in a file of its own says differently.
#[must_use]
pub fn compare_drawing(dom: &str, forecast: &Value) -> Vec<String> {
    let page = match parse(dom) {
        Ok(page) => page,
        Err(error) => return vec![error],
    };
    let mut differences = Differences::default();
    alone(&mut differences, &page);
    rows(&mut differences, "drawing", &page, forecast);
    differences.0
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn say(&mut self, where_: &str, what: &str) {
        self.0.push(format!("{where_}: {what}"));
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, says: &T, expected: &T) {
        if says != expected {
            self.0.push(format!("{what}: it says {says:?}, the forecast {expected:?}"));
        }
    }
}

/// Nothing is fetched, and nothing runs.
fn alone(differences: &mut Differences, page: &Element) {
    for element in page.all() {
        if ["script", "img", "link", "iframe", "object", "embed", "image", "use", "base"]
            .contains(&&*element.name)
        {
            differences.say(&element.name, "does not belong here");
        }
        for (name, value) in &element.attributes {
            let fetches = ["src", "href", "xlink:href", "srcset", "data"].contains(&&**name);
            if fetches || name.starts_with("on") || (name == "style" && value.contains("url(")) {
                differences.say(&element.name, &format!("has `{name}`"));
            }
        }
    }
    for style in page.named("style") {
        if style.text().contains("url(") || style.text().contains("@import") {
            differences.say("style", "fetches something");
        }
    }
}

fn facts(differences: &mut Differences, page: &Element, forecast: &Value) {
    let says = |fact: &str| page.with("data-fact", fact).map(Element::text);
    for fact in ["policy", "summary", "attached", "domain"] {
        differences.equal(fact, &says(fact), &Some(shown(&forecast[fact])));
    }
    let kernel = forecast["by_the_kernel"] == Value::Bool(true);
    let rule = Some(&forecast["rule"]).filter(|rule| !rule.is_null() && !kernel);
    differences.equal("rule", &says("rule"), &rule.map(shown));
    differences.equal("by the kernel", &says("by-the-kernel").is_some(), &kernel);
    differences.equal("system", &says("system").is_some(), &(forecast["system"] == Value::Bool(true)));
    let audit = says("mode").is_some_and(|mode| mode.starts_with("audit"));
    differences.equal("audit", &audit, &(forecast["audit"] == Value::Bool(true)));
    let victim = Some(&forecast["victim"])
        .filter(|victim| !victim.is_null())
        .map(|victim| (who(victim), place(victim)));
    differences.equal("victim", &page.with("data-fact", "victim").map(object), &victim);
}

/// The rows of a drawing against the tree; what it leaves out must be summed up, and be nobody of importance.
fn rows(differences: &mut Differences, class: &str, drawing: &Element, forecast: &Value) {
    let tree = array(forecast, "tree");
    let rows = drawing.having("data-kind");
    let of_kind = |kind: &str| {
        rows.iter().filter(|row| row.get("data-kind") == Some(kind)).copied().collect::<Vec<_>>()
    };
    let (cgroups, processes, rests) = (of_kind("cgroup"), of_kind("process"), of_kind("rest"));
    differences.equal(&format!("{class}: rows that anybody reads"), &(rows.len() <= 250), &true);

    let mut scales: Vec<(f64, f64)> = Vec::new();
    let mut bar = |row: &Element, bytes: i64| {
        let width =
            row.with("data-bar", "usage").and_then(|bar| bar.get("width")?.parse().ok()).unwrap_or(0.0);
        scales.push((width, bytes.max(0) as f64));
    };
    for row in &cgroups {
        let path = row.get("data-path").unwrap_or_default();
        let Some(node) = tree.iter().find(|node| shown(&node["path"]) == path) else {
            differences.say(class, &format!("{path}: there is no such cgroup"));
            continue;
        };
        let what = format!("{class}: {path}");
        bar(row, int(node, "usage"));
        drawn_name(differences, &what, row, &[shown(&node["name"]), shown(&node["path"])]);
        let inside = array(node, "marked").iter().any(|process| flag(process, "victim"));
        role(differences, &what, row, node, if inside { "victim inside" } else { "victim" });
        let numbers = row
            .having("data-says")
            .iter()
            .filter(|text| number(text))
            .map(|text| text.text())
            .collect::<Vec<_>>();
        let (usage, limit, share) = (bytes(node, "usage"), bytes(node, "limit"), share(node));
        let expected = match class {
            "oomc narrow" if share.is_empty() => vec![format!("{usage} of {limit}")],
            "oomc narrow" => vec![format!("{usage} of {limit}, {share}")],
            _ => vec![apart(int(node, "processes")), usage, limit, share],
        };
        differences.equal(&what, &numbers, &expected);
        // Over the row stands the whole of it, also where the name is cut.
        let (usage, limit) = (bytes(node, "usage"), bytes(node, "limit"));
        hint(differences, &what, row, &format!("{path}: {usage} of {limit}"));
        let own = node["own_limit"].as_i64().map(|own| own.to_string());
        differences.equal(&what, &row.get("data-own-limit").map(str::to_owned), &own);
    }
    for row in &processes {
        let (path, pid) = (row.get("data-path").unwrap_or_default(), row.get("data-pid").unwrap_or_default());
        let marked =
            tree.iter().filter(|node| shown(&node["path"]) == path).flat_map(|node| array(node, "marked"));
        let Some(process) = marked.into_iter().find(|process| int(process, "pid").to_string() == pid) else {
            differences.say(class, &format!("{path} {pid}: there is no such process"));
            continue;
        };
        let what = format!("{class}: {path} {pid}");
        bar(row, int(process, "footprint"));
        drawn_name(differences, &what, row, &[process_name(process)]);
        role(differences, &what, row, process, "victim");
        let usage = row.with("data-says", "usage").map(Element::text);
        differences.equal(&what, &usage, &Some(bytes(process, "footprint")));
        hint(differences, &what, row, &format!("{}: {}", process_name(process), bytes(process, "footprint")));
    }
    indentation(differences, class, &cgroups, tree);
    // Two units: half of one is lost by rounding at either end, and the least that is drawn is one.
    let (longest, most) = scales
        .iter()
        .copied()
        .fold((0.0_f64, 0.0_f64), |(width, bytes), one| (width.max(one.0), bytes.max(one.1)));
    for (width, bytes) in scales {
        if (width - bytes / most.max(1.0) * longest).abs() > 2.0 {
            differences
                .say(class, &format!("a bar of {bytes} bytes is {width} long, one of {most} is {longest}"));
        }
    }

    let sum = |attribute: &str| {
        rests.iter().filter_map(|row| row.get(attribute)?.parse::<usize>().ok()).sum::<usize>()
    };
    differences.equal(&format!("{class}: cgroups"), &(cgroups.len() + sum("data-cgroups")), &tree.len());
    let all: Vec<&Value> = tree.iter().flat_map(|node| array(node, "marked")).collect();
    // Processes of cgroups that are left out are left out with them.
    differences.equal(
        &format!("{class}: processes"),
        &(processes.len() + sum("data-processes") <= all.len()),
        &true,
    );
    let chosen = |one: &&&Value| !one["candidate"].is_null() || flag(one, "victim");
    let drawn = |rows: &[&Element]| {
        rows.iter().filter(|row| row.get("data-candidate").or(row.get("data-victim")).is_some()).count()
    };
    differences.equal(
        &format!("{class}: cgroups that matter"),
        &drawn(&cgroups),
        &tree.iter().collect::<Vec<_>>().iter().filter(chosen).count(),
    );
    differences.equal(
        &format!("{class}: processes that matter"),
        &drawn(&processes),
        &all.iter().filter(chosen).count(),
    );
    for row in rests {
        let text = row.with("data-says", "name").map(Element::text).unwrap_or_default();
        let count = row
            .get("data-processes")
            .filter(|count| *count != "0")
            .or(row.get("data-cgroups"))
            .and_then(|count| count.parse().ok());
        differences.equal(class, &text.split(" more ").next().map(str::to_owned), &count.map(apart));
        let size = row
            .get("data-usage")
            .and_then(|bytes| bytes.parse().ok())
            .map(|bytes| short(Measure::Bytes, bytes));
        differences.equal(class, &row.with("data-says", "usage").map(Element::text), &size);
    }
}

/// What is deeper in the tree stands further to the right.
fn indentation(differences: &mut Differences, class: &str, rows: &[&Element], tree: &[Value]) {
    let place = |row: &Element| {
        let node = tree.iter().find(|node| Some(&*shown(&node["path"])) == row.get("data-path"))?;
        let x: i64 = row.with("data-says", "name")?.get("x")?.parse().ok()?;
        Some((int(node, "depth"), x))
    };
    let places: Vec<(i64, i64)> = rows.iter().filter_map(|row| place(row)).collect();
    // Where the middle of a way is left out, what is below it stands as if it were not there.
    let whole = rows.len() == tree.len();
    for (at, above) in places.iter().enumerate() {
        let others = places.iter().skip(at + 1).take(if whole { usize::MAX } else { 1 });
        for below in others {
            let (depths, places) = (above.0.cmp(&below.0), above.1.cmp(&below.1));
            if depths != places && (whole || depths.is_lt()) {
                let (above, below) =
                    (format!("depth {} is at {}", above.0, above.1), format!("{} at {}", below.0, below.1));
                differences.say(class, &format!("{above}, {below}"));
            }
        }
    }
}

/// What viewers show over a row begins so.
fn hint(differences: &mut Differences, what: &str, row: &Element, begin: &str) {
    let hint = row.named("title").first().map(|title| title.text()).unwrap_or_default();
    if !hint.starts_with(begin) {
        differences.say(what, &format!("its hint is {hint:?}, not {begin:?}"));
    }
}

/// A name is drawn whole, or its beginning.
fn drawn_name(differences: &mut Differences, what: &str, row: &Element, names: &[String]) {
    let text = row.with("data-says", "name").map(Element::text).unwrap_or_default();
    let end = text.strip_prefix("…/").unwrap_or(&text);
    let fits = |name: &String| match end.strip_suffix('…') {
        Some(begin) => !begin.is_empty() && name.starts_with(begin),
        None => name == end,
    };
    if !names.iter().any(fits) {
        differences.say(what, &format!("it is drawn as {text:?}"));
    }
}

/// Rank, victim and protection: as marks for programs, as words and numbers for people.
fn role(differences: &mut Differences, what: &str, row: &Element, one: &Value, victim: &str) {
    let place = one["candidate"].as_u64().map(|place| place.to_string());
    differences.equal(what, &row.get("data-candidate").map(str::to_owned), &place);
    differences.equal(what, &(row.get("data-victim") == Some("true")), &flag(one, "victim"));
    differences.equal(what, &(row.get("data-protected") == Some("true")), &flag(one, "protected"));
    let rank =
        row.all().into_iter().find(|part| part.get("class").is_some_and(|class| class.ends_with("rank")));
    differences.equal(what, &rank.map(Element::text), &place);
    let word = match (flag(one, "victim"), flag(one, "protected"), place.is_some()) {
        (true, _, _) => Some(victim),
        (_, true, _) => Some("protected"),
        (_, _, true) if one["class"] == "avoided" => Some("avoided"),
        (_, _, true) => Some("candidate"),
        _ => None,
    };
    differences.equal(what, &row.with("data-says", "role").map(Element::text), &word.map(str::to_owned));
}

/// The table of all numbers: cgroups and, below each, its processes.
fn numbers(differences: &mut Differences, page: &Element, forecast: &Value) {
    let Some(table) = page.with("id", "numbers") else {
        differences.say("numbers", "the table is missing");
        return;
    };
    let cells = |row: &Element| {
        row.all()
            .iter()
            .filter(|cell| ["th", "td"].contains(&&*cell.name))
            .map(|cell| cell.text())
            .collect::<Vec<_>>()
    };
    let says: Vec<Vec<String>> =
        table.named("tbody").iter().flat_map(|body| body.named("tr")).map(cells).collect();
    let mut expected = Vec::new();
    for node in array(forecast, "tree") {
        let path = shown(&node["path"]);
        let own = node["own_limit"].as_i64().map_or("none".to_owned(), |own| short(Measure::Bytes, own));
        let inside = array(node, "marked").iter().any(|process| flag(process, "victim"));
        let (usage, limit, processes) =
            (bytes(node, "usage"), bytes(node, "limit"), int(node, "processes").to_string());
        expected.push(vec![
            path.clone(),
            usage,
            own,
            limit,
            share(node),
            processes,
            role_words(node, inside),
        ]);
        for process in array(node, "marked") {
            let mut row = vec![format!("{} in {path}", process_name(process)), bytes(process, "footprint")];
            row.extend(vec![String::new(); 4]);
            row.push(role_words(process, false));
            expected.push(row);
        }
    }
    differences.equal("numbers", &says.len(), &expected.len());
    for (says, expected) in says.iter().zip(&expected) {
        differences.equal("numbers", says, expected);
    }
}

fn role_words(one: &Value, inside: bool) -> String {
    let mut words = Vec::new();
    words.extend(one["candidate"].as_u64().map(|place| format!("candidate {place}")));
    words.extend((one["class"] == "avoided").then(|| "avoided".to_owned()));
    if flag(one, "victim") {
        words.push(if inside { "victim inside" } else { "victim" }.to_owned());
    }
    if flag(one, "protected") {
        words.push("protected".to_owned());
    }
    words.join(", ")
}

fn candidates(differences: &mut Differences, page: &Element, forecast: &Value) {
    let rows: Vec<&Element> =
        page.named("tr").into_iter().filter(|row| row.get("data-candidate").is_some()).collect();
    let expected = array(forecast, "candidates");
    if let Some(why) = forecast["nobody_asks"].as_str() {
        differences.equal("nobody asks", &page.text().contains(why), &true);
    }
    differences.equal("candidates", &rows.len(), &expected.len());
    for (row, candidate) in rows.iter().zip(expected) {
        let what = format!("candidate {}", candidate["place"]);
        differences.equal(
            &what,
            &row.get("data-candidate").map(str::to_owned),
            &Some(candidate["place"].to_string()),
        );
        differences.equal(&what, &row.text().starts_with(&format!("{}. ", candidate["place"])), &true);
        differences.equal(&what, &object(row), &(who(candidate), place(candidate)));
        let says = |what: &str| row.with("data-says", what).map(Element::text);
        differences.equal(&what, &says("class"), &Some(shown(&candidate["class"])));
        differences.equal(&what, &says("processes"), &Some(candidate["processes"].to_string()));
        let tie = row.having("data-tie").first().map(|tie| tie.text().trim().to_owned());
        differences.equal(&what, &tie, &candidate["tie"].as_str().map(str::to_owned));
        let keys: Vec<(String, String)> = row
            .having("data-key")
            .iter()
            .map(|key| (key.get("data-key").unwrap_or_default().to_owned(), key.text()))
            .collect();
        let mut expected: Vec<(String, String)> =
            list(candidate, "keys", |key| (shown(&key["key"]), shown(&key["text"])));
        // Columns are in the order in which keys were first seen; a row may lack some.
        expected.sort();
        let mut sorted = keys.clone();
        sorted.sort();
        differences.equal(&what, &sorted, &expected);
        let same = |key: &str| forecast.pointer(&format!("/victim/{key}")) == candidate.get(key);
        let victim = ["kind", "id", "name", "cgroup"].into_iter().all(same);
        let marked = row.with("data-victim", "true").map(Element::text);
        differences.equal(&what, &marked, &victim.then(|| "✕ victim".to_owned()));
    }
}

fn protections(differences: &mut Differences, page: &Element, forecast: &Value) {
    type Clause = (String, String, Vec<(String, Option<String>)>);
    let says = page.having("data-clause");
    let says: Vec<Clause> = says
        .iter()
        .map(|clause| {
            let text = |what: &str| clause.with("data-says", what).map(Element::text).unwrap_or_default();
            let objects = clause.having("data-protected").into_iter().map(object).collect();
            (text("clause"), text("line"), objects)
        })
        .collect();
    let expected: Vec<Clause> = list(forecast, "protections", |clause| {
        let line = clause["line"]
            .as_u64()
            .map_or("holds for every policy".to_owned(), |line| format!("line {line}"));
        (shown(&clause["clause"]), line, list(clause, "objects", |object| (who(object), place(object))))
    });
    differences.equal("protections", &says, &expected);
}

fn rules(differences: &mut Differences, page: &Element, forecast: &Value) {
    let rules = page.having("data-rule");
    let says: Vec<[Option<String>; 3]> = rules
        .iter()
        .map(|rule| ["rule", "end", "decides"].map(|what| rule.with("data-says", what).map(Element::text)))
        .collect();
    let expected = list(forecast, "rules", |rule| {
        let decides = (rule["rule"] == forecast["rule"]).then(|| "(decides)".to_owned());
        [Some(shown(&rule["rule"])), Some(shown(&rule["end"])), decides]
    });
    differences.equal("rules", &says, &expected);
}

/// Who an element is about, and where a process is.
fn object(element: &Element) -> (String, Option<String>) {
    let says = |what: &str| element.with("data-says", what).map(Element::text);
    (says("who").unwrap_or_default(), says("cgroup"))
}

fn who(object: &Value) -> String {
    if object["kind"] == "process" {
        format!("{} ({})", shown(&object["name"]), object["id"])
    } else {
        shown(&object["cgroup"])
    }
}

fn place(object: &Value) -> Option<String> {
    (object["kind"] == "process").then(|| shown(&object["cgroup"]))
}

fn process_name(process: &Value) -> String {
    format!("{} ({})", shown(&process["name"]), process["pid"])
}

/// A text with its invisible characters spelt out: those that Unicode calls control or format characters and that
/// a name could hold to deceive.
fn shown(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    let hidden = |letter: char| {
        matches!(u32::from(letter),
            0..=0x1f | 0x7f..=0x9f | 0xad | 0x61c | 0x180e | 0xfeff
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfff9..=0xfffb | 0xfffe | 0xffff)
    };
    if !text.contains(hidden) {
        return text.to_owned();
    }
    let spell = |letter: char| match hidden(letter) {
        true => format!("[U+{:04X}]", u32::from(letter)),
        false => letter.to_string(),
    };
    text.chars().map(spell).collect()
}

fn number(text: &Element) -> bool {
    text.get("data-says").is_some_and(|what| ["processes", "usage", "limit", "percent"].contains(&what))
}

fn share(node: &Value) -> String {
    let (usage, limit) = (i128::from(int(node, "usage").max(0)), i128::from(int(node, "limit")));
    if limit > 0 { format!("{}%", usage * 100 / limit) } else { String::new() }
}

fn apart(number: i64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", apart(number / 1000), number % 1000) }
}

fn bytes(object: &Value, key: &str) -> String {
    short(Measure::Bytes, int(object, key))
}

fn int(object: &Value, key: &str) -> i64 {
    object[key].as_i64().unwrap_or_default()
}

fn flag(object: &Value, key: &str) -> bool {
    object[key] == Value::Bool(true)
}

fn array<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object[key].as_array().map_or(&[], Vec::as_slice)
}

fn list<T>(object: &Value, key: &str, each: impl Fn(&Value) -> T) -> Vec<T> {
    array(object, key).iter().map(each).collect()
}

fn texts(elements: &[&Element]) -> Vec<String> {
    elements.iter().map(|element| element.text()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{read, root};

    fn kept(ending: &str) -> String {
        read(&root().join(format!("tests/pictures/small.{ending}")))
    }

    fn forecast() -> Value {
        serde_json::from_str(&kept("json")).unwrap()
    }

    #[test]
    fn the_kept_pictures_say_what_their_forecast_says() {
        assert_eq!(compare(&kept("html"), &forecast()), [""; 0]);
        assert_eq!(compare_drawing(&kept("svg"), &forecast()), [""; 0]);
    }

    /// Pointers to all facts.
    fn facts(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    facts(member, &format!("{at}/{name}"), found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    facts(item, &format!("{at}/{index}"), found);
                }
            }
            _ => found.push(at.to_owned()),
        }
    }

    #[test]
    fn a_fact_that_is_another_is_found() {
        let (page, forecast) = (kept("html"), forecast());
        let mut all = Vec::new();
        facts(&forecast, "", &mut all);
        assert!(all.len() > 100, "{}", all.len());
        let mut unseen = Vec::new();
        for fact in all {
            let mut other = forecast.clone();
            let value = other.pointer_mut(&fact).unwrap();
            *value = match &*value {
                Value::Bool(flag) => Value::Bool(!flag),
                // Enough to be seen in a size that is cut to one digit behind the point.
                Value::Number(number) => Value::from(number.as_i64().unwrap() + (1 << 22)),
                Value::String(text) if text == "process" => Value::from("cgroup"),
                Value::String(text) if text == "cgroup" => Value::from("process"),
                Value::String(text) => Value::from(format!("{text}x")),
                _ if fact.ends_with("/tie") || fact == "/nobody_asks" => {
                    Value::from("another one is younger")
                }
                _ => Value::from(1),
            };
            if compare(&page, &other).is_empty() {
                unseen.push(fact);
            }
        }
        // What a page does not say, because it says something for people instead: the text of a key, not its
        // number; the path of a cgroup, not its inode or its name; what comes free in the sentence above, and not what
        // another would free; of a class only `avoided`, which nobody here has; whom a protection was asked of only where
        // it was not everybody.
        let values = ["frees", "keys/0/value", "keys/1/value"];
        let of = |place: usize| values.map(|value| format!("/candidates/{place}/{value}"));
        let mut left_out: Vec<String> = (0..3).flat_map(of).collect();
        left_out.extend(
            ["/frees", "/protections/0/asked", "/protections/1/asked", "/protections/1/objects/0/id"]
                .map(str::to_owned),
        );
        left_out.extend(["/protections/1/objects/0/name", "/protections/2/asked"].map(str::to_owned));
        let classes = ["0/class", "0/name", "1/class", "1/marked/0/class", "2/class", "3/class"];
        left_out.extend(classes.map(|class| format!("/tree/{class}")));
        left_out.extend(
            ["3/marked/0/class", "3/marked/1/class", "4/class"].map(|class| format!("/tree/{class}")),
        );
        assert_eq!(unseen, left_out);
    }

    #[test]
    fn a_page_that_lacks_something_is_found() {
        let (page, forecast) = (kept("html"), forecast());
        let marks = [
            " data-victim=\"true\"",
            " data-protected=\"true\"",
            "would make progress",
            ">missing<",
            "198MiB of 200MiB",
        ];
        for gone in marks {
            assert!(page.contains(gone), "{gone}");
            assert!(!compare(&page.replacen(gone, "", 1), &forecast).is_empty(), "{gone}");
        }
        for more in [
            "<script></script>",
            "<img src=\"https://example.org/x.png\">",
            "<style>@import \"x.css\"</style>",
        ] {
            assert!(
                !compare(&page.replacen("</main>", &format!("{more}</main>"), 1), &forecast).is_empty(),
                "{more}"
            );
        }
        // A bar of half its length.
        let bar = "width=\"96\"";
        assert_eq!(page.matches(bar).count(), 1);
        assert!(!compare(&page.replace(bar, "width=\"48\""), &forecast).is_empty());
    }
}
