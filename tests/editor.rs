//! A real editor shows what the language server says: Neovim without a window (Debian package neovim).

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use oomc_tests::child;

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens a bad policy, waits for its diagnostics, repairs it, waits until they are gone, has a policy formatted.
const SCRIPT: &str = r#"
local function say(text)
  io.stdout:write(text .. "\n")
end

-- Until `ready` holds; an editor that waits for ever would be a test that does.
local function wait(what, ready)
  if not vim.wait(60000, ready, 10) then
    say("no " .. what)
    vim.cmd("cquit 1")
  end
end

local function show()
  for _, one in ipairs(vim.diagnostic.get(0)) do
    say(string.format("%d:%d %s %s", one.lnum + 1, one.col + 1, one.code or one.user_data.lsp.code, one.message))
  end
end

vim.cmd("edit policy.oom")
local client = vim.lsp.start_client({ cmd = { vim.env.OOMC, "lsp" }, name = "oomc" })
vim.lsp.buf_attach_client(0, client)
wait("diagnostics", function() return #vim.diagnostic.get(0) > 0 end)
show()

vim.api.nvim_buf_set_lines(0, 0, -1, false, { "kill largest in subtree where footprint > 4KiB" })
wait("repair", function() return #vim.diagnostic.get(0) == 0 end)
say("repaired")

vim.api.nvim_buf_set_lines(0, 0, -1, false, { "kill   largest", "in subtree" })
if vim.lsp.buf.format then
  vim.lsp.buf.format({ timeout_ms = 60000 })
else
  vim.lsp.buf.formatting_sync({}, 60000)
end
say(table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "|"))

vim.lsp.stop_client(client)
wait("end", function() return vim.lsp.client_is_stopped(client) end)
vim.cmd("qall!")
"#;

#[test]
fn neovim_shows_a_diagnostic() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("editor");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    // The `💥` is one character, two units of UTF-16 and four bytes: the column is right only if all agree.
    fs::write(
        folder.join("policy.oom"),
        "rule \"\u{1f4a5}\": kill largest in subtree where footprint > 4096\n",
    )
    .unwrap();
    fs::write(folder.join("script.lua"), SCRIPT).unwrap();
    let mut command = Command::new("nvim");
    command.args(["--headless", "-u", "NONE", "-n", "-c", "luafile script.lua"]);
    // Neovim writes its log and state below these.
    for variable in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env(variable, &folder);
    }
    command.env("OOMC", env!("CARGO_BIN_EXE_oomc"));
    let Output { status, stdout, stderr } = child::run(&mut command, &folder, PATIENCE)
        .unwrap_or_else(|error| panic!("nvim (Debian package neovim): {error}"));
    let (output, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}: {output}{errors}");
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "1:56 E0302 cannot compare `footprint` (bytes) with a number",
            "this has no unit",
            "help: write a unit, for example `4KiB`",
            "repaired",
            "kill largest in subtree",
        ],
        "{errors}"
    );
}
