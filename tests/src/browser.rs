//! Opens a page in a browser without a window: Chromium (Debian package chromium-headless-shell).
//!
//! Gives the document as the browser has it after it has read the page. Knows nothing of what a page says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::child;

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What keeps it from asking anybody anything. The container of a test has no other users to be kept apart from.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// The document behind a file, as text.
///
/// # Errors
/// The browser cannot be started, hangs, or fails.
pub fn dom(file: &Path) -> io::Result<String> {
    let output = open(file, &["--dump-dom".to_owned()])?;
    String::from_utf8(output).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What a window of this width shows of a file, into a PNG file.
///
/// # Errors
/// The browser cannot be started, hangs, or fails, and so nothing was written.
pub fn screenshot(file: &Path, width: u32, height: u32, image: &Path) -> io::Result<()> {
    let image = format!("--screenshot={}", image.display());
    open(file, &[format!("--window-size={width},{height}"), image]).map(|_| ())
}

/// The document behind a text, as text; `ending` is that of a file that holds such.
///
/// # Errors
/// Like [`dom`]; or the text cannot be written to a file.
pub fn dom_of(text: &str, ending: &str) -> io::Result<String> {
    let folder = folder("page")?;
    let file = folder.join(format!("page.{ending}"));
    fs::write(&file, text)?;
    let dom = dom(&file);
    fs::remove_dir_all(&folder)?;
    dom
}

fn open(file: &Path, arguments: &[String]) -> io::Result<Vec<u8>> {
    // Two browsers with one profile would be one browser.
    let folder = folder("browser")?;
    let mut command = Command::new("chromium-headless-shell");
    command.args(QUIET).arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.args(arguments).arg(format!("file://{}", file.display()));
    let output = child::run(&mut command, &folder, PATIENCE);
    let removed = fs::remove_dir_all(&folder);
    let output = output.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("chromium-headless-shell (Debian package of that name): {error}"),
        )
    })?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("{}: {errors}", output.status)));
    }
    removed?;
    Ok(output.stdout)
}

/// A new folder that nobody else uses.
fn folder(name: &str) -> io::Result<PathBuf> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("oomc-{name}-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
