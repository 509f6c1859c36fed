// The pictures of a stream in their order, each joined to its moment on an axis that is true to
// scale.

import { address, thumbnail } from "./api.js";
import { fill, h } from "./dom.js";
import * as format from "./format.js";

/** @import { StreamEvent } from "./api.js" */
/** @import { Shown } from "./stage_figures.js" */

/**
 * An event with a picture.
 * @typedef {object} Frame
 * @property {string} title `Partial 1`, `Completed`
 * @property {StreamEvent} event
 * @property {Shown} shown
 * @property {string | null} thumbnail
 */

/**
 * A stream as the timeline draws it.
 * @typedef {object} Timeline
 * @property {Frame[]} frames
 * @property {StreamEvent[]} events all of them, with pictures and without
 * @property {number | null} end milliseconds; null while it is in flight
 * @property {number} expected frames of the whole stream
 * @property {string | null} trouble what ended it before its end
 * @property {number} selected place in `frames`
 */

const SVG = "http://www.w3.org/2000/svg";
const ELBOW_HEIGHT = 26;

/**
 * The share of the axis at a moment. In flight the axis is long enough for what is still to come.
 * @param {Timeline} timeline
 * @param {number} ms
 */
function share({ end, events, frames, expected }, ms) {
  const last = events.at(-1)?.ms ?? 0;
  const whole = end ?? (frames.length ? (last * expected) / frames.length : last);
  return whole > 0 ? Math.min(1, ms / whole) : 0;
}

/**
 * @param {(place: number) => void} onselect called with a place in `frames`
 */
export function createTimeline(onselect) {
  const figures = h("div", { class: "timeline-figures" });
  const elbows = document.createElementNS(SVG, "svg");
  elbows.setAttribute("class", "timeline-elbows");
  elbows.setAttribute("aria-hidden", "true");
  elbows.setAttribute("height", String(ELBOW_HEIGHT));
  const done = h("div", { class: "axis-done" });
  const knobs = h("div", { class: "axis-knobs" });
  const axis = h("div", { class: "axis", "aria-hidden": "true" }, h("div", { class: "axis-rest" }), done, knobs);
  const start = h("span", null, "0 s");
  const end = h("span", null);
  const ends = h("div", { class: "axis-ends" }, start, end);
  const inner = h("div", { class: "timeline-inner" }, figures, elbows, axis, ends);
  const element = h("div", { class: "timeline" }, inner);

  /** @type {Timeline | null} */
  let current = null;
  /** @type {Map<number, HTMLButtonElement>} by the event's index */
  const buttons = new Map();

  /** @param {Frame} frame */
  function figure(frame) {
    const known = buttons.get(frame.event.index);
    if (known) return known;
    const { shown } = frame;
    const button = h(
      "button",
      { type: "button", class: "figure", onclick: () => onselect([...buttons.values()].indexOf(button)) },
      h("span", { class: "figure-picture" }, h("img", {
        src: frame.thumbnail ? thumbnail(frame.thumbnail, 480) : address(shown.url), alt: "", decoding: "async",
      })),
      h("span", { class: "figure-title" }, frame.title),
      h("span", { class: "figure-words" },
        h("span", null, `+${format.duration(frame.event.ms)}`),
        h("span", { class: "figure-bytes" }, `, ${format.bytes(frame.event.bytes)}`)),
    );
    buttons.set(frame.event.index, button);
    return button;
  }

  function drawElbows() {
    const timeline = current;
    if (!timeline || !element.isConnected) return;
    const width = inner.clientWidth;
    elbows.setAttribute("width", String(width));
    elbows.replaceChildren(
      ...timeline.frames.map((frame, place) => {
        const button = figure(frame);
        const from = button.offsetLeft + button.offsetWidth / 2;
        const to = share(timeline, frame.event.ms) * width;
        const line = document.createElementNS(SVG, "polyline");
        line.setAttribute("points", `${from},2 ${from},10 ${to},${ELBOW_HEIGHT - 7} ${to},${ELBOW_HEIGHT}`);
        if (place === timeline.selected) line.setAttribute("class", "selected");
        return line;
      }),
    );
  }

  new ResizeObserver(drawElbows).observe(inner);

  return {
    element,

    /** @param {Timeline} timeline */
    update(timeline) {
      current = timeline;
      const { frames, events, selected, trouble, expected } = timeline;
      const waiting = timeline.end === null ? Math.max(0, expected - frames.length) : 0;
      const shown = frames.map(figure);
      fill(
        figures,
        shown,
        Array.from({ length: waiting }, () => h("div", { class: "figure waiting", "aria-hidden": "true" }, h("span", { class: "figure-picture" }))),
        trouble && frames.length
          ? h("div", { class: "figure trouble" }, h("span", { class: "figure-picture" }, "No picture"), h("span", { class: "figure-title" }, trouble))
          : null,
      );
      shown.forEach((button, place) => {
        if (place === selected) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      });
      const frame = frames[selected];
      done.style.width = `${100 * (frame ? share(timeline, frame.event.ms) : 0)}%`;
      const pictured = new Set(frames.map((each) => each.event.index));
      fill(
        knobs,
        events.map((event) => {
          const knob = h("span", { class: pictured.has(event.index) ? "knob" : "knob minor" });
          knob.classList.toggle("selected", frame?.event.index === event.index);
          knob.style.insetInlineStart = `${100 * share(timeline, event.ms)}%`;
          return knob;
        }),
        trouble ? h("span", { class: "knob square" }) : null,
      );
      axis.classList.toggle("in-flight", timeline.end === null);
      fill(end, timeline.end === null ? "in flight" : format.duration(timeline.end));
      drawElbows();
    },

    /** Another call is shown. */
    clear() {
      current = null;
      buttons.clear();
      fill(figures);
    },
  };
}
