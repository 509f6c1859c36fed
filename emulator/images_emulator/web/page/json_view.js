// Code with line numbers: JSON with muted keys, and lines that are marked with a sentence.

import { h } from "./dom.js";

/**
 * A mark on a parameter.
 * @typedef {object} Mark
 * @property {"bad" | "warn"} tone
 * @property {string} note the sentence under the line
 */

/**
 * One line of code.
 * @typedef {object} Line
 * @property {string} indent
 * @property {string | null} key with its quotes
 * @property {string} value what stands after the key, with its comma
 * @property {string} path `images[0].image_url`
 */

/** Characters of a text that are shown; the button for copying has all of them. */
const MAX_SHOWN_CHARS = 2000;

/** Lines that are shown. */
const MAX_LINES = 2000;

/** @param {unknown} value */
function scalar(value) {
  if (typeof value !== "string" || value.length <= MAX_SHOWN_CHARS) return JSON.stringify(value);
  const start = value.slice(0, value.startsWith("data:") ? 60 : MAX_SHOWN_CHARS);
  return JSON.stringify(`${start}… (${value.length.toLocaleString("en")} characters)`);
}

/**
 * The lines of a value, indented by two spaces.
 * @param {unknown} value
 * @returns {Line[]}
 */
export function linesOf(value) {
  /** @type {Line[]} */
  const lines = [];
  /**
   * @param {unknown} each
   * @param {string} indent
   * @param {string | null} key
   * @param {string} path
   * @param {string} comma
   */
  const add = (each, indent, key, path, comma) => {
    if (lines.length >= MAX_LINES) return;
    if (typeof each !== "object" || each === null) {
      lines.push({ indent, key, value: scalar(each) + comma, path });
      return;
    }
    const isArray = Array.isArray(each);
    const [open, close] = isArray ? "[]" : "{}";
    const entries = Object.entries(each);
    if (entries.length === 0) {
      lines.push({ indent, key, value: `${open}${close}${comma}`, path });
      return;
    }
    lines.push({ indent, key, value: open ?? "", path });
    entries.forEach(([name, inner], place) => {
      const innerPath = isArray ? `${path}[${name}]` : path ? `${path}.${name}` : name;
      const innerKey = isArray ? null : JSON.stringify(name);
      add(inner, `${indent}  `, innerKey, innerPath, place < entries.length - 1 ? "," : "");
    });
    lines.push({ indent, key: null, value: `${close}${comma}`, path: "" });
  };
  add(value, "", null, "", "");
  return lines;
}

/**
 * The mark that a line has, by the parameter's name as errors write it.
 * @param {Map<string, Mark>} marks
 * @param {string} path
 */
const markOf = (marks, path) => (path ? marks.get(path) ?? marks.get(path.replace(/\[\d+\]$/, "[]")) : undefined);

/**
 * A block of numbered lines.
 * @param {string} label name of the block for screen readers
 * @param {{content: (Node | string)[], mark?: Mark | undefined}[]} lines
 */
function block(label, lines) {
  return h(
    "div",
    { class: "lines", tabindex: "0", role: "group", "aria-label": label },
    lines.map(({ content, mark }, place) =>
      h(
        "div",
        { class: mark ? `line marked ${mark.tone}` : "line" },
        h("span", { class: "line-number", "aria-hidden": "true" }, String(place + 1)),
        h("code", { class: "line-text" }, content),
        mark ? h("span", { class: "line-note", dir: "auto" }, mark.note) : null,
      ),
    ),
  );
}

/**
 * JSON, with its marked lines.
 * @param {string} label
 * @param {unknown} value
 * @param {Map<string, Mark>} [marks] by the parameters' names
 */
export function jsonView(label, value, marks = new Map()) {
  return block(
    label,
    linesOf(value).map((line) => ({
      content: [
        line.indent,
        ...(line.key === null ? [] : [h("span", { class: "faint" }, line.key), ": "]),
        line.value,
      ],
      mark: markOf(marks, line.path),
    })),
  );
}

/**
 * Any text as it is.
 * @param {string} label
 * @param {string} text
 */
export function textView(label, text) {
  const lines = text.replace(/\n+$/, "").split("\n", MAX_LINES);
  return block(label, lines.map((line) => ({
    content: [line.length > MAX_SHOWN_CHARS ? `${line.slice(0, MAX_SHOWN_CHARS)}… (${line.length.toLocaleString("en")} characters)` : line],
  })));
}

/**
 * A body: as JSON where it is JSON.
 * @param {string} label
 * @param {string} body
 * @param {Map<string, Mark>} [marks]
 */
export function bodyView(label, body, marks) {
  try {
    return jsonView(label, JSON.parse(body), marks);
  } catch {
    return textView(label, body);
  }
}
