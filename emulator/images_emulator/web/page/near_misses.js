// Why a call met none of the scenario's faults, no answer of one's own, and no recording.

import { h, icon } from "./dom.js";
import * as format from "./format.js";

/** @import { Detail, NearMiss } from "./api.js" */
/** @import { Context } from "./context.js" */

/**
 * What was not met: a recording, an answer or a fault.
 * @param {Context} context
 * @param {NearMiss} miss
 */
function tag({ state }, { kind, step, label }) {
  if (kind === "recording") return h("span", { class: "tag" }, icon("play", "small"), step);
  const isAnswer = state.scenario?.steps.some((each) => each.id === step && each.answer);
  return h("span", { class: "tag", dir: "auto" }, icon(isAnswer ? "picture" : "fault", "small"), isAnswer ? label : format.words(label));
}

/**
 * @param {Context} context
 * @param {NearMiss} miss
 */
const row = (context, miss) =>
  h("li", null, tag(context, miss), h("span", { dir: "auto" }, miss.reason), h("span", { class: "faint near-miss-step" }, miss.name));

/**
 * @param {Context} context
 * @param {Detail} call
 * @returns {HTMLElement | null} null where there is none
 */
export function nearMisses(context, call) {
  const open = call.near_misses.filter((miss) => !miss.spent);
  const spent = call.near_misses.filter((miss) => miss.spent);
  if (open.length + spent.length === 0) return null;
  const list = h("ul", { class: "near-misses" }, open.map((miss) => row(context, miss)));
  const more = h("button", {
    type: "button", class: "button plain",
    onclick: () => {
      const first = row(context, /** @type {NearMiss} */ (spent[0]));
      first.tabIndex = -1;
      list.append(first, ...spent.slice(1).map((miss) => row(context, miss)));
      more.remove();
      first.focus();
    },
  }, `Show ${spent.length} spent`);
  return h(
    "section",
    { class: "card", "aria-label": "Near misses" },
    h("header", null, h("h2", null, "Near misses"), h("span", { class: "muted small" }, "what did not meet this call, and why"), h("span", { class: "spacer" }), spent.length ? more : null),
    list,
  );
}
