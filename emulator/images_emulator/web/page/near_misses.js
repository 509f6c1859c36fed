// Why a call met none of the faults that were armed, and no recording.

import { h, icon } from "./dom.js";
import * as format from "./format.js";

/** @import { Detail, NearMiss } from "./api.js" */

/** @param {NearMiss} miss */
const row = (miss) =>
  h("li", null,
    miss.kind === "recording"
      ? h("span", { class: "tag" }, icon("play", "small"), miss.step)
      : h("span", { class: "tag" }, icon("fault", "small"), format.words(miss.fault)),
    h("span", { dir: "auto" }, miss.reason),
    h("span", { class: "faint near-miss-step" }, miss.name));

/**
 * @param {Detail} call
 * @returns {HTMLElement | null} null where there is none
 */
export function nearMisses(call) {
  const open = call.near_misses.filter((miss) => !miss.spent);
  const spent = call.near_misses.filter((miss) => miss.spent);
  if (open.length + spent.length === 0) return null;
  const list = h("ul", { class: "near-misses" }, open.map(row));
  const more = h("button", {
    type: "button", class: "button plain",
    onclick: () => {
      const first = row(/** @type {NearMiss} */ (spent[0]));
      first.tabIndex = -1;
      list.append(first, ...spent.slice(1).map(row));
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
