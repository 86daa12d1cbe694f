// The editor: the policy's text, its colours, and marks below what the compiler says is wrong.
//
// It stands in a shadow tree, because CodeMirror brings its styles there as objects: the page allows none inline.

import * as code from "./editor.js";

const theme = code.EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "transparent", fontSize: "14px", height: "100%" },
  "&.cm-focused": { outline: "2px solid var(--candidate)", outlineOffset: "-1px", borderRadius: "8px" },
  ".cm-scroller": {
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, \"DejaVu Sans Mono\", monospace", lineHeight: "1.6",
  },
  ".cm-content": { padding: "12px 0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0 12px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--quiet)", border: "0" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 2px 0 12px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine, &.cm-focused .cm-activeLineGutter": {
    backgroundColor: "color-mix(in srgb, var(--ink) 5%, transparent)",
  },
  ".cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--candidate) 22%, transparent) !important" },
  ".cm-specialChar": { color: "var(--victim)" },
  ".cm-lintRange-error": { textDecoration: "underline wavy var(--victim)", backgroundImage: "none" },
  ".cm-lintRange-warning": { textDecoration: "underline wavy var(--candidate)", backgroundImage: "none" },
  ".cm-tooltip": {
    backgroundColor: "var(--paper)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "8px",
    overflow: "hidden", maxWidth: "min(36em, 90vw)", whiteSpace: "pre-wrap",
  },
  ".cm-diagnostic-error": { borderLeftColor: "var(--victim)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--candidate)" },
});

const colours = code.HighlightStyle.define([
  { tag: code.tags.keyword, color: "var(--candidate)" },
  { tag: code.tags.string, color: "var(--protected)" },
  { tag: code.tags.number, color: "var(--number)" },
  { tag: code.tags.comment, color: "var(--quiet)", fontStyle: "italic" },
]);

// Which words there are, the server knows.
function language(words) {
  const known = new Set(words);
  return code.StreamLanguage.define({
    token(stream) {
      if (stream.eatSpace()) return null;
      if (stream.match(/^#.*/)) return "comment";
      if (stream.match(/^"[^"]*"?/)) return "string";
      if (stream.match(/^[0-9][0-9_.]*(%|[A-Za-z]+)?/)) return "number";
      const word = stream.match(/^[A-Za-z_][A-Za-z0-9_]*/);
      if (word) return known.has(word[0]) ? "keyword" : null;
      stream.next();
      return null;
    },
    languageData: { commentTokens: { line: "#" } },
  });
}

// `changed` is called when the text has changed, `pressed` when the author wants to see what it does.
export function policyEditor(parent, words, text, changed, pressed) {
  const root = parent.attachShadow({ mode: "open" });
  const run = { key: "Mod-Enter", run: () => (pressed(), true) };
  const view = new code.EditorView({
    root,
    parent: root,
    state: code.EditorState.create({
      doc: text,
      extensions: [
        code.lineNumbers(), code.history(), code.bracketMatching(), code.highlightActiveLine(),
        code.highlightSpecialChars(), code.EditorView.lineWrapping, language(words),
        code.syntaxHighlighting(colours), theme,
        // The Tab key leaves the editor: whoever has no mouse goes on.
        code.keymap.of([run, ...code.lintKeymap, ...code.historyKeymap, ...code.defaultKeymap]),
        code.EditorView.contentAttributes.of({ "aria-label": "Policy", spellcheck: "false" }),
        code.EditorView.updateListener.of((update) => update.docChanged && changed()),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    replace(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    },
    // Marks what is wrong with `text`, if that is still what stands here.
    mark(text, diagnostics) {
      if (text !== view.state.doc.toString()) return;
      view.dispatch(code.setDiagnostics(view.state, diagnostics.map((one) => marked(text, one))));
    },
    show(text, diagnostic) {
      if (text !== view.state.doc.toString()) return;
      const { from } = marked(text, diagnostic);
      view.dispatch({ selection: { anchor: from }, scrollIntoView: true });
      view.focus();
    },
  };
}

function marked(text, diagnostic) {
  const label = diagnostic.labels[0] ?? { start: 0, end: 0, text: "" };
  const [from, to] = [units(text, label.start), units(text, label.end)];
  const lines = [`${diagnostic.code}: ${diagnostic.message}`, label.text];
  if (diagnostic.help) lines.push(`help: ${diagnostic.help}`);
  const severity = diagnostic.severity === "error" ? "error" : "warning";
  return { from, to: Math.max(to, from), severity, message: lines.filter(Boolean).join("\n") };
}

// The compiler counts bytes, the editor units of UTF-16.
function units(text, bytes) {
  const start = new TextEncoder().encode(text).subarray(0, bytes);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(start).length;
}
