// Shows what came of it: the drawing and the explanation are markup that the server has written and escaped.

// The only place where a text becomes markup. Scripts in it would not run: the page allows its own files alone.
const trusted = globalThis.trustedTypes?.createPolicy("oomc", { createHTML: (text) => text })
  ?? { createHTML: (text) => text };

function draw(into, markup) {
  const drawn = new DOMParser().parseFromString(trusted.createHTML(markup ?? ""), "text/html");
  into.replaceChildren(...drawn.body.childNodes);
}

let saved = null;
let written = "";

// The test as it goes into a file.
export const test = () => written;

// `name` is that of the policy's file.
export function show(told, name) {
  const of = (id) => document.getElementById(id);
  draw(of("decision"), told.picture);
  draw(of("explained"), told.explained);
  const test = told.test;
  const tests = `${name}t`;
  written = test?.text ?? "";
  of("test").hidden = test === null;
  of("test-text").textContent = test?.shown ?? "";
  const whole = written !== "";
  for (const id of ["test-text", "copy-test", "save-test"]) of(id).hidden = !whole;
  of("test-says").textContent = test?.passes
    ? `It was run just now, and passes. Put it into the file of tests beside the policy: ${tests} beside ${name}.`
    : `It does not pass as it stands: ${test?.why}.`;
  of("test").dataset.passes = `${test?.passes ?? false}`;
  if (saved) URL.revokeObjectURL(saved);
  saved = URL.createObjectURL(new Blob([written], { type: "text/plain" }));
  of("save-test").href = saved;
  of("save-test").download = tests;
  of("save-test").textContent = `Save ${tests}`;
  of("result").hidden = false;
  of("result").dataset.victim = told.forecast.victim ? `${told.forecast.victim.id}` : "";
}

export function hide() {
  document.getElementById("result").hidden = true;
}
