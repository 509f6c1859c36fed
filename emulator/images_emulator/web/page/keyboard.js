// Keys, and the list of them.

import { h, icon } from "./dom.js";

/** @import { KeyBinding } from "./context.js" */

/** @type {Record<string, string>} */
const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };

/** @type {readonly KeyBinding["group"][]} */
const GROUPS = ["Move", "Call", "Find", "Page"];

export class Keyboard {
  /** @param {() => KeyBinding[]} bindings those that count now; the first that does something counts */
  constructor(bindings) {
    this.bindings = bindings;
    addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]")) {
      // A field has its own keys. Esc leaves it.
      if (event.key === "Escape" && target instanceof HTMLElement) target.blur();
      return;
    }
    // Enter and the space bar press the button that has the focus.
    if (event.key === "Enter" && target?.closest("button, a, summary, label")) return;
    for (const binding of this.bindings())
      if (binding.key === event.key && binding.run() !== false) {
        event.preventDefault();
        return;
      }
  }
}

/**
 * Shows all keys, until it is closed.
 * @param {KeyBinding[]} bindings
 */
export function showHelp(bindings) {
  const dialog = h("dialog", { class: "dialog help", "aria-labelledby": "help-title", onclose: () => dialog.remove(),
    onclick: (/** @type {MouseEvent} */ event) => event.target === dialog && dialog.close() },
    h("header", null, h("h2", { id: "help-title" }, "Keyboard"),
      h("button", { class: "button plain square", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    h("div", { class: "help-groups" }, GROUPS.map((group) => {
      /** @type {Map<string, string[]>} */
      const lines = new Map();
      for (const binding of bindings.filter((each) => each.group === group && each.label))
        lines.set(binding.label, [...(lines.get(binding.label) ?? []), binding.key]);
      return lines.size > 0 && h("section", null, h("h3", { class: "muted small" }, group),
        h("dl", null, [...lines].map(([label, keys]) => h("div", null, h("dt", null, label), h("dd", null, keys.map(shownKey))))));
    })));
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {string} key */
function shownKey(key) {
  const isShifted = key.length === 1 && key !== key.toLowerCase();
  const keys = [h("kbd", { class: "kbd" }, SHOWN[key] ?? (key.length === 1 ? key.toLowerCase() : key))];
  return isShifted ? [h("kbd", { class: "kbd" }, "Shift"), ...keys] : keys;
}
