//! What the command line does with its words: `-`, folders, `-q`, formats, mistakes of usage, and what reaches a
//! terminal.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oomc_tests::child::{fresh_folder, with_input};

const GOOD: &str = "kill largest process in subtree where footprint > 64MiB\n";
const BAD: &str = "kill largest process in subtree where footprint > 4096\n";
const TEST: &str = r#"test "the worker goes" {
    given { "/job" { limit 1GiB } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect kill process "/job#100"
}
"#;
const SNAPSHOT: &str = r#"{ "schema": 1, "top": "/", "memory": 8589934592, "now": 1000000000000,
  "cgroups": [
    { "path": "/", "id": 1, "owner": 0, "mode": 493, "controller": true },
    { "path": "/job", "parent": "/", "id": 2, "owner": 0, "mode": 493, "controller": true, "current": 314572800, "max": 1073741824 }
  ],
  "processes": [
    { "pid": 100, "cgroup": "/job", "comm": "worker", "uid": 0, "oom_score_adj": 0, "anon": 314572800, "file": 0,
      "shmem": 0, "swap": 0, "page_tables": 0, "threads": 1, "start": 1000000000 },
    { "pid": 101, "cgroup": "/job", "comm": "small", "uid": 0, "oom_score_adj": 0, "anon": 104857600, "file": 0,
      "shmem": 0, "swap": 0, "page_tables": 0, "threads": 1, "start": 1000000000 }
  ] }
"#;

/// A folder of its own for each test, with files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    fresh_folder(&folder, files).unwrap();
    folder
}

/// Exit code, standard output and standard error.
type Ran = (i32, Vec<u8>, String);

fn run(folder: &Path, args: &[&str], input: &str, environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    for name in ["COLUMNS", "NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG", "TERM"] {
        command.env_remove(name);
    }
    let command = command.args(args).current_dir(folder).envs(environment.iter().copied());
    let output = with_input(command, input).unwrap();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

/// The same, of text.
fn oomc(folder: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    let (exit, stdout, stderr) = run(folder, args, input, &[]);
    (exit, String::from_utf8(stdout).unwrap(), stderr)
}

/// What a terminal of so many columns gets of both outputs.
fn on_a_terminal(folder: &Path, args: &str, environment: &[(&str, &str)], columns: u32) -> String {
    let program = env!("CARGO_BIN_EXE_oomc");
    let mut command = Command::new("script");
    for name in ["COLUMNS", "NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG", "TERM"] {
        command.env_remove(name);
    }
    let line = format!("stty cols {columns} rows 40; {program} {args}");
    let command = command.args(["-qec", &line, "/dev/null"]).envs(environment.iter().copied());
    let output = command.current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("`script` of the package bsdutils: {error}"));
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let folder = folder("dash", &[("a.oom", GOOD), ("s.json", SNAPSHOT)]);
    let (exit, told, said) = oomc(&folder, &["check", "-"], GOOD);
    assert!(exit == 0 && told.starts_with("stdin: ok\n") && said.is_empty(), "{told}{said}");
    assert_eq!(oomc(&folder, &["check", "-"], BAD).0, 1);
    assert_eq!(run(&folder, &["build", "a.oom"], "", &[]).0, 0);
    let object = fs::read(folder.join("a.o")).unwrap();
    assert_eq!(run(&folder, &["build", "a.oom", "-o", "-"], "", &[]), (0, object.clone(), String::new()));
    assert!(!folder.join("-").exists(), "no file of that name");
    let (exit, from_stdin, _) = run(&folder, &["build", "-"], GOOD, &[]);
    assert!(
        exit == 0 && from_stdin.starts_with(b"\x7fELF"),
        "a policy from standard input goes to standard output"
    );
    let (_, ir, _) = oomc(&folder, &["build", "--emit", "plan", "-", "-o", "-"], GOOD);
    assert!(ir.contains("walk0"), "{ir}");
    for args in [["sim", "-", "--snapshot", "s.json"], ["sim", "a.oom", "--snapshot", "-"]] {
        let input = if args[1] == "-" { GOOD } else { SNAPSHOT };
        let (exit, told, said) = oomc(&folder, &args, input);
        assert!(exit == 0 && told.contains("worker (100)"), "{told}{said}");
    }
    let (exit, svg, _) = oomc(&folder, &["sim", "a.oom", "--snapshot", "s.json", "--svg", "-"], "");
    assert!(exit == 0 && svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "the picture alone");
    let (exit, told, _) = oomc(&folder, &["diff", "a.oom", "-", "--snapshot", "s.json"], GOOD);
    assert_eq!((exit, told.contains("alike")), (0, true), "{told}");
    let (exit, told, said) = oomc(&folder, &["test", "-"], &format!("{GOOD}{TEST}"));
    assert!(exit == 0 && told.starts_with("1 passed, 0 failed"), "{told}{said}");
    let (exit, _, said) = oomc(&folder, &["load", "-", "--cgroup", "/oomc-tests/none"], "no policy");
    assert!(exit != 0 && !said.contains("cannot read"), "{said}");
}

/// Somebody who may nothing is told so first, and nothing is begun.
#[test]
fn whoever_lacks_privilege_is_told_so() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    // Where everybody may start a program.
    let folder = std::env::temp_dir().join(format!("oomc-cli-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("oomc");
    fs::copy(env!("CARGO_BIN_EXE_oomc"), &program).unwrap();
    fs::write(folder.join("good.oom"), GOOD).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for args in [
        "status",
        "events",
        "why",
        "metrics",
        "tidy",
        "unload --all",
        "run --all",
        "run good.oom --cgroup /job",
    ] {
        let mut command = Command::new(&program);
        command.args(args.split(' ')).current_dir(&folder).stdin(Stdio::null());
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{args}: {said}");
        assert!(said.contains("this needs root (CAP_SYS_ADMIN)"), "{args}: {said}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// In a folder where everybody may make files, somebody has put links where a file is to be written.
#[test]
fn nothing_is_written_through_a_link_of_somebody_else() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
    let folder = folder("links", &[("good.oom", GOOD), ("precious", "letters")]);
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: only root can give a link to somebody else");
        return;
    }
    let shared = folder.join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let output = shared.join("good.o");
    symlink(folder.join("precious"), &output).unwrap();
    lchown(&output, Some(1000), Some(1000)).unwrap();
    // A kernel that protects links says so earlier (fs.protected_symlinks): then the link is replaced.
    let (exit, _, stderr) = oomc(&folder, &["build", "good.oom", "-o", "shared/good.o"], "");
    assert!(exit == 0 || stderr.contains("it is a link of user 1000"), "{stderr}");
    assert_eq!(fs::read_to_string(folder.join("precious")).unwrap(), "letters");
    // A link of one's own is followed as ever, and a file that is replaced keeps who may read it.
    fs::write(folder.join("real.o"), "").unwrap();
    fs::set_permissions(folder.join("real.o"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.o", folder.join("own.o")).unwrap();
    let (exit, _, stderr) = oomc(&folder, &["build", "good.oom", "-o", "own.o"], "");
    assert_eq!(exit, 0, "{stderr}");
    assert!(fs::symlink_metadata(folder.join("own.o")).unwrap().is_symlink());
    let real = fs::metadata(folder.join("real.o")).unwrap();
    assert!(real.len() > 1000 && real.mode() & 0o777 == 0o640, "{real:?}");
}

#[test]
fn standard_input_is_read_once_and_standard_output_holds_one_thing() {
    let folder = folder("once", &[("a.oom", GOOD), ("s.json", SNAPSHOT)]);
    let (exit, _, said) = oomc(&folder, &["check", "-", "-"], GOOD);
    assert!(exit == 2 && said.contains("standard input twice"), "{said}");
    let (exit, told, said) = oomc(&folder, &["build", "a.oom", "-o", "-", "--format", "json"], "");
    assert!(exit == 2 && told.contains("standard output cannot hold both"), "{told}{said}");
    let pictures = ["sim", "a.oom", "--snapshot", "s.json", "--svg", "-", "--html", "-"];
    let (exit, _, said) = oomc(&folder, &pictures, "");
    assert!(exit == 2 && said.contains("can hold one file"), "{said}");
    let told = on_a_terminal(&folder, "build a.oom -o -", &[], 80);
    assert_eq!(told.lines().next(), Some("error: an object is not for a terminal"), "{told}");
}

#[test]
fn check_takes_folders() {
    let files = [
        ("p/a.oom", GOOD),
        ("p/a.oomt", TEST),
        ("p/deep/b.oom", BAD),
        ("p/.git/c.oom", BAD),
        ("p/notes.txt", BAD),
    ];
    let folder = folder("folders", &files);
    let (exit, told, _) = oomc(&folder, &["check", "p"], "");
    let files = |told: &str| {
        told.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = ["p/a.oom: ok", "p/a.oomt: ok", "p/deep/b.oom: 1 error"];
    assert_eq!((exit, files(&told)), (1, all.map(str::to_owned).to_vec()));
    let (exit, told, _) = oomc(&folder, &["check", "."], "");
    assert_eq!((exit, files(&told)), (1, all.map(str::to_owned).to_vec()));
}

#[test]
fn the_same_text_is_the_same_object_wherever_it_lies() {
    let named = format!("policy \"job\"\n{GOOD}");
    let files =
        [("a.oom", GOOD), ("deep/er/a.oom", GOOD), ("named.oom", &*named), ("other/name.oom", &*named)];
    let folder = folder("same", &files);
    let build = |path: &str| {
        let (exit, object, said) = run(&folder, &["build", path, "-o", "-"], "", &[]);
        assert_eq!(exit, 0, "{said}");
        object
    };
    let absolute = folder.join("a.oom").display().to_string();
    assert!(build("a.oom") == build("deep/er/a.oom") && build("a.oom") == build("./a.oom"));
    assert!(build("a.oom") == build(&absolute));
    assert!(build("named.oom") == build("other/name.oom"), "its name is that of the policy");
}

#[test]
fn quiet_leaves_the_answer() {
    let folder =
        folder("quiet", &[("a.oom", GOOD), ("b.oom", &format!("{GOOD}{TEST}")), ("s.json", SNAPSHOT)]);
    let quiet = |args: &[&str]| {
        let (exit, told, said) = oomc(&folder, args, "");
        assert_eq!((exit, said.as_str()), (0, ""), "{args:?}: {told}");
        told
    };
    assert_eq!(quiet(&["-q", "check", "a.oom"]), "");
    assert_eq!(quiet(&["-q", "new", "fresh"]), "");
    assert_eq!(quiet(&["-q", "sim", "a.oom", "--snapshot", "s.json", "--oom", "/job"]).lines().count(), 1);
    assert!(quiet(&["-q", "sim", "a.oom", "--snapshot", "s.json", "--oom", "/job"]).contains("worker (100)"));
    assert_eq!(quiet(&["-q", "diff", "a.oom", "a.oom", "--snapshot", "s.json"]).lines().count(), 1);
    assert!(quiet(&["-q", "test", "b.oom"]).starts_with("1 passed"));
    assert_eq!(quiet(&["-q", "fields", "refault"]).lines().count(), 1);
    assert!(quiet(&["-q", "explain", "E0302"]).starts_with("# E0302"));
}

#[test]
fn fields_are_found_by_parts_of_their_names() {
    let folder = folder("fields", &[]);
    let names = |word: &str| {
        let (exit, told, said) = oomc(&folder, &["-q", "fields", word], "");
        assert_eq!(exit, 0, "{said}");
        told.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(names("swap_l"), ["cgroup.swap_limit"]);
    assert_eq!(names("cgroup.swap"), ["cgroup.swap", "cgroup.swap_limit"]);
    assert!(names("EVENTS").iter().any(|name| name == "cgroup.events.oom_kill"));
    let (exit, _, said) = oomc(&folder, &["fields", "footprnt"], "");
    assert!(
        exit == 2 && said.contains("no field has `footprnt` in its name") && said.contains("`footprint`"),
        "{said}"
    );
}

#[test]
fn help_and_version() {
    let folder = folder("help", &[]);
    let (exit, help, _) = oomc(&folder, &["help", "fmt"], "");
    assert_eq!((exit, &help), (0, &oomc(&folder, &["fmt", "--help"], "").1));
    let (exit, _, said) = oomc(&folder, &["help", "frobnicate"], "");
    assert!(exit == 2 && said.contains("frobnicate"), "{said}");
    let (_, short, _) = oomc(&folder, &["--version"], "");
    assert_eq!(short.lines().count(), 1);
    for args in [["--version", "-v"].as_slice(), &["-v", "--version"], &["-vV"], &["--verbose", "-V"]] {
        let (exit, told, _) = oomc(&folder, args, "");
        assert!(exit == 0 && told.starts_with(&short), "{told}");
        for word in ["edition 1", "BTF: ", "types", "profiles: ", "bpf_oom_ops", "schema 1"] {
            assert!(told.contains(word), "{args:?}: `{word}` is not in {told}");
        }
    }
    let read =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/btf/README.md")).unwrap();
    let (_, rest) = read.split_once("reference kernel (").unwrap();
    let kernel = rest.split(',').next().unwrap();
    let told = oomc(&folder, &["--version", "-v"], "").1;
    assert!(told.contains(&format!("reference kernel, {kernel}:")), "{told}");
    let narrow = run(&folder, &["check", "--help"], "", &[("COLUMNS", "50")]).1;
    let narrow = String::from_utf8(narrow).unwrap();
    assert!(narrow.lines().all(|line| line.chars().count() <= 50), "{narrow}");
}

/// Each command has a page, in which its flags stand; a completion knows each command.
#[test]
fn manual_pages_and_completions() {
    let folder = folder("manual", &[]);
    let (exit, _, said) = oomc(&folder, &["man", "pages"], "");
    assert_eq!(exit, 0, "{said}");
    let (_, bash, _) = oomc(&folder, &["completions", "bash"], "");
    let (_, help, _) = oomc(&folder, &["--help"], "");
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let words = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for word in words.filter(|word| !word.is_empty() && *word != "help") {
        let page = fs::read_to_string(folder.join(format!("pages/oomc-{word}.1"))).unwrap();
        assert!(page.contains(&format!("oomc\\-{word} \\- ")), "{page}");
        let flag = if word == "load" { "\\-\\-cgroup" } else { "\\-\\-format" };
        assert!(page.contains(flag), "{word}: {page}");
        assert!(
            bash.contains(&format!("oomc__subcmd__{word}")) || bash.contains(&format!("oomc__{word}")),
            "{word}"
        );
    }
    let (exit, page, _) = oomc(&folder, &["man"], "");
    assert!(exit == 0 && page.contains(".TH oomc 1"), "{page}");
}

#[test]
fn mistakes_of_usage_say_what_to_write() {
    let folder =
        folder("usage", &[("a.oom", GOOD), ("utf16.oom", ""), ("d/a.oom", GOOD), ("s.json", SNAPSHOT)]);
    fs::write(folder.join("utf16.oom"), [0xff, 0xfe, b'k', 0]).unwrap();
    for (args, exit, words) in [
        (["fmt", "--chek", "a.oom"].as_slice(), 2, &["unexpected argument '--chek'", "'--check"][..1]),
        (&["chek", "a.oom"], 2, &["unrecognized subcommand 'chek'", "'check'"]),
        (&["check"], 2, &["<FILE>"]),
        (&["check", "none.oom"], 4, &["error: cannot read none.oom: no such file or directory"]),
        (&["build", "d"], 4, &["error: cannot read d: is a directory", "help: "]),
        (&["sim", "a.oom", "--snapshot", "d"], 4, &["error: cannot read d: is a directory"]),
        (&["check", "--btf", "d", "a.oom"], 4, &["error: cannot read d: is a directory"]),
        (&["check", "utf16.oom"], 1, &["error[E0102]: ", "--> utf16.oom"]),
        (&["sim", "utf16.oom", "--snapshot", "s.json"], 1, &["error[E0102]: "]),
        (&["build", "a.oom", "-o", "d"], 4, &["error: cannot write d: is a directory"]),
        (
            &["build", "a.oom", "-o", "none/a.o"],
            4,
            &["error: cannot write none/a.o: no such file or directory"],
        ),
        (&["build", "a.oom", "--emit", "asn"], 2, &["invalid value 'asn'", "asm"]),
        (&["test", "--coverage=lots", "a.oom"], 2, &["a percentage from 0 to 100"]),
        (&["test", "--run", "(", "a.oom"], 2, &["--run"]),
        (&["sim", "a.oom"], 2, &["--snapshot <FILE>"]),
        (&["sim", "a.oom", "--snapshot", "a.oom"], 4, &["error: a.oom: line 1, column "]),
        (&["sim", "a.oom", "--snapshot", "s.json", "--oom", "/none"], 4, &["/none"]),
        (&["explain", "E9999"], 2, &["error: there is no code `E9999`", "help: "]),
        (&["new", "a b"], 2, &["error: `a b` is no name of a policy"]),
        (&["fmt", "--format", "github", "a.oom"], 2, &["error: `--format github` is for `check` and `test`"]),
        (&["fmt", "--format", "sarif", "a.oom"], 1, &["sarif"]),
    ] {
        let (found, told, said) = oomc(&folder, args, "");
        if args.contains(&"sarif") {
            assert!(found == 2 && told.contains("`--format sarif` is for `check`"), "{told}{said}");
            continue;
        }
        assert_eq!(found, exit, "{args:?}: {told}{said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: `{word}` is not in {said}");
        }
        assert!(!said.contains("os error") && !said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_diagnostic_begins_with_what_it_is() {
    let unbounded = "raise_limit 10%\n";
    let folder = folder("first", &[("a.oom", BAD), ("w.oom", unbounded)]);
    let (_, _, said) = oomc(&folder, &["check", "a.oom"], "");
    let picture = "error[E0302]: cannot compare `footprint` (bytes) with a number\n --> a.oom:1:51\n  |\n\
        1 | kill largest process in subtree where footprint > 4096\n  |                                                   \
        ^^^^ this has no unit\n  = help: write a unit, for example `4KiB`\n\n";
    assert_eq!(said, picture);
    let (exit, _, said) = oomc(&folder, &["check", "w.oom"], "");
    assert!(exit == 0 && said.starts_with("warning[W06"), "{said}");
    assert_eq!(oomc(&folder, &["check", "-q", "w.oom"], "").2, "");
}

#[test]
fn columns_count_characters() {
    let text = "kill largest process in subtree where comm == \"späte日本\" and footprint > 4096\n";
    let folder = folder("columns", &[("a.oom", text)]);
    let (_, _, said) = oomc(&folder, &["check", "a.oom"], "");
    let column = text.chars().position(|letter| letter == '4').unwrap() + 1;
    assert!(said.contains(&format!("--> a.oom:1:{column}\n")), "{said}");
    // Two of the letters take two columns each.
    let marks = said.lines().find(|line| line.contains('^')).unwrap();
    assert_eq!(marks.find('^'), Some("1 | ".len() + column - 1 + 2), "{said}");
    let (_, told, _) = oomc(&folder, &["--format", "json", "check", "a.oom"], "");
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["diagnostics"][0]["labels"][0]["column"], column);
    let (_, told, _) = oomc(&folder, &["--format", "github", "check", "a.oom"], "");
    let place =
        format!("::error file=a.oom,line=1,endLine=1,col={column},endColumn={},title=E0302::", column + 4);
    assert!(told.starts_with(&place) && told.contains("%0Ahelp: write a unit"), "{told}");
}

#[test]
fn long_lines_are_trimmed_around_the_mark() {
    let names = (0..400).map(|number| format!("\"worker-{number}\"")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "kill largest process in subtree where comm in [{names}] and footprint > 4096 and comm in [{names}]\n"
    );
    let folder = folder("long", &[("a.oom", &text)]);
    for columns in ["40", "80", "200"] {
        let (_, _, said) = run(&folder, &["check", "a.oom"], "", &[("COLUMNS", columns)]);
        let most = columns.parse::<usize>().unwrap();
        assert!(said.lines().all(|line| line.chars().count() <= most), "{said}");
        let lines: Vec<&str> = said.lines().collect();
        let at = lines.iter().position(|line| line.contains('^')).unwrap();
        let column = lines[at].find('^').unwrap();
        assert!(lines[at - 1][column..].starts_with("4096"), "{said}");
        assert!(lines[at - 1].starts_with("1 | ...") && lines[at - 1].ends_with("..."), "{said}");
    }
}

#[test]
fn what_stands_in_a_file_or_its_name_does_not_steer_the_terminal() {
    let evil = "# \u{1b}]0;title\u{7}\nkill largest process in subtree where comm == \"\u{1b}[31m\u{202e}x\" and footprint > 4096\n";
    let test = "test \"\u{1b}[2Jred\" {\n    given { \"/job\" { limit 1GiB } \"/job#100\" { comm \"worker\" rss 300MiB } }\n    on oom \
                in \"/job\"\n    expect wait\n}\n";
    let files = [("\u{1b}[31m.oom", evil), ("test.oom", &*format!("{GOOD}{test}")), ("s.json", SNAPSHOT)];
    let folder = folder("steer", &files);
    let name = "\u{1b}[31m.oom";
    let steers = |text: &str| {
        text.chars().any(|letter| (letter.is_control() && letter != '\n') || letter == '\u{202e}')
    };
    for args in [
        ["check", name].as_slice(),
        &["check", "\u{1b}[2Jnone.oom"],
        &["check", "--format", "github", name],
        &["check", "--format", "sarif", name],
        &["check", "--format", "json", name],
        &["fmt", "--check", name],
        &["test", "test.oom"],
        &["test", "--format", "github", "test.oom"],
        &["sim", "test.oom", "--snapshot", "\u{1b}[2J"],
        &["explain", "\u{1b}[2J"],
        &["fields", "\u{1b}[2J"],
        &["new", "\u{1b}[2J"],
    ] {
        let (_, told, said) = oomc(&folder, args, "");
        assert!(!steers(&told) && !steers(&said), "{args:?}: {told:?}{said:?}");
        assert!(
            args.contains(&"json")
                || told.contains("\\u{1b}")
                || said.contains("\\u{1b}")
                || args.contains(&"sarif"),
            "{args:?}: {told}{said}"
        );
    }
    let (_, _, said) = oomc(&folder, &["\u{1b}[2J"], "");
    assert!(!steers(&said), "{said:?}");
    fs::write(folder.join("evil.oom"), evil.replace("4096", "4KiB")).unwrap();
    let told = on_a_terminal(&folder, "fmt - < evil.oom", &[], 100);
    assert!(!steers(&told), "{told:?}");
    let (_, told, _) = oomc(&folder, &["fmt", "-"], &evil.replace("4096", "4KiB"));
    assert!(told.contains('\u{1b}'), "a file gets what was written");
}

/// What reads a log line by line takes no name for a line of oomc's.
#[test]
fn no_name_makes_a_line_of_its_own() {
    let folder = folder("lines", &[]);
    let forged = "a\nerror: all is lost\r\u{85}error: more\u{2028}";
    for args in [["check", forged], ["build", forged], ["status", "--cgroup"], ["unload", "--cgroup"]] {
        let mut args = args.to_vec();
        if args.contains(&"--cgroup") {
            args.push(forged);
        }
        let (exit, _, stderr) = oomc(&folder, &args, "");
        assert_ne!(exit, 0);
        let errors = stderr.lines().filter(|line| line.contains("error: ")).count();
        assert_eq!(errors, 1, "{args:?}: {stderr}");
        assert!(!stderr.contains('\r') && !stderr.contains('\u{2028}'), "{stderr:?}");
    }
}

#[test]
fn the_terminal_gets_what_it_can_show() {
    let folder = folder("terminal", &[("a.oom", BAD), ("é.oom", BAD)]);
    let utf8 = [("LANG", "C.UTF-8"), ("TERM", "xterm")];
    let told = on_a_terminal(&folder, "check a.oom", &utf8, 100);
    assert!(told.contains("\u{1b}[1;31merror[E0302]") && told.contains('│'), "{told}");
    for (environment, color) in [
        ([("LANG", "C.UTF-8"), ("TERM", "dumb")].as_slice(), false),
        (&[("LANG", "C"), ("TERM", "dumb")], false),
        (&[("LANG", "C"), ("TERM", "xterm")], true),
        (&[("LANG", "C.UTF-8"), ("LC_ALL", "C"), ("TERM", "xterm")], true),
        (&[("LANG", "C"), ("TERM", "xterm"), ("NO_COLOR", "1")], false),
    ] {
        let told = on_a_terminal(&folder, "check a.oom é.oom", environment, 100);
        assert_eq!(told.contains('\u{1b}'), color, "{environment:?}: {told}");
        assert!(
            told.lines().filter(|line| !line.ends_with("1 error")).all(str::is_ascii),
            "{environment:?}: {told}"
        );
    }
    let told = on_a_terminal(&folder, "check --color never a.oom", &utf8, 100);
    assert!(!told.contains('\u{1b}'), "{told}");
    let long = "kill largest process in subtree where footprint > 10%\n";
    fs::write(folder.join("long.oom"), long).unwrap();
    let told = on_a_terminal(&folder, "check long.oom", &[("TERM", "dumb")], 40);
    assert!(told.contains("= help: ") && told.lines().all(|line| line.chars().count() <= 40), "{told}");
}
