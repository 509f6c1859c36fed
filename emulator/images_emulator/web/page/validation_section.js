// The switch between strict and lenient validation.

import { fill, h } from "./dom.js";
import { choices, errorPlace, section } from "./panel_controls.js";

/** @import { Context } from "./context.js" */
/** @import { PanelSection } from "./panel.js" */

/**
 * @param {Context} context
 * @returns {PanelSection}
 */
export function createValidationSection({ api, state }) {
  const error = errorPlace();
  const words = h("p", { class: "panel-words" });
  const control = choices("Validation", { strict: "Strict", lenient: "Lenient" }, (validation) =>
    error.run(async () => state.set("settings", await api.changeSettings({ validation }))));
  return {
    element: section("Validation", control.element, words, error.element),
    update() {
      const value = state.settings?.validation ?? null;
      control.press(value);
      fill(words, value === "lenient" ? "Mistakes are forgiven where they can be, and named" : "");
      words.hidden = value !== "lenient";
    },
  };
}
