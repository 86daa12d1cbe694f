//! `oomc play [FILE] [--snapshot S.json] [--link LINK] [--port N]`

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::thread;

use oomc_play::{Begin, Desk, Server};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::args::Play;
use crate::cmd::snapshot::snapshot;
use crate::cmd::view;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::reason;
use crate::policy::source;
use crate::report::{Report, diagnostics_json};

pub(crate) fn run(report: &Report, args: &Play) -> Outcome {
    let policy = match &args.file {
        Some(path) => match source(path)? {
            Ok(source) => Some(source.text),
            Err((source, _)) => return Err(Failure::refused(format!("{} is no text", source.name))),
        },
        None => None,
    };
    let name = args.file.as_deref().filter(|path| path.extension().is_some_and(|end| end == "oom"));
    let name = name.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let machine = args.snapshot.as_deref().map(snapshot).transpose()?;
    let code = args.link.as_deref().map(code).transpose()?;
    let desk = Desk::new(&view(&args.kernel)?, diagnostics_json, Begin { policy, name, machine });
    let desk = desk.map_err(Failure::refused)?;
    let server = Server::new(args.port, desk).map_err(|error| {
        let (port, why) = (args.port, reason(&error));
        Failure::refused(format!("cannot listen on port {port} of 127.0.0.1: {why}"))
    })?;
    let stop = server.stop();
    let cannot = |error: io::Error| Failure::refused(format!("cannot take signals: {error}"));
    let (mut heard, said) = UnixStream::pair().map_err(cannot)?;
    pipe::register(SIGINT, said.try_clone().map_err(cannot)?).map_err(cannot)?;
    pipe::register(SIGTERM, said).map_err(cannot)?;
    let waits = move || {
        // Whatever is read, or not: nobody else says anything here.
        drop(heard.read(&mut [0]));
        stop.stop();
    };
    thread::Builder::new().name("signals".to_owned()).spawn(waits).map_err(cannot)?;
    let address = format!("{}{}", server.address(), code.unwrap_or_default());
    report.line(&address);
    report.remark("open this address in a browser on this machine; Ctrl-C ends it");
    report.result("play", Exit::Ok, json!({ "address": address }));
    // Whoever started this reads the address while it goes on; then he may stop reading.
    match report.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure::refused(format!("cannot write the output: {}", reason(&error))));
        }
        _ => {}
    }
    server.run().map_err(|error| Failure::refused(format!("cannot listen any more: {}", reason(&error))))?;
    Ok(Exit::Ok)
}

/// What stands behind the `#` of a link, with it. It is a part of an address that is printed, and so has no other letters.
fn code(link: &str) -> Result<String, Failure> {
    let code = link.rsplit_once('#').map_or(link, |(_, code)| code);
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !code.is_empty() && code.chars().all(is_code) {
        return Ok(format!("#{code}"));
    }
    Err(Failure::new(Exit::Usage, "this is no link to a playground")
        .help("the page's button `Copy a link` gives one, and it holds a `#`"))
}
