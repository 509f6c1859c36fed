// What the sections of the panel are made of.

import { fill, h } from "./dom.js";

/** @import { Child } from "./dom.js" */

let lastId = 0;

/** An id that no other element has. @param {string} name */
export const newId = (name) => `${name}-${(lastId += 1)}`;

/**
 * A section with its heading.
 * @param {string} title
 * @param {Child} beside stands behind the title, at the end
 * @param {...Child} children
 */
export function section(title, beside, ...children) {
  const id = newId("panel-section");
  return h(
    "section",
    { class: "panel-section", "aria-labelledby": id },
    h("header", null, h("h3", { id, tabindex: -1 }, title), beside),
    children,
  );
}

/**
 * A place for the sentence of an error, beside the control that it is of. *run* waits for a task
 * and shows how it failed; its result is false then.
 */
export function errorPlace() {
  const element = h("p", { class: "panel-error", role: "alert", hidden: true });
  /** @param {string} text */
  const show = (text) => {
    fill(element, text);
    element.hidden = text === "";
  };
  return {
    element,
    show,
    /** @param {() => Promise<unknown>} task */
    async run(task) {
      show("");
      try {
        await task();
        return true;
      } catch (error) {
        show(error instanceof Error ? error.message : String(error));
        return false;
      }
    },
  };
}

/**
 * Choices of which one is pressed.
 * @template {string} Value
 * @param {string} label
 * @param {Record<Value, string>} choices words by value
 * @param {(value: Value) => void} onchoose
 */
export function choices(label, choices, onchoose) {
  const values = /** @type {Value[]} */ (Object.keys(choices));
  const buttons = values.map((value) => h("button", { type: "button", onclick: () => onchoose(value) }, choices[value]));
  return {
    element: h("div", { class: "segments", role: "group", "aria-label": label }, buttons),
    /** @param {Value | null} chosen */
    press(chosen) {
      buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(values[place] === chosen)));
    },
  };
}
