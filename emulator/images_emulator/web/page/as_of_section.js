// The day whose API answers.

import { fill, h } from "./dom.js";
import * as format from "./format.js";
import { choices, errorPlace, newId, section } from "./panel_controls.js";

/** @import { Context } from "./context.js" */
/** @import { Models } from "./explain.js" */
/** @import { PanelSection } from "./panel.js" */

/** YYYY-MM-DD in UTC, by which the emulator goes. @param {Date} date */
const isoDay = (date) => date.toISOString().slice(0, 10);

/**
 * @param {Context} context
 * @returns {PanelSection}
 */
export function createAsOfSection({ api, state }) {
  const error = errorPlace();
  const words = h("p", { class: "panel-words" });
  const id = newId("as-of");
  const input = h("input", { type: "date", class: "input", id, onchange: () => input.value && change(input.value) });
  const row = h("div", { class: "field", hidden: true }, h("label", { for: id }, "Date"), input);
  const control = choices("As of", { any: "Any", today: "Today", date: "Date" }, (value) => {
    if (value !== "date") change(value);
    else if (row.hidden) {
      input.value = isoDay(state.now() ?? new Date());
      row.hidden = false;
      control.press("date");
      input.focus();
      change(input.value);
    } else input.focus();
  });
  /** @type {Models | null} */
  let models = null;

  /** @param {string} asOf */
  function change(asOf) {
    return error.run(async () => state.set("settings", await api.changeSettings({ as_of: asOf })));
  }

  function describe() {
    const asOf = state.settings?.as_of;
    if (!models || !asOf) return "";
    const today = isoDay(state.now() ?? new Date());
    const all = Object.values(models);
    if (asOf === "any") {
      const gone = all.filter(({ shutdown }) => shutdown && shutdown <= today).length;
      return `${format.counted(all.length, "model")} answer${gone ? `, ${gone} of them shut down by now` : ""}`;
    }
    const day = asOf === "today" ? today : asOf;
    const there = all.filter(({ released, shutdown }) => (!released || released <= day) && (!shutdown || day < shutdown));
    return `${format.counted(there.length, "model")} of ${format.day(`${day}T12:00`)} ${there.length === 1 ? "answers" : "answer"}`;
  }

  function draw() {
    const asOf = state.settings?.as_of ?? null;
    const value = asOf === null || asOf === "any" || asOf === "today" ? asOf : "date";
    control.press(value);
    row.hidden = value !== "date";
    if (value === "date" && asOf && document.activeElement !== input) input.value = asOf;
    fill(words, describe());
  }

  return {
    element: section("As of", control.element, row, words, error.element),
    update(kind) {
      if (kind === "open" && !models)
        error.run(async () => {
          models = await api.models();
          draw();
        });
      draw();
    },
  };
}
