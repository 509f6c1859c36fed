// Two pictures side by side, also of two calls, and what differs between their calls.

import { address } from "./api.js";
import { fill, h, icon } from "./dom.js";
import * as format from "./format.js";
import { isStream, pictureAt } from "./stage_content.js";
import { differenceFigure, image, plainFigure, slideFigure } from "./stage_figures.js";
import { choices } from "./panel_controls.js";

/** @import { Detail } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { Shown } from "./stage_figures.js" */

/** @typedef {{call: Detail, shown: Shown, name: "A" | "B"}} Side */

/** @type {[name: string, value: (side: Side) => unknown][]} */
const ROWS = [
  ["Prompt", ({ call }) => call.prompt],
  ["Picture", ({ shown: { place } }) => (/^\d+$/.test(place) ? Number(place) + 1 : place.replace(/-(\d+)$/, (_, digits) => ` ${Number(digits) + 1}`))],
  ["Model", ({ call }) => call.model],
  ["Pixels", ({ shown }) => shown.width && shown.height && format.pixels(shown.width, shown.height)],
  ["Quality", ({ call }) => call.parameters.quality],
  ["Format", ({ call }) => call.pictures[0]?.format.toUpperCase()],
  ["Background", ({ call }) => call.parameters.background],
  ["Bytes", ({ call, shown }) => {
    const bytes = call.pictures.find((each) => String(each.index) === shown.place)?.bytes;
    return bytes ? format.bytes(bytes) : null;
  }],
  ["Input tokens", ({ call }) => call.usage && format.count(call.usage.input_tokens)],
  ["Output tokens", ({ call }) => call.usage && format.count(call.usage.output_tokens)],
  ["Would have cost", ({ call }) => (call.price_usd === null ? null : format.price(call.price_usd))],
  ["Answered in", ({ call }) => (call.duration_ms === null ? null : format.duration(call.duration_ms))],
  ["Stream", ({ call }) => (isStream(call) ? format.counted(call.event_count, "event") : "no")],
  ["Key", ({ call }) => call.key],
  ["SDK", ({ call }) => call.sdk],
  ["Time", ({ call }) => format.time(call.time)],
];

/** The picture that an address names: `req_…/0`. @param {Context} context @param {string} reference */
async function sideOf(context, reference) {
  const [id = "", place = ""] = reference.split("/");
  const call = await context.api.detail(id);
  return { call, shown: pictureAt(call, place) };
}

/**
 * What differs, and what is alike when it is asked for.
 * @param {Side} a
 * @param {Side} b
 */
function differenceTable(a, b) {
  const rows = ROWS.map(([name, value]) => ({ name, a: String(value(a) ?? "–"), b: String(value(b) ?? "–") }))
    .filter((row) => row.a !== "–" || row.b !== "–");
  const body = h("tbody");
  let isWhole = false;
  const button = h("button", { type: "button", class: "button plain", "aria-expanded": "false", onclick: () => {
    isWhole = !isWhole;
    draw();
  } });
  function draw() {
    fill(button, isWhole ? "Hide what is alike" : "Show what is alike");
    button.setAttribute("aria-expanded", String(isWhole));
    const shown = rows.filter((row) => isWhole || row.a !== row.b);
    fill(body, shown.map((row) => h("tr", null,
      h("th", { scope: "row" }, row.name), h("td", { dir: "auto" }, row.a), h("td", { dir: "auto" }, row.b))));
  }
  draw();
  return h(
    "section",
    { class: "card", "aria-label": "What differs" },
    h("header", null, h("h2", null, "What differs"), h("span", { class: "spacer" }), button),
    h("table", { class: "table compare-table" },
      h("thead", null, h("tr", null, h("td"), h("th", { scope: "col" }, "A"), h("th", { scope: "col" }, "B"))), body),
  );
}

/**
 * @param {Context} context
 */
export function createCompare(context) {
  const element = h("div", { class: "compare" });
  /** @type {{a: Side, b: Side} | null} */
  let sides = null;
  /** @type {"side" | "slide" | "difference"} */
  let mode = "side";
  let isFull = false;
  /** The references that are shown. */
  let current = "";

  const modes = choices("Compare by", { side: "Side by side", slide: "Slide over", difference: "Difference" }, (next) => {
    mode = next;
    draw();
  });
  const zoom = h("button", { type: "button", class: "button", "aria-pressed": "false", onclick: () => {
    isFull = !isFull;
    draw();
  } }, "Zoom 100 %");
  const swap = h("button", { type: "button", class: "button", onclick: () => {
    const [one = "", other = ""] = current.split(",");
    context.navigate({ compare: `${other},${one}` }, { replace: true });
  } }, "Swap");
  const closeButton = h("button", { type: "button", class: "button plain square", "aria-label": "Close the comparison", onclick: () => close() }, icon("close"));
  const pictures = h("div", { class: "compare-pictures" });
  const table = h("div");
  fill(
    element,
    h("header", { class: "call-head compare-head" },
      h("div", { class: "call-bar" }, closeButton, h("h1", null, "Two pictures"), h("span", { class: "spacer" }), modes.element, zoom, swap)),
    h("div", { class: "call-body" }, pictures, table),
  );

  function close() {
    context.navigate({ compare: null });
  }

  /** @param {Side} side */
  function card(side) {
    const { call, shown, name } = side;
    const view = h("div", { class: "stage-view", tabindex: isFull ? "0" : null, role: isFull ? "group" : null, "aria-label": isFull ? `Picture ${name}` : null },
      isFull ? h("div", { class: "actual chequered" }, image(shown)) : plainFigure(shown));
    // Both stand at the same place of their pictures.
    view.addEventListener("scroll", () => {
      for (const other of pictures.querySelectorAll(".stage-view")) if (other !== view) other.scrollTo(view.scrollLeft, view.scrollTop);
    });
    return h(
      "section",
      { class: "card stage", "aria-label": `Picture ${name}` },
      h("header", null,
        h("span", { class: "kbd" }, name),
        h("button", { type: "button", class: "compare-title cut", dir: "auto", title: "Open the call", onclick: () => context.select(call.id) }, format.title(call)),
        h("span", { class: "spacer" }),
        h("a", { class: "button plain square", href: address(shown.url), download: shown.file, "aria-label": `Save picture ${name}` }, icon("save"))),
      view,
    );
  }

  function draw() {
    if (!sides) return;
    const { a, b } = sides;
    modes.press(mode);
    zoom.hidden = mode !== "side";
    zoom.setAttribute("aria-pressed", String(isFull));
    pictures.classList.toggle("one", mode !== "side");
    pictures.classList.toggle("full-size", mode === "side" && isFull);
    if (mode === "side") fill(pictures, card(a), card(b));
    else {
      const figure = mode === "slide" ? slideFigure(a.shown, b.shown, { before: "A", after: "B" }) : differenceFigure(a.shown, b.shown);
      fill(pictures, h("section", { class: "card stage", "aria-label": mode === "slide" ? "A over B" : "Difference" }, h("div", { class: "stage-view" }, figure)));
    }
    fill(table, differenceTable(a, b));
  }

  return {
    element,

    /** @param {string} references two of them, with a comma between */
    async show(references) {
      if (references === current) return;
      current = references;
      const isFirst = sides === null;
      const [one = "", other = ""] = references.split(",");
      if (isFirst) fill(pictures);
      try {
        const [a, b] = await Promise.all([sideOf(context, one), sideOf(context, other)]);
        if (current !== references) return;
        if (!a.shown || !b.shown) throw new Error("One of the two pictures is not kept any more.");
        sides = { a: { call: a.call, shown: a.shown, name: "A" }, b: { call: b.call, shown: b.shown, name: "B" } };
        draw();
        if (isFirst) closeButton.focus({ preventScroll: true });
      } catch (error) {
        if (current === references) fill(pictures, h("p", { class: "call-note" }, error instanceof Error ? error.message : String(error)));
      }
    },

    hide() {
      current = "";
      sides = null;
      fill(pictures);
      fill(table);
    },
  };
}
