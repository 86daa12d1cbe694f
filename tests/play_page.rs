//! The playground in a browser, as somebody uses it who sits before it (Debian packages chromium and chromium-driver).
//!
//! What the page says is compared with what `oomc sim` and `oomc check` print.

#![expect(clippy::indexing_slicing, reason = "of a JSON value an index that is not there gives null")]
#![expect(clippy::unwrap_used, reason = "a test whose browser cannot be started has failed")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::driver::{Driver, keys, lacks};
use oomc_tests::playground::Playground;
use oomc_tests::{child, page};
use serde_json::{Value, json};

const OOMC: &str = env!("CARGO_BIN_EXE_oomc");

/// The editor's text has the keyboard when it is clicked.
const EDITOR: &str = "return document.querySelector('#policy').shadowRoot?.querySelector('.cm-content')";
const BUTTON: &str = "return document.querySelector('#press button')";

/// A page that is ready, if there is a browser.
fn open(args: &[&str], width: u32, dark: bool) -> Option<(Playground, Driver)> {
    if let Some(sentence) = lacks() {
        eprintln!("{sentence}");
        return None;
    }
    let play = Playground::new(OOMC, args).unwrap();
    let browser = Driver::new(width, 900, dark).unwrap();
    browser.open(&play.address).unwrap();
    browser.wait("return document.body.dataset.ready").unwrap();
    Some((play, browser))
}

fn text(browser: &Driver, selector: &str) -> String {
    let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
    browser.run(script, &json!([selector])).unwrap().as_str().unwrap().to_owned()
}

fn policy(browser: &Driver) -> String {
    let script = "const lines = document.querySelector('#policy').shadowRoot.querySelectorAll('.cm-line');
        return [...lines].map((line) => line.textContent).join('\\n')";
    browser.run(script, &json!([])).unwrap().as_str().unwrap().to_owned()
}

/// What a command prints for programs of a policy and a machine.
fn told(name: &str, policy: &str, machine: &str, args: &[&str]) -> Value {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("play_page").join(name);
    child::fresh_folder(&folder, &[("policy.oom", policy), ("s.json", machine)]).unwrap();
    let output =
        Command::new(OOMC).args(["--format", "json"]).args(args).current_dir(&folder).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Presses, and compares all that the drawing says with what `sim` prints; gives the victim's number.
fn pressed(browser: &Driver, name: &str, policy: &str, machine: &str) -> i64 {
    browser.click(BUTTON).unwrap();
    same_as_sim(browser, name, policy, machine)
}

fn same_as_sim(browser: &Driver, name: &str, policy: &str, machine: &str) -> i64 {
    browser.wait("return !document.querySelector('#result').hidden").unwrap();
    let simulated =
        told(name, policy, machine, &["sim", "policy.oom", "--snapshot", "s.json", "--oom", "/job"]);
    let forecast = &simulated["forecast"];
    let drawn = browser.run("return document.querySelector('#decision').innerHTML", &json!([])).unwrap();
    let drawn = format!(
        "<!DOCTYPE html><html><meta charset=\"utf-8\"><body><main>{}</main></body></html>",
        drawn.as_str().unwrap()
    );
    assert_eq!(page::compare(&drawn, forecast), [""; 0], "{name}");
    let victim = &forecast["victim"];
    let who = format!("{} ({})", victim["name"].as_str().unwrap(), victim["id"]);
    assert_eq!(text(browser, "#decision [data-fact=victim] [data-says=who]"), who, "{name}");
    assert_eq!(text(browser, "#explained [data-fate] .dies"), "✕ dies ", "{name}");
    victim["id"].as_i64().unwrap()
}

#[test]
fn a_mistake_is_seen_while_it_is_typed_and_the_victim_is_that_of_sim() {
    let Some((play, browser)) = open(&[], 1280, false) else { return };
    let begin = play.begin().unwrap();
    let machine = begin["machine"].as_str().unwrap();
    assert_eq!(policy(&browser), begin["policy"].as_str().unwrap());
    assert_eq!(text(&browser, "#problems"), "");

    browser.click(EDITOR).unwrap();
    browser.type_keys(&format!("{}{}", keys::CONTROL, keys::END)).unwrap();
    let mistake = "kill largest process in subtree where footprint > 4096";
    browser.type_keys(mistake).unwrap();
    let marks = "return document.querySelector('#policy').shadowRoot.querySelector('.cm-lintRange-error')?.textContent
        === '4096'";
    browser.wait(marks).unwrap();
    let typed = policy(&browser);
    assert!(typed.ends_with(mistake), "{typed}");
    let checked = told("mistake", &typed, machine, &["check", "policy.oom"]);
    let codes: Vec<&str> =
        checked["diagnostics"].as_array().unwrap().iter().filter_map(|one| one["code"].as_str()).collect();
    let shown = "return [...document.querySelectorAll('#problems li')].map((item) => item.dataset.code)";
    assert_eq!(browser.run(shown, &json!([])).unwrap(), json!(codes));

    browser.click(BUTTON).unwrap();
    browser.wait("return document.querySelector('#said').textContent.includes('has errors')").unwrap();
    assert_eq!(browser.run("return document.querySelector('#result').hidden", &json!([])).unwrap(), true);

    // It is repaired, and tried without a mouse.
    browser.click(EDITOR).unwrap();
    browser.type_keys(&format!("{}{}", keys::CONTROL, keys::END)).unwrap();
    browser.type_keys(&keys::BACKSPACE.repeat(4)).unwrap();
    browser.type_keys("4MiB").unwrap();
    browser
        .wait("return document.querySelectorAll('#problems li[data-severity=error]').length === 0")
        .unwrap();
    let typed = policy(&browser);
    browser.type_keys(&format!("{}{}", keys::CONTROL, keys::ENTER)).unwrap();
    assert_eq!(same_as_sim(&browser, "repaired", &typed, machine), 102);

    let test = text(&browser, "#test-text");
    assert!(test.contains("expect kill process \"/job/batch#102\" by rule \"batch\""), "{test}");
    assert!(text(&browser, "#test-says").starts_with("It was run just now, and passes."));
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
}

#[test]
fn the_machine_is_built_and_the_next_decision_is_about_it() {
    let Some((play, browser)) = open(&[], 1280, false) else { return };
    let begin = play.begin().unwrap();
    let (policy, machine) = (begin["policy"].as_str().unwrap(), begin["machine"].as_str().unwrap());
    assert_eq!(pressed(&browser, "as it was", policy, machine), 102);

    let row = |key: &str, part: &str| {
        format!("return document.querySelector('#machine li[data-key=\"{key}\"] {part}')")
    };
    browser.click(&row("#103", "summary")).unwrap();
    browser.click(&row("#103", "input[name=memory]")).unwrap();
    browser.type_keys(&format!("{}a", keys::CONTROL)).unwrap();
    browser.type_keys(&format!("700MiB{}", keys::TAB)).unwrap();
    let edit = json!({ "edit": "set_process", "of": 103, "field": "memory", "value": "700MiB" });
    let machine = play.edited(machine, &edit).unwrap();
    browser
        .wait(
            "return document.querySelector('#machine li[data-key=\"#103\"] .about').textContent === '700MiB'",
        )
        .unwrap();
    // The keyboard went on to the next field although the row was drawn anew.
    let at = browser.run("return document.activeElement.name", &json!([])).unwrap();
    assert_eq!(at, "adj");
    assert_eq!(pressed(&browser, "more memory", policy, &machine), 103);

    browser.click(&row("/job", "summary")).unwrap();
    let add = "return [...document.querySelectorAll('#machine li[data-key=\"/job\"] button')]
        .find((one) => one.textContent === 'Add a process')";
    browser.click(add).unwrap();
    let machine = play.edited(&machine, &json!({ "edit": "add_process", "to": "/job" })).unwrap();
    browser.click(&row("#104", "summary")).unwrap();
    browser.click(&row("#104", "input[name=memory]")).unwrap();
    browser.type_keys(&format!("{}a", keys::CONTROL)).unwrap();
    browser.type_keys(&format!("1GB{}", keys::ENTER)).unwrap();
    browser.wait("return document.querySelector('#machine li[data-key=\"#104\"] .wrong').textContent.includes('GiB')").unwrap();
    browser.type_keys(&format!("{}a", keys::CONTROL)).unwrap();
    browser.type_keys(&format!("1GiB{}", keys::TAB)).unwrap();
    browser
        .wait("return document.querySelector('#machine li[data-key=\"#104\"] .about').textContent === '1GiB'")
        .unwrap();
    let edit = json!({ "edit": "set_process", "of": 104, "field": "memory", "value": "1GiB" });
    let machine = play.edited(&machine, &edit).unwrap();
    assert_eq!(pressed(&browser, "another process", policy, &machine), 104);
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
}

#[test]
fn a_link_holds_the_policy_and_the_machine() {
    let Some((play, browser)) = open(&[], 1280, false) else { return };
    browser.click(EDITOR).unwrap();
    browser.type_keys(&format!("{}{}", keys::CONTROL, keys::END)).unwrap();
    browser.type_keys("# größer 💥").unwrap();
    let written = policy(&browser);
    let edit = "return document.querySelector('#machine li[data-key=\"#103\"] summary')";
    browser.click(edit).unwrap();
    browser
        .click("return document.querySelector('#machine li[data-key=\"#103\"] input[name=comm]')")
        .unwrap();
    browser.type_keys(&format!("{}a", keys::CONTROL)).unwrap();
    browser.type_keys(&format!("other{}", keys::TAB)).unwrap();
    browser
        .wait("return document.querySelector('#machine li[data-key=\"#103\"] .name').textContent === 'other'")
        .unwrap();
    browser.wait("return document.body.dataset.kept === 'true'").unwrap();
    let link = browser.run("return location.hash", &json!([])).unwrap();
    drop(play);

    let link = format!("http://127.0.0.1:1/{}", link.as_str().unwrap());
    let other = Playground::new(OOMC, &["--link", &link]).unwrap();
    browser.open(&other.address).unwrap();
    browser.wait("return document.body.dataset.ready").unwrap();
    assert_eq!(policy(&browser), written);
    assert_eq!(text(&browser, "#machine li[data-key='#103'] .name"), "other");
}

/// Drops a file on the page, as a mouse does.
fn dropped(browser: &Driver, name: &str, text: &str) {
    let script = "const files = new DataTransfer();
        files.items.add(new File([arguments[1]], arguments[0]));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }))";
    browser.run(script, &json!([name, text])).unwrap();
    browser
        .wait(&format!("return document.querySelector('#said').textContent === '{name} is open.'"))
        .unwrap();
}

#[test]
fn a_snapshot_and_a_policy_can_be_dropped_on_the_page() {
    let Some((play, browser)) = open(&[], 1280, false) else { return };
    let begin = play.begin().unwrap();
    let edit = json!({ "edit": "set_process", "of": 103, "field": "memory", "value": "700MiB" });
    let machine = play.edited(begin["machine"].as_str().unwrap(), &edit).unwrap();
    dropped(&browser, "machine.json", &machine);
    assert_eq!(text(&browser, "#machine li[data-key='#103'] .about"), "700MiB");
    let policy_text = "rule \"oldest\": kill oldest process in subtree\n";
    dropped(&browser, "oldest.oom", policy_text);
    assert_eq!(policy(&browser), policy_text);
    pressed(&browser, "dropped", policy_text, &machine);
    // What is no snapshot changes nothing, and is told.
    let script = "const files = new DataTransfer();
        files.items.add(new File(['{}'], 'none.json'));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }))";
    browser.run(script, &json!([])).unwrap();
    browser.wait("return document.querySelector('#said').textContent.includes('missing field')").unwrap();
    assert_eq!(text(&browser, "#machine li[data-key='#103'] .about"), "700MiB");
}

/// An answer to a press that comes late is not drawn beside what was written meanwhile.
#[test]
fn what_is_drawn_is_about_what_stands_there() {
    let Some((_play, browser)) = open(&[], 1280, false) else { return };
    let hold = "const real = window.fetch;
        window.fetch = async (...asked) => {
            const answer = await real(...asked);
            if (`${asked[0]}`.includes('press')) await new Promise((go) => { window.go = go; });
            return answer;
        }";
    browser.run(hold, &json!([])).unwrap();
    browser.click(BUTTON).unwrap();
    browser.wait("return window.go !== undefined").unwrap();
    browser.click(EDITOR).unwrap();
    browser.type_keys("#").unwrap();
    browser.run("window.go()", &json!([])).unwrap();
    browser.wait("return document.querySelector('#said').textContent.includes('press again')").unwrap();
    assert_eq!(browser.run("return document.querySelector('#result').hidden", &json!([])).unwrap(), true);
}

/// The file of tests has the policy's name: another one would be tests of a policy that is not there.
#[test]
fn a_test_is_saved_beside_its_policy() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("play_page/named");
    child::fresh_folder(&folder, &[("batch.oom", "kill largest in subtree\n")]).unwrap();
    let file = folder.join("batch.oom");
    let Some((_play, browser)) = open(&[file.to_str().unwrap()], 1280, false) else { return };
    let save = "return document.querySelector('#save-test').download";
    for name in ["batch.oom", "dropped.oom"] {
        if name == "dropped.oom" {
            dropped(&browser, name, "kill youngest process in subtree\n");
        }
        browser.click(BUTTON).unwrap();
        browser.wait("return !document.querySelector('#result').hidden").unwrap();
        assert_eq!(browser.run(save, &json!([])).unwrap(), format!("{name}t"));
        let says = text(&browser, "#test-says");
        assert!(says.ends_with(&format!("{name}t beside {name}.")), "{says}");
    }
}

/// Nothing is wider than a telephone, whatever is unfolded and whatever a name is.
#[test]
fn it_fits_a_telephone_in_the_light_and_in_the_dark() {
    for dark in [false, true] {
        let Some((_play, browser)) = open(&[], 400, dark) else { return };
        // What is wider than the window, without the bar that scrolls down.
        let wider = || {
            let script = "const at = document.documentElement; return at.scrollWidth - at.clientWidth";
            browser.run(script, &json!([])).unwrap()
        };
        assert_eq!(browser.run("return innerWidth", &json!([])).unwrap(), 400);
        assert_eq!(wider(), 0);
        browser
            .run("for (const one of document.querySelectorAll('#machine summary')) one.click()", &json!([]))
            .unwrap();
        assert_eq!(wider(), 0, "with all fields");
        browser.click(BUTTON).unwrap();
        browser.wait("return !document.querySelector('#result').hidden").unwrap();
        browser
            .run(
                "for (const one of document.querySelectorAll('#result details')) one.open = true",
                &json!([]),
            )
            .unwrap();
        assert_eq!(wider(), 0, "with the decision");
        let paper =
            browser.run("return getComputedStyle(document.body).backgroundColor", &json!([])).unwrap();
        assert_eq!(paper, if dark { "rgb(20, 23, 28)" } else { "rgb(255, 255, 255)" });
        assert_eq!(browser.complaints().unwrap(), [""; 0]);
    }
}

#[test]
fn a_keyboard_reaches_everything_and_gets_out_of_the_editor() {
    let Some((_play, browser)) = open(&[], 1280, false) else { return };
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.type_keys(keys::TAB).unwrap();
        let script = "const at = document.activeElement; return at.id || at.tagName + ':' + at.textContent";
        reached.push(browser.run(script, &json!([])).unwrap().as_str().unwrap().to_owned());
    }
    for wanted in ["open", "copy", "policy", "oom", "BUTTON:Out of memory"] {
        assert!(reached.iter().any(|one| one == wanted), "{wanted}: {reached:?}");
    }
    assert!(reached.iter().any(|one| one.starts_with("SUMMARY:sshd")), "{reached:?}");
    let names = "return [...document.querySelectorAll('button, input, select, a')]
        .filter((one) => !one.textContent && !one.labels?.length && !one.getAttribute('aria-label'))
        .map((one) => one.outerHTML)";
    assert_eq!(browser.run(names, &json!([])).unwrap(), json!([]), "everything has a name");
}

#[test]
fn hostile_names_do_nothing() {
    let first = Playground::new(OOMC, &[]).unwrap();
    let mut machine = first.begin().unwrap()["machine"].as_str().unwrap().to_owned();
    let name = "<img src=x onerror=window.hit=1>\u{202e}";
    for edit in [
        json!({ "edit": "set_cgroup", "of": "/job/db", "field": "name", "value": name }),
        json!({ "edit": "set_process", "of": 102, "field": "comm", "value": "<b onclick=a>" }),
    ] {
        machine = first.edited(&machine, &edit).unwrap();
    }
    let policy =
        format!("policy \"x\"\nrule \"{}\": kill largest process in subtree\n", "<svg/onload=window.hit=1>");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("play_page/hostile");
    child::fresh_folder(&folder, &[("policy.oom", &policy), ("s.json", &machine)]).unwrap();
    let (file, snapshot) = (folder.join("policy.oom"), folder.join("s.json"));
    let args = [file.to_str().unwrap(), "--snapshot", snapshot.to_str().unwrap()];
    let Some((_play, browser)) = open(&args, 1280, false) else { return };
    browser.click(BUTTON).unwrap();
    browser.wait("return !document.querySelector('#result').hidden").unwrap();
    let found = "return [document.querySelectorAll('img, b, script:not([src])').length, window.hit ?? null,
        document.body.textContent.includes('\\u202e')]";
    assert_eq!(browser.run(found, &json!([])).unwrap(), json!([0, null, false]));
    assert!(text(&browser, "#machine").contains("<img src=x onerror=window.hit=1>[U+202E]"));
    assert!(text(&browser, "#explained").contains("<svg/onload=window.hit=1>"));
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
}

/// A page from elsewhere, open in the same browser and with the whole address in its hands, gets nothing.
#[test]
fn a_page_of_another_origin_cannot_ask() {
    let Some((play, browser)) = open(&[], 1280, false) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let page = "<!DOCTYPE html><title>elsewhere</title>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    browser.open(&other).unwrap();
    let script = "
        const [address] = arguments;
        window.told = null;
        const outcome = (promise) => promise.then((answer) => answer.type, () => 'refused');
        const loaded = (tag, properties) => new Promise((done) => {
            const made = Object.assign(document.createElement(tag), properties);
            made.onload = () => done('loaded');
            made.onerror = () => done('refused');
            document.head.append(made);
        });
        Promise.all([
            outcome(fetch(address + 'begin')),
            outcome(fetch(address + 'check', { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })),
            loaded('script', { src: address + 'editor.js', type: 'module' }),
            loaded('script', { src: address + 'editor.js' }),
            loaded('link', { href: address + 'page.css', rel: 'stylesheet' }),
        ]).then((all) => { window.told = all; });";
    browser.run(script, &json!([play.address])).unwrap();
    let told = browser.wait("return window.told").unwrap();
    assert_eq!(told, json!(["refused", "refused", "refused", "refused", "refused"]));
    // And the same requests work where they belong.
    browser.open(&play.address).unwrap();
    browser.wait("return document.body.dataset.ready").unwrap();
}
