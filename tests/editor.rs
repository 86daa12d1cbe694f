//! A real editor shows what the language server says: Neovim without a window (Debian package neovim).

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use oomc_tests::child;

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens a bad policy, waits for its diagnostics, applies the quick fix and waits until they are gone; then has a word
/// completed, a param renamed, the policy formatted, and saves it.
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

-- What a request is answered with; what an editor does with it is its own.
local function ask(method, params)
  local answers = vim.lsp.buf_request_sync(0, method, params, 60000)
  return answers and answers[client] and answers[client].result
end

local function lines(text)
  vim.api.nvim_buf_set_lines(0, 0, -1, false, text)
end

local function text()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "|")
end

local encoding = vim.lsp.get_client_by_id(client).offset_encoding
local first = vim.diagnostic.get(0)[1]
vim.api.nvim_win_set_cursor(0, { first.lnum + 1, first.col })
local params = vim.lsp.util.make_range_params()
params.context = { diagnostics = {} }
for _, action in ipairs(ask("textDocument/codeAction", params)) do
  if action.isPreferred or action.kind == "quickfix" then
    say("fix: " .. action.title)
    vim.lsp.util.apply_workspace_edit(action.edit, encoding)
    break
  end
end
wait("repair", function() return #vim.diagnostic.get(0) == 0 end)
say("repaired: " .. text())

lines({ "param floor = 4KiB range 1KiB .. 1GiB", "kill largest in subtree where footp" })
vim.api.nvim_win_set_cursor(0, { 2, 35 })
-- Behind the last letter, where only the insert mode has the cursor.
local behind = vim.lsp.util.make_position_params()
behind.position.character = 35
local offered = ask("textDocument/completion", behind)
for _, item in ipairs(offered.items) do
  if item.label == "footprint" then
    say("completion: " .. item.label .. ", " .. item.detail)
    vim.lsp.util.apply_text_edits({ item.textEdit }, 0, encoding)
  end
end
say("completed: " .. text())

lines({ "param floor = 4KiB range 1KiB .. 1GiB", "kill   largest in subtree", "  where footprint > floor" })
vim.api.nvim_win_set_cursor(0, { 1, 7 })
vim.lsp.buf.rename("least")
wait("new name", function() return text():find("> least") ~= nil end)
if vim.lsp.buf.format then
  vim.lsp.buf.format({ timeout_ms = 60000 })
else
  vim.lsp.buf.formatting_sync({}, 60000)
end
vim.cmd("write")
say("saved: " .. text())

vim.lsp.stop_client(client)
wait("end", function() return vim.lsp.client_is_stopped(client) end)
vim.cmd("qall!")
"#;

/// What the book tells somebody to write into `init.lua`, with a policy and its tests.
const AS_IN_THE_BOOK: &str = r#"
local function say(text)
  io.stdout:write(text .. "\n")
end

local function wait(what, ready)
  if not vim.wait(60000, ready, 10) then
    say("no " .. what)
    vim.cmd("cquit 1")
  end
end

vim.cmd("edit job.oom")
wait("diagnostics", function() return #vim.diagnostic.get(0) > 0 end)
say(vim.bo.filetype .. ": " .. vim.diagnostic.get(0)[1].message:match("[^\n]*"))
wait("lenses", function()
  vim.cmd("doautocmd <nomodeline> CursorHold")
  vim.wait(200)
  return #vim.lsp.codelens.get(0) > 0
end)
say("above line " .. vim.lsp.codelens.get(0)[1].range.start.line + 1 .. ": " .. vim.lsp.codelens.get(0)[1].command.title)
vim.api.nvim_win_set_cursor(0, { 2, 35 })
local offered = vim.lsp.omnifunc(1, "")
say(vim.bo.omnifunc .. " " .. type(offered))
local keys = {}
for _, map in ipairs(vim.api.nvim_buf_get_keymap(0, "n")) do
  table.insert(keys, map.lhs)
end
table.sort(keys)
say(table.concat(keys, " "))
vim.api.nvim_buf_set_lines(0, 0, 1, false, { "const   floor = 4KiB" })
vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes("<F3>", true, false, true), "x", false)
wait("canonical form", function() return vim.api.nvim_buf_get_lines(0, 0, 1, false)[1] == "const floor = 4KiB" end)
vim.cmd("qall!")
"#;

#[test]
fn neovim_does_what_the_book_says_with_what_it_tells_to_write() {
    let page = oomc_tests::read(&oomc_tests::root().join("book/src/start/editor.md"));
    let settings = page.split("```lua\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let policy = "const floor = 4KiB\nkill largest in subtree\n\ntest \"it\" {\n  given { \"/a\" { limit 1MiB } \"/a#7\" { rss 1MiB } }\n  \
                  on oom in \"/a\" expect kill \"/a#7\"\n}\n";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("editor_book");
    let files = [("init.lua", settings), ("script.lua", AS_IN_THE_BOOK), ("job.oom", policy)];
    child::fresh_folder(&folder, &files).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_oomc")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(program.to_owned()).chain(std::env::split_paths(&path)));
    let mut command = Command::new("nvim");
    command
        .args(["--headless", "-u", "init.lua", "-n", "-c", "luafile script.lua"])
        .env("PATH", path.unwrap());
    let (lines, errors) = told(&mut command, &folder);
    assert_eq!(
        lines,
        [
            "oom: nothing uses `floor`",
            "above line 4: \u{2713} passes",
            "v:lua.vim.lsp.omnifunc number",
            "<F2> <F3> <F4> K gd gr",
        ],
        "{errors}"
    );
}

/// What Neovim prints, line by line, and its errors.
fn told(command: &mut Command, folder: &Path) -> (Vec<String>, String) {
    // It writes its log and state below these.
    for variable in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env(variable, folder);
    }
    let Output { status, stdout, stderr } = child::run(command, folder, PATIENCE)
        .unwrap_or_else(|error| panic!("nvim (Debian package neovim): {error}"));
    let (output, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr).into_owned());
    assert!(status.success(), "{status}: {output}{errors}");
    (output.lines().map(|line| line.trim_end().to_owned()).collect(), errors)
}

#[test]
fn neovim_repairs_completes_renames_and_saves() {
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
    command.env("OOMC", env!("CARGO_BIN_EXE_oomc"));
    let (lines, errors) = told(&mut command, &folder);
    assert_eq!(
        lines,
        [
            "1:56 E0302 cannot compare `footprint` (bytes) with a number",
            "this has no unit",
            "help: write a unit, for example `4KiB`",
            "fix: write `4KiB`",
            "repaired: rule \"\u{1f4a5}\": kill largest in subtree where footprint > 4KiB",
            "completion: footprint, bytes",
            "completed: param floor = 4KiB range 1KiB .. 1GiB|kill largest in subtree where footprint",
            "saved: param least = 4KiB range 1KiB .. 1GiB|kill largest in subtree where footprint > least",
        ],
        "{errors}"
    );
    let saved = fs::read_to_string(folder.join("policy.oom")).unwrap();
    assert_eq!(
        saved,
        "param least = 4KiB range 1KiB .. 1GiB\nkill largest in subtree where footprint > least\n"
    );
}
