//! The calls of the test machine that no safe library offers: mapping a file, swap, scheduling, attributes.
#![expect(
    unsafe_code,
    reason = "mmap, swapon and the like have no safe form; kept in one file, test machine only"
)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const DISK: &core::ffi::CStr = c"/dev/vda";

/// Maps a file of this size for good and touches each of its pages, so that they count as this
/// process's own.
pub(crate) fn touch(file: &File, size: usize) -> Result<(), String> {
    if size == 0 {
        return Ok(());
    }
    // SAFETY: a fresh shared mapping at an address of the kernel's choice; nothing refers to it
    // but the loop below, which stays inside of it, and the file is not cut while it lives.
    let start = unsafe {
        libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if start == libc::MAP_FAILED {
        return Err(format!("cannot map {size} bytes: {}", io::Error::last_os_error()));
    }
    for page in (0..size).step_by(4096) {
        // SAFETY: inside the mapping made above.
        unsafe { start.cast::<u8>().add(page).read_volatile() };
    }
    Ok(())
}

/// Takes fresh private memory, touches each of its pages, and gives it back to the kernel.
pub(crate) fn take_and_give_back(size: usize) -> Result<(), String> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh private mapping at an address of the kernel's choice; nothing refers to it but the loop below,
    // which stays inside of it.
    let start =
        unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(format!("cannot map {size} bytes: {}", io::Error::last_os_error()));
    }
    for page in (0..size).step_by(4096) {
        // SAFETY: inside the mapping made above.
        unsafe { start.cast::<u8>().add(page).write_volatile(1) };
    }
    // SAFETY: the mapping made above; nothing refers to it any more.
    match unsafe { libc::munmap(start, size) } {
        0 => Ok(()),
        _ => Err(format!("cannot unmap: {}", io::Error::last_os_error())),
    }
}

/// Forks a process that has one thread; true in the child.
pub(crate) fn fork_alone() -> Result<bool, String> {
    // SAFETY: with one thread no lock is held by another one, so the child may do whatever the parent may.
    match unsafe { libc::fork() } {
        0 => Ok(true),
        -1 => Err(format!("cannot fork: {}", io::Error::last_os_error())),
        _ => Ok(false),
    }
}

/// Waits until the calling process has no children any more.
pub(crate) fn wait_for_children() {
    // SAFETY: no status is asked for.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
}

/// Sets an extended attribute.
pub(crate) fn set_attribute(path: &Path, name: &str, value: &str) -> Result<(), String> {
    let says = |error: io::Error| format!("cannot set {name} of {}: {error}", path.display());
    let text = |text: &[u8]| CString::new(text).map_err(|error| says(error.into()));
    let (place, attribute) = (text(path.as_os_str().as_bytes())?, text(name.as_bytes())?);
    // SAFETY: two strings that end in a zero byte and a buffer with its own length, all alive.
    let result =
        unsafe { libc::setxattr(place.as_ptr(), attribute.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if result == 0 { Ok(()) } else { Err(says(io::Error::last_os_error())) }
}

/// Reads an extended attribute; none where there is none.
pub(crate) fn attribute(path: &Path, name: &str) -> Result<Option<String>, String> {
    let says = |error: io::Error| format!("cannot read {name} of {}: {error}", path.display());
    let text = |text: &[u8]| CString::new(text).map_err(|error| says(error.into()));
    let (place, attribute) = (text(path.as_os_str().as_bytes())?, text(name.as_bytes())?);
    let mut value = [0u8; 64];
    // SAFETY: two strings that end in a zero byte and a buffer with its own length, all alive.
    let length =
        unsafe { libc::getxattr(place.as_ptr(), attribute.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match usize::try_from(length) {
        Ok(length) => Ok(Some(String::from_utf8_lossy(value.get(..length).unwrap_or_default()).into_owned())),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENODATA) => Ok(None),
            error => Err(says(error)),
        },
    }
}

/// Switches swap on. The disk must have a swap header.
pub(crate) fn swap_on() -> Result<(), String> {
    // SAFETY: a constant path that ends in a zero byte.
    match unsafe { libc::swapon(DISK.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(format!("cannot switch swap on: {}", io::Error::last_os_error())),
    }
}

/// Switches swap off; not an error if it was not on.
pub(crate) fn swap_off() {
    // SAFETY: as above.
    unsafe { libc::swapoff(DISK.as_ptr()) };
}

/// Lets a process (and the threads that it starts later) run before every ordinary one, or as
/// one of the ordinary ones.
pub(crate) fn put_first(pid: i32, first: bool) -> Result<(), String> {
    let (policy, sched_priority) = if first { (libc::SCHED_FIFO, 1) } else { (libc::SCHED_OTHER, 0) };
    let parameter = libc::sched_param { sched_priority };
    // SAFETY: the parameter outlives the call.
    match unsafe { libc::sched_setscheduler(pid, policy, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(format!("cannot change how {pid} is scheduled: {}", io::Error::last_os_error())),
    }
}

/// Ends the calling thread only. As the main thread of a process it leaves the others running.
pub(crate) fn end_this_thread() -> ! {
    // SAFETY: the thread does not come back, and nothing on its stack is used by the others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("exit(2) does not return")
}
