//! Opens a page in a browser without a window: Chromium (Debian package chromium-headless-shell).
//!
//! Gives the document as the browser has it after it has read the page. Knows nothing of what a page says.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::child;

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What keeps it from asking anybody anything. The container of a test has no other users to be kept apart from.
pub(crate) const QUIET: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// The document behind a file, as text.
///
/// # Errors
/// The browser cannot be started, hangs, or fails.
pub fn dom(file: &Path) -> io::Result<String> {
    let output = open(file, &["--dump-dom".to_owned()])?;
    String::from_utf8(output).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A window of the browser.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Whoever sits before it wants light text on a dark ground.
    pub dark: bool,
}

/// What a window shows: rows of pixels, each red, green and blue.
///
/// # Errors
/// The browser cannot be started, hangs, or fails, and so took no picture that can be read.
pub fn seen(file: &Path, window: Window) -> io::Result<Vec<Vec<[u8; 3]>>> {
    let folder = folder("seen")?;
    let image = folder.join("seen.png");
    let Window { width, height, dark } = window;
    let mut arguments =
        vec![format!("--window-size={width},{height}"), format!("--screenshot={}", image.display())];
    if dark {
        arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    open(file, &arguments)?;
    let pixels = pixels(&image);
    fs::remove_dir_all(&folder)?;
    pixels
}

fn pixels(image: &Path) -> io::Result<Vec<Vec<[u8; 3]>>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut reader = png::Decoder::new(BufReader::new(File::open(image)?)).read_info()?;
    let size = reader.output_buffer_size().ok_or_else(|| invalid("it is too large"))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes)?;
    if info.bit_depth != png::BitDepth::Eight {
        return Err(invalid("its colours have not eight bits"));
    }
    let color = |pixel: &[u8]| match pixel {
        [red, green, blue, ..] => [*red, *green, *blue],
        _ => [0; 3],
    };
    let row = |row: &[u8]| row.chunks_exact(info.color_type.samples()).map(color).collect();
    Ok(bytes.chunks_exact(info.line_size).map(row).collect())
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
    command
        .args(QUIET)
        .arg("--hide-scrollbars")
        .arg(format!("--user-data-dir={}", folder.join("profile").display()));
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
