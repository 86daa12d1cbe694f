//! A path that is compared with the name of a command.

use oomc_abi::fields::Owner;

use super::errors;
use super::walk::Compared;
use crate::diag::Diagnostic;

/// Silent where a slash stands inside: threads of the kernel are called so.
pub(super) fn check(compared: &Compared) -> Option<Diagnostic> {
    let row = compared.field.row();
    let text = compared.text.as_str();
    if (row.owner, row.name) != (Owner::Process, "comm") || !text.starts_with('/') {
        return None;
    }
    let base = text.rsplit('/').next().filter(|base| !base.is_empty())?;
    Some(errors::comm_path(text, compared.span, base, compared.literal))
}
