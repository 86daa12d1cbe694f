// The tree of cgroups and processes: shows what the server says of the machine, and asks it for each change.
//
// The machine itself is a text that only the server reads.

import { ask } from "./ask.js";

// `changed` is called with what the server says of the machine, each time that it is another one.
export function machineTree(list, more, changed) {
  let machine = "";
  let fields = null;
  const open = new Set();
  // One change after the other: each begins with what the one before has left.
  let work = Promise.resolve();

  // A line that is drawn anew between the press and the release of a mouse would lose the click.
  let released = Promise.resolve();
  list.addEventListener("pointerdown", () => {
    released = new Promise((done) => {
      addEventListener("pointerup", () => setTimeout(done), { once: true });
      // It may be released where no page hears of it.
      setTimeout(done, 1000);
    });
  });

  async function replace(text) {
    show(await ask("machine", { machine: text, edit: null }));
  }

  function edit(change, key) {
    work = work.then(async () => {
      try {
        const told = await ask("machine", { machine, edit: change });
        await released;
        if (change.field === "name") renamed(change);
        show(told);
      } catch (error) {
        const row = [...list.children].find((item) => item.dataset.key === key);
        if (row) row.querySelector(".wrong").textContent = error.message;
      }
    });
  }

  // What was unfolded stays so under its new name.
  function renamed({ of, value }) {
    const after = of.slice(0, of.lastIndexOf("/") + 1) + value;
    for (const key of [...open]) {
      if (key === of || key.startsWith(`${of}/`)) open.add(after + key.slice(of.length));
    }
  }

  function show(told) {
    machine = told.machine;
    fields = told.fields;
    const focus = focused(list);
    list.replaceChildren(...told.rows.map(row));
    restore(list, focus);
    more.hidden = told.more === 0;
    more.textContent = `and ${told.more} more cgroups and processes, which are a part of the machine, too`;
    changed(told);
  }

  function row(told) {
    const isProcess = told.pid !== undefined;
    const key = isProcess ? `#${told.pid}` : told.cgroup;
    const item = element("li", { className: isProcess ? "process" : "cgroup" });
    item.style.setProperty("--depth", told.depth);
    item.dataset.key = key;
    const details = element("details", { open: open.has(key) });
    details.addEventListener("toggle", () => (details.open ? open.add(key) : open.delete(key)));
    const summary = element("summary", {});
    summary.append(
      element("bdi", { className: "name", textContent: told.name }),
      ...(isProcess ? [element("span", { className: "quiet", textContent: `${told.pid}` })] : []),
      element("span", { className: "about", textContent: told.about }),
    );
    details.append(summary);
    if (details.open) unfold();
    details.addEventListener("toggle", () => details.open && !details.querySelector(".fields") && unfold());
    item.append(details);
    return item;

    function unfold() {
      const kind = isProcess ? "process" : told.cgroup === "/" ? "machine" : "cgroup";
      const form = element("div", { className: "fields" });
      fields[kind].forEach((field, at) => form.append(input(field, told.values[at])));
      const buttons = element("div", { className: "tools" });
      if (!isProcess) {
        buttons.append(button("Add a process", { edit: "add_process", to: told.cgroup }));
        buttons.append(button("Add a cgroup", { edit: "add_cgroup", to: told.cgroup }));
      }
      if (isProcess) buttons.append(button("Remove it", { edit: "remove_process", of: told.pid }));
      else if (told.cgroup !== "/") buttons.append(button("Remove it", { edit: "remove_cgroup", of: told.cgroup }));
      details.append(form, buttons, element("p", { className: "wrong", role: "alert" }));
    }

    function button(text, change) {
      const made = element("button", { type: "button", textContent: text });
      made.addEventListener("click", () => {
        if (change.to) open.add(change.to);
        edit(change, key);
      });
      return made;
    }

    function input(field, value) {
      const label = element("label", {});
      const isSwitch = field.example === null;
      const made = element("input", { type: isSwitch ? "checkbox" : "text", name: field.name });
      if (isSwitch) made.checked = value === "true";
      else Object.assign(made, { value, placeholder: field.example, autocomplete: "off", spellcheck: false });
      made.addEventListener("change", () => {
        const text = isSwitch ? `${made.checked}` : made.value;
        const change = isProcess ? { edit: "set_process", of: told.pid } : { edit: "set_cgroup", of: told.cgroup };
        edit({ ...change, field: field.name, value: text }, key);
      });
      const name = element("span", { textContent: field.label });
      label.append(...(isSwitch ? [made, name] : [name, made]));
      if (isSwitch) label.className = "switch";
      return label;
    }
  }

  // What was typed last counts, too: `settled` waits for it.
  return { text: () => machine, settled: () => work, replace };
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

// Where the keyboard is: the row, and the part of it.
function focused(list) {
  const at = document.activeElement;
  const item = at && list.contains(at) ? at.closest("li") : null;
  if (!item) return null;
  const parts = [...item.querySelectorAll("summary, input, button")];
  return { key: item.dataset.key, index: [...list.children].indexOf(item), part: parts.indexOf(at) };
}

// The row may have another name now, or be gone: then the keyboard is where it was in the list.
function restore(list, focus) {
  if (!focus) return;
  const same = [...list.children].find((item) => item.dataset.key === focus.key);
  const item = same ?? list.children[Math.min(focus.index, list.children.length - 1)];
  const parts = item?.querySelectorAll("summary, input, button") ?? [];
  (parts[focus.part] ?? parts[0])?.focus();
}
