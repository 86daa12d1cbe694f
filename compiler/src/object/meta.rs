//! `.oomc.meta`: what `oomc status` and the loader want to know of an object without its source.

use super::Module;

/// Lines `key=value`; the order is fixed.
pub(super) fn text(module: &Module<'_>) -> String {
    let line = |key: &str, value: &str| format!("{key}={}\n", value.replace(['\n', '\r'], " "));
    [
        line("format", "1"),
        line("name", &module.policy.name),
        line("hash", module.hash),
        line("mode", "enforce"),
        line("tool", env!("CARGO_PKG_VERSION")),
    ]
    .concat()
}
