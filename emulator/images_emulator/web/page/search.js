// The head of the list: search, filter menu, chips and totals.

import { fill, h, icon, setText } from "./dom.js";
import { filterName, frequencies, OUTCOMES, parseSearch } from "./filters.js";
import * as format from "./format.js";
import { place } from "./menu.js";

/** @import { Summary } from "./api.js" */
/** @import { FilterName, Filters } from "./filters.js" */

/** The groups of the filter menu. @type {readonly [FilterName, string][]} */
const GROUPS = [["status", "Status"], ["path", "Endpoint"], ["model", "Model"], ["fault", "Fault"], ["key", "Key"], ["has", "Has"]];

/** What chips call the filters; where nothing is said, by their names. @type {Partial<Record<FilterName, string>>} */
const SHOWN_NAMES = { path: "endpoint" };

/**
 * How many calls are shown and kept, and the sums over those shown; null while these are not known.
 * @typedef {{shown: number, all: number, isFiltered: boolean, sums: {pictures: number, refused: number, cut: number, failed: number, price: number} | null}} Totals
 */

export class Search {
  /** @type {AbortController | null} */
  #menu = null;

  /** @type {(() => void) | null} */
  #refill = null;

  /** What had the focus when the menu was opened. @type {Element | null} */
  #before = null;

  /** @type {Totals | null} */
  #totals = null;

  /**
   * @param {object} options
   * @param {() => Filters} options.filters those in force
   * @param {(filters: Filters, options?: {replace?: boolean}) => void} options.onchange
   * @param {() => readonly Summary[]} options.calls all that are loaded
   * @param {() => void} options.onwant all calls are wanted, as they are counted
   * @param {() => void} options.onwall the wall is wanted in place of the list
   */
  constructor(options) {
    this.options = options;
    this.input = h("input", {
      class: "input search-input", type: "search", placeholder: "Search prompts, or model: status: key:", "aria-label": "Search calls",
      autocomplete: "off", spellcheck: "false", enterkeyhint: "search",
      oninput: () => this.#typed(false),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onblur: () => this.#typed(true),
    });
    this.count = h("span");
    this.button = h("button", { class: "button filter-button", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", onclick: () => this.toggleMenu() },
      icon("filter"), h("span", { class: "spare" }, "Filter"), this.count);
    const wall = h("button", { class: "button square phone", type: "button", "aria-label": "Show pictures", onclick: options.onwall }, icon("wall"));
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Filters" });
    this.totals = h("p", { class: "totals" });
    this.element = h("div", { class: "search", role: "search" },
      h("div", { class: "search-row" },
        h("span", { class: "search-field" }, icon("search"), this.input, h("kbd", { class: "kbd", "aria-hidden": "true" }, "/")), this.button, wall),
      this.chips, this.totals);
    this.menu = h("div", { class: "menu filter-menu", role: "dialog", "aria-label": "Filter" });
  }

  /** Show the filters in force. */
  update() {
    const filters = this.options.filters();
    if (document.activeElement !== this.input) this.input.value = filters.text;
    const number = filters.chosen.length;
    setText(this.count, number ? String(number) : "");
    this.count.hidden = !number;
    this.button.classList.toggle("on", number > 0);
    this.chips.hidden = !number;
    fill(this.chips, filters.chosen.map(({ name, value }) =>
      h("button", { class: "chip", type: "button", "aria-label": `Remove filter ${SHOWN_NAMES[name] ?? name} ${value}`, onclick: () => this.options.onchange(filters.toggle(name, value)) },
        h("span", { class: "muted" }, SHOWN_NAMES[name] ?? name), ` ${value} `, icon("close", "small"))),
      h("button", { class: "button plain", type: "button", onclick: () => this.clear() }, "Clear all"));
    this.#refill?.();
  }

  /** @param {Totals} totals */
  setTotals(totals) {
    if (JSON.stringify(totals) === JSON.stringify(this.#totals)) return;
    this.#totals = totals;
    const { shown, all, isFiltered, sums } = totals;
    fill(this.totals,
      h("span", null, h("b", null, format.count(shown)), isFiltered ? ` of ${format.counted(all, "call")}` : shown === 1 ? " call" : " calls"),
      sums && [h("span", null, format.counted(sums.pictures, "picture")), h("span", null, `${format.count(sums.refused)} refused`)],
      sums && sums.cut > 0 && h("span", null, `${format.count(sums.cut)} cut`),
      sums && sums.failed > 0 && h("span", null, `${format.count(sums.failed)} failed`),
      // The whole line has room for all of the words only while calls end well.
      sums && sums.price > 0 && h("span", { class: "totals-price" }, format.price(sums.price),
        sums.cut + sums.failed === 0 && h("span", { class: "spare" }, " at list prices")));
  }

  clear() {
    this.input.value = "";
    const filters = this.options.filters();
    this.options.onchange(new /** @type {typeof Filters} */ (filters.constructor)());
  }

  /** Put the cursor into the search. */
  focus() {
    this.input.focus();
    this.input.select();
  }

  /** @param {boolean} isDone whether the last word is whole */
  #typed(isDone) {
    const { filters, rest } = parseSearch(this.input.value, this.options.calls(), isDone);
    let next = this.options.filters();
    for (const { name, value } of filters) if (!next.has(name, value)) next = next.toggle(name, value);
    if (filters.length) this.input.value = rest;
    // A name with its colon is the beginning of a filter; no call has it in its text.
    const text = rest.replace(/(^|\s)([a-z]+):\S*$/i, (all, _start, word) => (filterName(word) ? "" : all)).trim();
    this.options.onchange(next.withText(text), { replace: !filters.length });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Enter") this.#typed(true);
    else if (event.key === "Escape") {
      // The browser's own empties the field and keeps the cursor in it.
      event.preventDefault();
      this.#typed(true);
      this.input.blur();
    } else if (event.key === "Backspace" && this.input.value === "") {
      const { chosen } = this.options.filters();
      const last = chosen.at(-1);
      if (last) this.options.onchange(this.options.filters().toggle(last.name, last.value));
    }
  }

  toggleMenu() {
    if (this.#menu) this.#closeMenu();
    else this.#openMenu();
  }

  #openMenu() {
    const end = new AbortController();
    this.#menu = end;
    this.#before = document.activeElement;
    this.button.setAttribute("aria-expanded", "true");
    this.options.onwant();
    this.#refill = () => this.#fillMenu();
    this.#fillMenu();
    document.body.append(this.menu);
    place(this.menu, this.button);
    this.menu.querySelector("input")?.focus();
    this.menu.addEventListener("keydown", (event) => {
      // The keys of the page that are letters count here too.
      if (event.key.length > 1 || event.key === " ") event.stopPropagation();
      const boxes = [...this.menu.querySelectorAll("input")];
      const at = boxes.indexOf(/** @type {HTMLInputElement} */ (document.activeElement));
      if (event.key === "Escape") this.#closeMenu();
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        boxes.at((at + (event.key === "ArrowDown" ? 1 : -1)) % boxes.length)?.focus();
      }
    }, { signal: end.signal });
    document.addEventListener("pointerdown", ({ target }) => {
      const node = /** @type {Node} */ (target);
      if (!this.menu.contains(node) && !this.button.contains(node)) this.#closeMenu(false);
    }, { signal: end.signal, capture: true });
    this.menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !this.menu.contains(relatedTarget)) this.#closeMenu(false);
    }, { signal: end.signal });
    addEventListener("resize", () => this.#closeMenu(false), { signal: end.signal });
  }

  /** @param {boolean} [refocus] */
  #closeMenu(refocus = true) {
    this.#menu?.abort();
    this.#menu = null;
    this.#refill = null;
    this.menu.remove();
    this.button.setAttribute("aria-expanded", "false");
    // Opened by its key, the menu leaves the keys to the page again.
    if (refocus && this.#before instanceof HTMLElement && this.#before !== document.body) this.#before.focus();
  }

  /** The calls have changed: the menu counts anew, if it is open. */
  recount() {
    this.#refill?.();
  }

  #fillMenu() {
    const filters = this.options.filters(), calls = this.options.calls();
    const focused = document.activeElement instanceof HTMLInputElement ? document.activeElement.name : null;
    fill(this.menu, GROUPS.map(([name, title]) => {
      const counts = new Map(frequencies(name, calls));
      if (name === "status") for (const outcome of ["answered", "refused"]) counts.set(outcome, counts.get(outcome) ?? 0);
      // A filter in force can be taken off, also where no call has its value.
      for (const { value } of filters.chosen.filter((each) => each.name === name)) counts.set(value, counts.get(value) ?? NaN);
      let rows = [...counts];
      if (name === "status") {
        rows = rows.filter(([value]) => value !== "200" || filters.has("status", "200"));
        rows.sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
      }
      if (!rows.length) return null;
      return h("fieldset", null, h("legend", { class: "title" }, title), rows.slice(0, 40).map(([value, number]) =>
        h("label", { class: "check" },
          h("input", {
            type: "checkbox", name: `${name} ${value}`, ...(filters.has(name, value) ? { checked: true } : {}),
            onchange: () => this.options.onchange(this.options.filters().toggle(name, value)),
          }),
          h("span", { class: "cut" }, value), " ", h("span", { class: "end" }, Number.isNaN(number) ? "" : format.count(number)))));
    }));
    if (focused !== null) [...this.menu.querySelectorAll("input")].find((each) => each.name === focused)?.focus();
  }
}

/** Outcomes in their order, then codes. @param {string} value */
function rank(value) {
  const index = OUTCOMES.indexOf(value);
  return index < 0 ? OUTCOMES.length : index;
}
