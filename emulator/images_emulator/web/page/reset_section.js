// Everything as at the start; asked once, in place.

import { fill, h } from "./dom.js";
import * as format from "./format.js";
import { listed } from "./explain.js";
import { errorPlace, section } from "./panel_controls.js";

/** @import { Context } from "./context.js" */
/** @import { PanelSection } from "./panel.js" */

/**
 * @param {Context} context
 * @returns {PanelSection}
 */
export function createResetSection({ api, calls, state, toast }) {
  const error = errorPlace();
  const words = h("p", { class: "panel-words" });
  const ask = h("button", { type: "button", class: "button danger full-width", onclick: () => turn(true) }, "Reset everything");
  const confirm = h("button", { type: "button", class: "button danger", onclick: () => reset() }, "Reset");
  const keep = h("button", { type: "button", class: "button", onclick: () => turn(false) }, "Keep all");
  const question = h("div", { class: "panel-row", role: "group", "aria-label": "Reset everything?", hidden: true }, confirm, keep);

  function goes() {
    const faults = state.unspentFaults().length;
    return [
      calls.total > 0 && format.counted(calls.total, "call"), faults > 0 && format.counted(faults, "armed fault"), "pictures", "files",
    ].filter((each) => each !== false);
  }

  function draw() {
    fill(words, question.hidden
      ? "Calls, pictures, files, faults, answers, clock, settings"
      : `Forgets ${listed(goes())}; clock, settings and scenario are as at the start.`);
  }

  /** @param {boolean} isAsked */
  function turn(isAsked) {
    question.hidden = !isAsked;
    ask.hidden = isAsked;
    draw();
    (isAsked ? confirm : ask).focus();
  }

  function reset() {
    return error.run(async () => {
      await api.reset();
      const [settings, clock, scenario] = await Promise.all([api.settings(), api.clock(), api.scenario()]);
      state.set("settings", settings);
      state.set("clock", clock);
      state.set("scenario", scenario);
      turn(false);
      toast("Reset");
    });
  }

  const element = section("Reset", null, ask, words, question, error.element);
  element.classList.add("reset-section");
  return {
    element,
    update: draw,
    close() {
      question.hidden = true;
      ask.hidden = false;
      error.show("");
    },
  };
}
