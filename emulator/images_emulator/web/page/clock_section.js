// The emulator's clock: it runs on, moves and stands still.

import { fill, h, icon, setText } from "./dom.js";
import * as format from "./format.js";
import { errorPlace, newId, section } from "./panel_controls.js";

/** @import { Hosting } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { PanelSection } from "./panel.js" */

/** Seconds that a button moves the clock on. */
const STEPS = { "+1 min": 60, "+1 h": 3600, "+1 day": 86400 };

/** Seconds of offset that nobody need be told of. */
const SMALL_OFFSET = 1;

const zone = () => new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts().find(({ type }) => type === "timeZoneName")?.value ?? "";

/** The value of an input for date and time, in this browser's zone. @param {Date} date */
function localValue(date) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${format.time(date)}`;
}

/**
 * @param {Context} context
 * @returns {PanelSection}
 */
export function createClockSection({ api, calls, state }) {
  const error = errorPlace();
  const time = h("span", { class: "clock-time" });
  const day = h("span", { class: "muted" });
  const offset = h("span");
  const back = h("button", { type: "button", class: "link", onclick: () => goBack() }, "Back to its time");
  const offsetRow = h("p", { class: "clock-offset warn", hidden: true }, offset, back);
  const freezeWords = h("span", null, "Freeze");
  const freezeIcon = h("span", { class: "button-icon" }, icon("freeze"));
  const freeze = h("button", { type: "button", class: "button", onclick: () => toggle() }, freezeIcon, freezeWords);
  const hosting = h("p", { class: "panel-words" });
  const id = newId("clock");
  const input = h("input", { type: "datetime-local", step: 1, class: "input", id });
  const form = h(
    "form",
    { class: "panel-row", hidden: true, onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); set(); } },
    h("label", { class: "unseen", for: id }, "Time"), input, h("button", { type: "submit", class: "button primary" }, "Set"),
  );
  const setButton = h("button", {
    type: "button", class: "button", "aria-expanded": "false", onclick: () => {
      form.hidden = !form.hidden;
      setButton.setAttribute("aria-expanded", String(!form.hidden));
      if (form.hidden) return;
      input.value = localValue(state.now() ?? new Date());
      input.focus();
    },
  }, "Set…");
  const buttons = Object.entries(STEPS).map(([label, seconds]) =>
    h("button", { type: "button", class: "button", onclick: () => move({ advance: seconds }) }, label));

  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let asking;

  /** The most hosted pictures that there were since the last reset. */
  let most = 0;

  /** @param {...Parameters<typeof api.moveClock>[0]} moves */
  function move(...moves) {
    return error.run(async () => {
      let clock = null;
      for (const each of moves) clock = await api.moveClock(each);
      if (clock) state.set("clock", clock);
    });
  }

  function toggle() {
    const now = state.now();
    if (state.clock?.frozen) move({ resume: true });
    else if (now) move({ freeze: now.toISOString() });
  }

  async function set() {
    const wanted = new Date(input.value);
    if (Number.isNaN(wanted.getTime())) {
      error.show("Not a time");
      return;
    }
    const freezing = { freeze: wanted.toISOString() };
    const isDone = await (state.clock?.frozen ? move(freezing) : move(freezing, { resume: true }));
    if (!isDone) return;
    form.hidden = true;
    setButton.setAttribute("aria-expanded", "false");
    setButton.focus();
  }

  function goBack() {
    return error.run(async () => {
      // Of a frozen clock the offset grows until it runs again.
      let clock = state.clock?.frozen ? await api.moveClock({ resume: true }) : await api.clock();
      if (clock.offset_seconds) clock = await api.moveClock({ advance: -clock.offset_seconds });
      state.set("clock", clock);
      freeze.focus();
    });
  }

  function tick() {
    const now = state.now();
    if (!now) return;
    setText(time, format.time(now));
    setText(day, `${format.day(now)} ${zone()}`);
    if (state.clock?.frozen) describeOffset((now.getTime() - Date.now()) / 1000);
  }

  /** @param {number} seconds against the machine */
  function describeOffset(seconds) {
    const isMoved = Math.abs(seconds) >= SMALL_OFFSET;
    offsetRow.hidden = !isMoved && !state.clock?.frozen;
    const words = isMoved ? `${format.span(seconds)} ${seconds < 0 ? "behind" : "ahead of"} this machine` : "";
    setText(offset, [state.clock?.frozen ? "Frozen" : "", words].filter(Boolean).join(", "));
  }

  function draw() {
    const { clock } = state;
    if (!clock) return;
    const icons = clock.frozen ? "play" : "freeze";
    fill(freezeIcon, icon(icons));
    setText(freezeWords, clock.frozen ? "Resume" : "Freeze");
    describeOffset(clock.offset_seconds);
    tick();
  }

  async function askHosting() {
    try {
      /** @type {Hosting} */
      const { pictures, next_expiry: expiry } = await api.hosting();
      most = calls.ordered.length ? Math.max(most, pictures) : pictures;
      setText(hosting, pictures === 0 || !expiry
        ? `No hosted pictures${most ? `, ${format.count(most)} expired` : ""}`
        : `${format.counted(pictures, "hosted picture")}, ${pictures === 1 ? "expires" : "the next expires"} at ${format.time(expiry)}`);
    } catch {
      setText(hosting, "");
    }
  }

  function askHostingSoon() {
    clearTimeout(asking);
    asking = setTimeout(askHosting, 200);
  }
  calls.subscribe(() => ticking !== undefined && askHostingSoon());

  return {
    element: section(
      "Clock", freeze,
      h("p", { class: "clock-now" }, time, " ", day), offsetRow,
      h("div", { class: "panel-row even" }, buttons, setButton), form, hosting, error.element,
    ),
    update(kind) {
      if (kind === "open") ticking ??= setInterval(() => document.hidden || tick(), 1000);
      if (kind === "open" || kind === "clock") {
        draw();
        askHostingSoon();
      }
    },
    close() {
      clearInterval(ticking);
      clearTimeout(asking);
      ticking = undefined;
    },
  };
}
