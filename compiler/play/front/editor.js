// What the page needs of CodeMirror, and nothing else: an editor of one text, with marks below what is wrong.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, StreamLanguage, syntaxHighlighting, HighlightStyle } from "@codemirror/language";
import { forceLinting, lintGutter, linter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export {
  bracketMatching, defaultKeymap, EditorState, EditorView, forceLinting, highlightActiveLine, highlightSpecialChars,
  HighlightStyle, history, historyKeymap, keymap, lineNumbers, linter, lintGutter, lintKeymap, placeholder,
  setDiagnostics, StreamLanguage, syntaxHighlighting, tags,
};
