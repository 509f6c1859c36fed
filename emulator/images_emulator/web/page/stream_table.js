// The table of a stream's events.

import { fill, h, icon } from "./dom.js";
import * as format from "./format.js";

/** @import { Detail, StreamEvent } from "./api.js" */
/** @import { Context } from "./context.js" */

/** What an event carries. @param {StreamEvent} event @param {number} partials before it */
function data(event, partials) {
  if (event.partial) return `partial_image_index ${partials}, ${format.bytes(event.bytes)}`;
  return format.bytes(event.bytes);
}

/** @param {Context} context */
export function createStreamTable(context) {
  const words = h("span", { class: "muted" });
  const rows = h("tbody");
  const copy = h(
    "button",
    { type: "button", class: "button plain", onclick: () => context.copy(call?.answer?.body ?? "", "the stream as text/event-stream") },
    icon("copy"), h("span", null, "Copy as text/event-stream"),
  );
  const element = h(
    "section",
    { class: "card", "aria-label": "Events" },
    h("header", null, h("h2", null, "Events"), words, h("span", { class: "spacer" }), copy),
    h("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": "Table of events" },
      h("table", { class: "table stream-table" },
        h("thead", null, h("tr", null,
          h("th", { scope: "col" }, "#"), h("th", { scope: "col", class: "number" }, "After"), h("th", { scope: "col", class: "number" }, "Gap"),
          h("th", { scope: "col" }, "Event"), h("th", { scope: "col" }, "Data"))),
        rows)),
  );
  /** @type {Detail | null} */
  let call = null;
  let shownId = "";

  return {
    element,

    /** @param {Detail} next */
    update(next) {
      call = next;
      const { stream_events: stream } = next;
      element.hidden = stream.length === 0;
      copy.hidden = !next.answer?.body;
      const isFlying = next.outcome === "waiting";
      const last = stream.at(-1)?.ms ?? 0;
      fill(words, isFlying ? `${stream.length} so far` : `${stream.length} in ${format.duration(next.duration_ms ?? last)}`);
      if (shownId !== next.id || rows.childElementCount > stream.length) fill(rows);
      shownId = next.id;
      let partials = 0;
      stream.forEach((event, at) => {
        if (at >= rows.childElementCount) {
          const gap = event.ms - (stream[at - 1]?.ms ?? 0);
          rows.append(h("tr", null,
            h("td", { class: "faint" }, String(event.index)),
            h("td", { class: "number" }, format.duration(event.ms)),
            h("td", { class: "number faint" }, gap < 1 ? format.duration(gap) : `+${format.duration(gap)}`),
            h("td", { class: "mono" }, event.type),
            h("td", { class: "muted" }, data(event, partials))));
        }
        if (event.partial) partials += 1;
      });
      rows.lastElementChild?.classList.toggle("bad", next.outcome === "failed");
    },
  };
}
