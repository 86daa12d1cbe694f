// The page: puts the parts together, keeps what is on it in its address, and asks when something has changed.

import { ask } from "./ask.js";
import * as link from "./link.js";
import { machineTree } from "./machine.js";
import { policyEditor } from "./policy.js";
import * as result from "./result.js";

const of = (id) => document.getElementById(id);
const say = (text) => (of("said").textContent = text);
const guarded = (work) => (...given) => work(...given).catch((error) => say(error.message));

// Calls when nothing more has happened for so many milliseconds.
function later(pause, work) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, pause);
  };
}

const begin = await ask("begin");
const state = (await link.read(location.hash.slice(1))) ?? begin;
let oom = state.oom;
// The file that the policy is from: its tests go beside it.
let name = begin.name;
let kept = "";
let changes = 0;

const keepSoon = later(300, guarded(async () => {
  const change = changes;
  const code = await link.written({ policy: editor.text(), machine: tree.text(), oom });
  // What has changed meanwhile is kept by the next one.
  if (change !== changes) return;
  kept = code ? `#${code}` : "";
  history.replaceState(null, "", kept || location.pathname);
  document.body.dataset.kept = "true";
}));
function keep() {
  changes += 1;
  document.body.dataset.kept = "false";
  keepSoon();
}

const check = guarded(async () => {
  const text = editor.text();
  const { diagnostics } = await ask("check", { policy: text });
  if (text === editor.text()) problems(text, diagnostics);
});
const checkSoon = later(150, check);

const editor = policyEditor(of("policy"), begin.words, state.policy, () => {
  result.hide();
  checkSoon();
  keep();
}, () => of("press").requestSubmit());

const tree = machineTree(of("machine"), of("more"), (told) => {
  result.hide();
  events(told.rows);
  say("");
  keep();
});

function problems(text, diagnostics) {
  editor.mark(text, diagnostics);
  of("problems").replaceChildren(...diagnostics.map((one) => {
    const item = document.createElement("li");
    item.dataset.code = one.code;
    item.dataset.severity = one.severity;
    const place = document.createElement("button");
    place.type = "button";
    place.textContent = one.labels[0] ? `Line ${one.labels[0].line}` : "Policy";
    place.addEventListener("click", () => editor.show(text, one));
    const words = document.createElement("span");
    words.textContent = `${one.severity} ${one.code}: ${one.message}${one.help ? ` – ${one.help}` : ""}`;
    item.append(place, words);
    return item;
  }));
}

// Where memory can run out.
function events(rows) {
  const paths = rows.filter((row) => row.pid === undefined && row.cgroup !== "/");
  const options = paths.map((row) => new Option(row.shown, row.cgroup));
  of("oom").replaceChildren(...options, new Option("the whole machine", "/"));
  const has = paths.some((row) => row.cgroup === oom);
  if (!has) oom = null;
  of("oom").value = oom ?? "/";
}

of("oom").addEventListener("change", () => {
  oom = of("oom").value === "/" ? null : of("oom").value;
  result.hide();
  keep();
});

of("press").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  say("");
  await tree.settled();
  const asked = { policy: editor.text(), machine: tree.text(), oom };
  const told = await ask("press", asked);
  // What is drawn is about what stands beside it.
  if (asked.policy !== editor.text() || asked.machine !== tree.text() || asked.oom !== oom) {
    say("Something has changed meanwhile: press again.");
    return;
  }
  problems(asked.policy, told.diagnostics);
  if (told.forecast === undefined) {
    result.hide();
    say("The policy has errors: nobody can be asked what it would do.");
    return;
  }
  result.show(told, name);
  of("decision").focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  of("result").scrollIntoView({ behavior: calm ? "instant" : "smooth", block: "start" });
}));

const opened = guarded(async (file) => {
  const text = await file.text();
  if (file.name.endsWith(".json")) await tree.replace(text);
  else {
    editor.replace(text);
    if (file.name.endsWith(".oom")) name = file.name;
  }
  say(`${file.name} is open.`);
});
of("open").addEventListener("click", () => of("file").click());
of("file").addEventListener("change", () => of("file").files[0] && opened(of("file").files[0]));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) opened(file);
});

// The token in the address stays here: a link is for others.
of("copy").addEventListener("click", guarded(async () => {
  const code = await link.written({ policy: editor.text(), machine: tree.text(), oom });
  if (!code) return say("This is too large for a link: save the policy, and send the snapshot with it.");
  await navigator.clipboard.writeText(`${location.origin}/#${code}`);
  say("The link is copied. Who has oomc opens it so: oomc play --link 'LINK'");
}));
of("copy-test").addEventListener("click", guarded(async () => {
  await navigator.clipboard.writeText(result.test());
  say("The test is copied.");
}));

addEventListener("hashchange", guarded(async () => {
  if (location.hash === kept) return;
  const state = await link.read(location.hash.slice(1));
  if (!state) return say("What stands behind the # of the address is no link to a playground.");
  oom = state.oom;
  editor.replace(state.policy);
  await tree.replace(state.machine);
}));

try {
  await tree.replace(state.machine);
} catch (error) {
  await tree.replace(begin.machine);
  say(error.message);
}
if (location.hash && state === begin) say("What stands behind the # of the address is no link to a playground.");
await check();
document.body.dataset.ready = "true";
