//! A program that is run to its end, and not waited for for ever.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// A program that Ctrl-C ends. Whoever starts the tests in the background may have them ignore what it sends, and each
/// program that they start would, too.
#[must_use]
pub fn interruptible(program: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", program]);
    command
}

/// Runs a program in a folder, which keeps what it says in `stdout` and `stderr`.
///
/// # Errors
/// It cannot be started, or its output cannot be kept. [`io::ErrorKind::TimedOut`]: it did not end in time, and
/// was killed.
pub fn run(command: &mut Command, folder: &Path, patience: Duration) -> io::Result<Output> {
    let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
    command.current_dir(folder).stdin(Stdio::null());
    let mut child = command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?).spawn()?;
    let start = Instant::now();
    let status: ExitStatus = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it hangs"));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ok(Output { status, stdout: fs::read(stdout)?, stderr: fs::read(stderr)? })
}

/// A program that has been given a text on its standard input; it may have ended without reading all of it.
///
/// # Errors
/// It cannot be started.
pub fn with_input(command: &mut Command, input: &str) -> io::Result<Output> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// A folder that holds these files and nothing else; folders in their names are made.
///
/// # Errors
/// One of them cannot be written.
pub fn fresh_folder(folder: &Path, files: &[(&str, &str)]) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut sleeps = Command::new("sleep");
        let result = run(sleeps.arg("60"), &std::env::temp_dir(), Duration::from_millis(20));
        assert_eq!(result.map_err(|error| error.kind()).err(), Some(io::ErrorKind::TimedOut));
    }
}
