// The list of calls, newest first. Only the rows in view, and some beside them, are elements.

import { thumbnail } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { end, facts, isTrouble, sentence, tags } from "./facts.js";
import * as format from "./format.js";
import { picture } from "./pictures.js";

/** @import { Summary } from "./api.js" */
/** @import { ServerState } from "./server_state.js" */

const BEYOND = 6;

/** A row that has come is tinted, and fades in so many steps: each is a frame, an animation has sixty a second. */
const FADE_STEPS = 6;
const FADE_STEP_MS = 250;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

const PHONE = matchMedia("(max-width: 720px)");

/**
 * @typedef {object} ListOptions
 * @property {ServerState} state
 * @property {(id: string) => void} onchoose a row was clicked
 * @property {() => void} onend the end of what is loaded is near
 */

export class List {
  /** Newest first. @type {readonly Summary[]} */
  #items = [];

  /** @type {Map<string, number>} */
  #indexes = new Map();

  /** @type {Map<string, Row>} */
  #rows = new Map();

  /** The row that keys move. @type {string | null} */
  #cursor = null;

  /** @type {string | null} */
  #chosen = null;

  /** Whether the chosen call is yet to be scrolled to, once it is here. */
  #seeks = false;

  /** Calls that came while the top was out of sight. */
  #unseen = 0;

  /** @type {number | undefined} */
  #clock;

  /** The steps that are left until rows have faded. @type {Map<Row, number>} */
  #fading = new Map();

  /** @type {number | undefined} */
  #fadeClock;

  #isRush = false;

  /** @param {ListOptions} options */
  constructor(options) {
    this.options = options;
    this.box = h("div", {
      class: "rows", role: "listbox", tabindex: 0, "aria-label": "Calls, newest first",
      onclick: (/** @type {MouseEvent} */ event) => {
        const row = /** @type {Element} */ (event.target).closest(".row");
        if (row instanceof HTMLElement && row.dataset.id) options.onchoose(row.dataset.id);
      },
    });
    this.foot = h("p", { class: "list-foot" });
    this.scroller = h("div", { class: "list-scroller", onscroll: () => this.#draw() }, this.box, this.foot);
    this.pill = h("button", { class: "button pill", type: "button", hidden: true, onclick: () => this.toTop() });
    this.place = h("div", { class: "pill-place", role: "status" }, this.pill);
    this.element = h("div", { class: "list" }, this.place, this.scroller);
    new ResizeObserver(() => this.#draw()).observe(this.scroller);
    PHONE.addEventListener("change", () => this.#draw(true));
  }

  get rowHeight() {
    return PHONE.matches ? 68 : 60;
  }

  get items() {
    return this.#items;
  }

  get cursor() {
    return this.#cursor;
  }

  /** In a rush nothing moves but what has come. @param {boolean} isRush */
  set isRush(isRush) {
    this.#isRush = isRush;
    this.#tick();
  }

  /**
   * Show other calls. *arrived* of them, at the top, are new: what is in view stays where it is, if
   * the top is not in view or *holds*. They are tinted for a moment, unless there is a rush.
   * @param {readonly Summary[]} items newest first
   * @param {{arrived?: number, holds?: boolean}} [options]
   */
  setItems(items, { arrived = 0, holds = false } = {}) {
    const before = this.scroller.scrollTop;
    this.#items = items;
    this.#indexes = new Map(items.map((call, index) => [call.id, index]));
    if (this.#cursor && !this.#indexes.has(this.#cursor)) this.#cursor = null;
    const height = items.length * this.rowHeight;
    this.box.style.setProperty("height", `${height}px`);
    this.box.hidden = !items.length;
    if (arrived && (holds || before > 0)) {
      this.#unseen += arrived;
      this.scroller.scrollTop = before + arrived * this.rowHeight;
      // A list that does not fill its room cannot scroll: nothing is out of sight.
      if (this.scroller.scrollTop === 0) this.#unseen = 0;
    }
    this.#seek();
    this.#draw();
    if (!this.#isRush && !STILL.matches)
      for (const call of items.slice(0, arrived)) this.#tint(this.#rows.get(call.id));
  }

  /**
   * Tint a row, and let it fade.
   * @param {Row} [row]
   */
  #tint(row) {
    if (!row) return;
    row.fade(1);
    this.#fading.set(row, FADE_STEPS);
    this.#fadeClock ??= setInterval(() => {
      for (const [each, steps] of this.#fading) {
        each.fade((steps - 1) / FADE_STEPS);
        if (steps > 1) this.#fading.set(each, steps - 1);
        else this.#fading.delete(each);
      }
      if (this.#fading.size) return;
      clearInterval(this.#fadeClock);
      this.#fadeClock = undefined;
    }, FADE_STEP_MS);
  }

  /** @param {string} text below the rows */
  setFoot(text) {
    setText(this.foot, text);
    this.foot.hidden = !text;
  }

  toTop() {
    this.scroller.scrollTop = 0;
    this.#draw();
  }

  /**
   * The call that is open, or none.
   * @param {string | null} id
   */
  setChosen(id) {
    if (id !== this.#chosen) this.#seeks = id !== null;
    this.#chosen = id;
    this.#seek();
    this.#draw();
  }

  #seek() {
    if (this.#chosen && !this.#indexes.has(this.#chosen)) this.#seeks = true;
    else if (this.#seeks) this.#show();
  }

  #show() {
    if (!this.#chosen) return;
    this.#seeks = false;
    this.#cursor = this.#chosen;
    this.#reveal(this.#chosen);
  }

  /**
   * Move the cursor by *step* rows, or to an end; the id that it is at then.
   * @param {number} step
   * @returns {string | null}
   */
  move(step) {
    if (!this.#items.length) return null;
    const from = this.#cursor === null ? undefined : this.#indexes.get(this.#cursor);
    const to = from === undefined ? (step > 0 ? Math.floor(this.scroller.scrollTop / this.rowHeight) : 0) : from + step;
    const call = this.#items[Math.min(this.#items.length - 1, Math.max(0, to))];
    if (!call) return null;
    this.#cursor = call.id;
    this.#reveal(call.id);
    this.#draw();
    return call.id;
  }

  /**
   * @param {string} id
   * @returns {{newer: string | null, older: string | null}}
   */
  neighbours(id) {
    const index = this.#indexes.get(id);
    if (index === undefined) return { newer: null, older: null };
    return { newer: this.#items[index - 1]?.id ?? null, older: this.#items[index + 1]?.id ?? null };
  }

  /** @param {string} id */
  #reveal(id) {
    const index = this.#indexes.get(id);
    if (index === undefined) return;
    const top = index * this.rowHeight, bottom = top + this.rowHeight;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.scroller.scrollTop = bottom - clientHeight;
  }

  /** @param {boolean} [again] also what seems to be the same */
  #draw(again = false) {
    const { scrollTop, clientHeight } = this.scroller;
    const height = this.rowHeight;
    if (again) this.box.style.setProperty("height", `${this.#items.length * height}px`);
    const first = Math.max(0, Math.floor(scrollTop / height) - BEYOND);
    const last = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / height) + BEYOND);
    const shown = this.#items.slice(first, last);
    const ids = new Set(shown.map((call) => call.id));
    for (const [id, row] of this.#rows)
      if (!ids.has(id)) {
        row.element.remove();
        this.#rows.delete(id);
      }
    shown.forEach((call, offset) => {
      let row = this.#rows.get(call.id);
      if (!row) {
        row = new Row(call.id, this.options.state);
        this.#rows.set(call.id, row);
        this.box.append(row.element);
      }
      row.place((first + offset) * height, first + offset + 1, this.#items.length);
      row.patch(call);
      row.mark(call.id === this.#chosen, call.id === this.#cursor);
    });
    const current = this.#cursor && this.#rows.get(this.#cursor);
    if (current) this.box.setAttribute("aria-activedescendant", current.element.id);
    else this.box.removeAttribute("aria-activedescendant");
    if (scrollTop < height) this.#unseen = 0;
    else this.#unseen = Math.min(this.#unseen, Math.ceil(scrollTop / height));
    this.#showPill(this.#unseen > 0);
    if (this.#unseen) setText(this.pill, format.counted(this.#unseen, "new call"));
    if (last + 30 >= this.#items.length) this.options.onend();
    this.#tick();
  }

  /**
   * Show the pill above the rows, or not. The rows in view stay where they are.
   * @param {boolean} isShown
   */
  #showPill(isShown) {
    if (this.pill.hidden !== isShown) return;
    const before = this.place.offsetHeight;
    this.pill.hidden = !isShown;
    this.scroller.scrollTop += this.place.offsetHeight - before;
  }

  /** Running times run while a call in view waits. */
  #tick() {
    const waits = !this.#isRush && [...this.#rows.values()].some((row) => row.isWaiting);
    if (waits && this.#clock === undefined)
      this.#clock = setInterval(() => {
        for (const row of this.#rows.values()) row.tick();
      }, 500);
    else if (!waits) {
      clearInterval(this.#clock);
      this.#clock = undefined;
    }
  }
}

/** One row, patched where its call has changed. */
class Row {
  /** @type {Summary | null} */
  #call = null;

  #thumbKey = "";
  #started = 0;

  /**
   * @param {string} id
   * @param {ServerState} state
   */
  constructor(id, state) {
    this.state = state;
    this.thumb = h("span", { class: "thumb" });
    this.title = h("span", { class: "row-title cut", dir: "auto" });
    this.second = h("span", { class: "row-second" });
    this.time = h("span", { class: "row-time" });
    this.cost = h("span", { class: "row-cost" });
    this.element = h("div", { class: "row", role: "option", id: `row-${id}`, "aria-selected": "false", dataset: { id } },
      this.thumb, h("span", { class: "row-words" }, this.title, this.second), h("span", { class: "row-right" }, this.time, this.cost),
      // An element of its own: beside a drawn one no program can tell which colour is behind the words.
      h("span", { class: "row-line" }));
  }

  get isWaiting() {
    return this.#call?.outcome === "waiting";
  }

  /**
   * @param {number} top in pixels
   * @param {number} position from 1
   * @param {number} size of the list
   */
  place(top, position, size) {
    this.element.style.setProperty("transform", `translateY(${top}px)`);
    this.element.setAttribute("aria-posinset", String(position));
    this.element.setAttribute("aria-setsize", String(size));
  }

  /**
   * @param {boolean} isChosen
   * @param {boolean} isCursor
   */
  mark(isChosen, isCursor) {
    this.element.setAttribute("aria-selected", String(isChosen));
    this.element.classList.toggle("cursor", isCursor);
  }

  /** @param {number} tint from 1 to 0, which is none */
  fade(tint) {
    this.element.classList.toggle("arrived", tint > 0);
    this.element.style.setProperty("--arrived", `${Math.round(100 * tint)}%`);
  }

  /** @param {Summary} call */
  patch(call) {
    if (this.#call === call) return;
    if (call.outcome === "waiting" && this.#call?.outcome !== "waiting") this.#started = this.#startOf(call);
    this.#call = call;
    const trouble = isTrouble(call);
    setText(this.title, format.title(call));
    setText(this.time, format.time(call.time));
    const wrong = sentence(call);
    if (wrong)
      fill(this.second, tags(call), h("span", { class: "bad cut", dir: "auto", title: wrong }, wrong));
    else
      fill(this.second, h("span", { class: "row-facts" }, facts(call).map((each) => h("span", null, each))), tags(call));
    this.#patchThumb(call, trouble);
    this.tick();
  }

  /** The running time of a call that waits, the price or the time of one that does not. */
  tick() {
    const call = this.#call;
    if (!call) return;
    if (call.outcome === "waiting") setText(this.cost, `${format.duration(performance.now() - this.#started)}…`);
    else if (call.price_usd !== null && !isTrouble(call)) setText(this.cost, format.price(call.price_usd));
    else setText(this.cost, call.duration_ms === null ? "" : format.duration(call.duration_ms));
  }

  /**
   * When the call began, by `performance.now()`.
   * @param {Summary} call
   */
  #startOf(call) {
    const now = this.state.now();
    const passed = now && !this.state.clock?.frozen ? now.getTime() - Date.parse(call.time) : 0;
    return performance.now() - Math.max(0, passed);
  }

  /**
   * @param {Summary} call
   * @param {boolean} trouble
   */
  #patchThumb(call, trouble) {
    const { pictures } = call;
    const isTile = !pictures.length && (trouble || (call.outcome === "cut" && !call.partial_count));
    const tile = isTile ? end(call) : "";
    const key = [call.outcome, tile, pictures.length, call.partial_count].join();
    if (key === this.#thumbKey) return;
    this.#thumbKey = key;
    this.thumb.className = "thumb";
    if (tile) {
      this.thumb.classList.add("refused");
      this.thumb.classList.toggle("word", tile.length > 3);
      fill(this.thumb, tile);
    } else if (pictures.length) {
      const quarters = pictures.length >= 4;
      this.thumb.classList.toggle("quarters", quarters);
      fill(this.thumb, pictures.slice(0, quarters ? 4 : 1).map((each) => each.thumbnail && small(thumbnail(each.thumbnail, edge()))),
        pictures.length > 1 && h("span", { class: "times" }, `×${pictures.length}`));
    } else if (call.outcome === "waiting") {
      this.thumb.classList.add("waiting");
      fill(this.thumb, h("span", { class: "ring" }));
    } else if (call.partial_count) {
      this.thumb.classList.add("ended");
      fill(this.thumb, small(partialThumbnail(call, edge())));
    } else {
      this.thumb.classList.add("plain");
      fill(this.thumb, call.status === null ? "–" : call.method.slice(0, 4));
    }
  }
}

/** The edge of a row's thumbnail. Beside the wall it is that of the tile, which is drawn anyway. */
function edge() {
  return PHONE.matches ? 96 : 480;
}

/** @param {string} src */
function small(src) {
  return picture(src, 44, 44);
}

/**
 * The thumbnail of the last partial image of a call without a picture.
 * @param {Summary} call
 * @param {96 | 480} edge
 */
export function partialThumbnail(call, edge) {
  return thumbnail(`/_emulator/images/${call.id}/0/partials/${call.partial_count - 1}/thumbnail/${edge}`, edge);
}
