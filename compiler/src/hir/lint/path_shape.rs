//! Paths that no cgroup has: with a slash at the end, or with the place where cgroups are mounted; and names with a slash.

use oomc_abi::fields::Owner;

use super::errors;
use super::walk::Compared;
use crate::diag::Diagnostic;

/// Where the controllers' tree is mounted, on all machines that anybody has.
const MOUNTS: &[&str] = &["/sys/fs/cgroup/unified/", "/sys/fs/cgroup/"];

pub(super) fn check(compared: &Compared) -> Option<Diagnostic> {
    let row = compared.field.row();
    let text = compared.text.as_str();
    match (row.owner, row.name) {
        (Owner::Cgroup, "path") => {}
        (Owner::Cgroup, "name") => return name(text, compared),
        _ => return None,
    }
    let mounted = MOUNTS.iter().find_map(|mount| text.strip_prefix(mount));
    let below = mounted.map_or_else(|| text.to_owned(), |rest| format!("/{rest}"));
    let trimmed = below.trim_end_matches('/');
    let instead = if trimmed.is_empty() { "/" } else { trimmed };
    if instead == text {
        return None;
    }
    let label = if mounted.is_some() { "begins with the mount" } else { "ends with a slash" };
    Some(errors::path_shape(text, compared.span, label, instead, compared.literal))
}

/// A name is one part of a path: the last one.
fn name(text: &str, compared: &Compared) -> Option<Diagnostic> {
    let last = text.trim_end_matches('/').rsplit('/').next()?;
    if !text.contains('/') || last.is_empty() || last.starts_with('*') {
        return None;
    }
    Some(errors::name_shape(text, compared.span, last, compared.literal))
}
