// The wall of pictures: rows of one height each, as wide as the page, newest first. While the
// top is out of sight rows keep their pictures: what is new fills rows of its own above them.

import { thumbnail } from "./api.js";
import { fill, h } from "./dom.js";
import { dimensions, isTrouble, refusalName, sentence } from "./facts.js";
import * as format from "./format.js";
import { partialThumbnail } from "./list.js";
import { picture } from "./pictures.js";

/** @import { Summary } from "./api.js" */

// In pixels: the height of the pictures of a row, and what is between tiles, below a picture,
// between rows, and around all.
const TARGET = 196;
const GAP = 12;
const CAPTION = 26;
const BETWEEN = 16;
const PADDING = 20;

/** Width over height of a tile that has words alone. */
const WORDS_RATIO = 0.92;

/** @typedef {{calls: Summary[], open: boolean, top: number, height: number}} WallRow */

export class Wall {
  /** @type {WallRow[]} */
  #rows = [];

  /** @type {Map<string, WallRow>} */
  #rowOf = new Map();

  /** @type {Map<string, Tile>} */
  #tiles = new Map();

  #width = 0;

  /**
   * @param {{onchoose: (id: string) => void, onend: () => void}} options
   */
  constructor(options) {
    this.options = options;
    this.space = h("div", {
      class: "wall-space",
      onclick: (/** @type {MouseEvent} */ event) => {
        const tile = /** @type {Element} */ (event.target).closest(".tile");
        if (tile instanceof HTMLElement && tile.dataset.id) options.onchoose(tile.dataset.id);
      },
    });
    this.element = h("section", { class: "wall", tabindex: 0, "aria-label": "Pictures", onscroll: () => this.draw() },
      h("h1", { class: "unseen" }, "Pictures"), this.space);
    new ResizeObserver(() => this.#resized()).observe(this.element);
  }

  /**
   * Show other calls.
   * @param {readonly Summary[]} calls newest first
   */
  setItems(calls) {
    const shown = calls.filter(hasTile);
    const before = this.#rows.flatMap((row) => row.calls);
    const start = before.length ? shown.findIndex((call) => call.id === before[0]?.id) : -1;
    const isSame = start >= 0 && before.every((call, index) => shown[start + index]?.id === call.id);
    if (!isSame || !this.#width) this.#build(shown);
    else if (start > 0 && this.element.scrollTop <= PADDING) this.#build(shown);
    else {
      for (let index = 0; index < before.length; index += 1) {
        const call = /** @type {Summary} */ (shown[start + index]);
        if (call !== before[index]) this.#replace(call);
      }
      const height = this.#height();
      for (const call of shown.slice(0, start).reverse()) this.#prepend(call);
      for (const call of shown.slice(start + before.length)) this.#append(call);
      const scrolled = this.element.scrollTop;
      this.#lay();
      if (start > 0 && scrolled > PADDING) this.element.scrollTop = scrolled + this.#height() - height;
    }
    this.draw();
  }

  #resized() {
    const width = this.element.clientWidth - 2 * PADDING;
    if (width > 0 && width !== this.#width) {
      this.#width = width;
      this.#build(this.#rows.flatMap((row) => row.calls));
    }
    this.draw();
  }

  /** @param {Summary[]} calls */
  #build(calls) {
    this.#rows = [];
    this.#rowOf.clear();
    for (const call of calls) this.#append(call);
    // The last row waits for older calls; none of these can be filled by new ones.
    this.#lay();
  }

  /** @param {Summary} call */
  #append(call) {
    let row = this.#rows.at(-1);
    if (!row || !row.open) {
      row = newRow();
      this.#rows.push(row);
    }
    row.calls.push(call);
    this.#rowOf.set(call.id, row);
    this.#close(row);
  }

  /** @param {Summary} call */
  #prepend(call) {
    let row = this.#rows[0];
    // A single open row may be the last as well; it is filled from either side.
    if (!row || !row.open) {
      row = newRow();
      this.#rows.unshift(row);
    }
    row.calls.unshift(call);
    this.#rowOf.set(call.id, row);
    this.#close(row);
  }

  /** @param {Summary} call */
  #replace(call) {
    const row = this.#rowOf.get(call.id);
    if (!row) return;
    row.calls = row.calls.map((each) => (each.id === call.id ? call : each));
  }

  /** @param {WallRow} row */
  #close(row) {
    if (this.#fitting(row) <= TARGET) row.open = false;
  }

  /**
   * The height at which a row is as wide as the wall.
   * @param {WallRow} row
   */
  #fitting(row) {
    const ratios = row.calls.reduce((sum, call) => sum + ratio(call), 0);
    return (this.#width - GAP * (row.calls.length - 1)) / ratios;
  }

  #lay() {
    let top = PADDING - 4;
    for (const row of this.#rows) {
      row.top = top;
      row.height = Math.min(row.open ? TARGET : TARGET * 1.15, this.#fitting(row));
      top += row.height + CAPTION + BETWEEN;
    }
    this.space.style.setProperty("height", `${top}px`);
  }

  #height() {
    const last = this.#rows.at(-1);
    return last ? last.top + last.height + CAPTION + BETWEEN : 0;
  }

  /** Draw the tiles that are in sight. A wall that has no size draws nothing. */
  draw() {
    if (!this.#width || !this.element.clientHeight) return;
    const { scrollTop, clientHeight } = this.element;
    const from = scrollTop - clientHeight / 2, to = scrollTop + 1.5 * clientHeight;
    /** @type {Set<string>} */
    const ids = new Set();
    for (const row of this.#rows) {
      if (row.top + row.height + CAPTION < from) continue;
      if (row.top > to) break;
      let left = PADDING;
      for (const call of row.calls) {
        ids.add(call.id);
        const width = row.height * ratio(call);
        let tile = this.#tiles.get(call.id);
        if (!tile) {
          tile = new Tile(call.id);
          this.#tiles.set(call.id, tile);
          this.space.append(tile.element);
        }
        tile.place(left, row.top, width, row.height);
        tile.patch(call);
        left += width + GAP;
      }
    }
    for (const [id, tile] of this.#tiles)
      if (!ids.has(id)) {
        tile.element.remove();
        this.#tiles.delete(id);
      }
    const last = this.#rows.at(-1);
    if (!last || last.top < to) this.options.onend();
  }
}

/** @returns {WallRow} */
function newRow() {
  return { calls: [], open: true, top: 0, height: 0 };
}

/**
 * Whether a call has a place on the wall: calls that are about no picture have none.
 * @param {Summary} call
 */
function hasTile(call) {
  return call.pictures.length > 0 || call.partial_count > 0 || isTrouble(call) || call.outcome === "cut" || (call.outcome === "waiting" && /\/images\/[a-z]+$/.test(call.path));
}

/** @param {Summary} call */
function ratio(call) {
  const hasPicture = call.pictures.length > 0 || call.partial_count > 0 || call.outcome === "waiting";
  const size = hasPicture ? dimensions(call) : null;
  if (!size) return WORDS_RATIO;
  return Math.min(2.4, Math.max(0.5, size[0] / size[1]));
}

class Tile {
  /** @type {Summary | null} */
  #call = null;

  #key = "";

  /** @param {string} id */
  constructor(id) {
    this.frame = h("span", { class: "tile-frame" });
    this.caption = h("span", { class: "tile-caption" });
    this.element = h("button", { class: "tile", type: "button", tabindex: -1, dataset: { id } }, this.frame, this.caption);
  }

  /**
   * @param {number} left
   * @param {number} top
   * @param {number} width
   * @param {number} height
   */
  place(left, top, width, height) {
    const { style } = this.element;
    style.setProperty("transform", `translate(${left.toFixed(2)}px, ${top.toFixed(2)}px)`);
    style.setProperty("width", `${width.toFixed(2)}px`);
    this.frame.style.setProperty("height", `${height.toFixed(2)}px`);
    // Below a name of two lines, as many whole lines of the sentence as there is room for.
    this.frame.style.setProperty("--lines", String(Math.max(1, Math.floor((height - 64) / 17))));
  }

  /** @param {Summary} call */
  patch(call) {
    if (this.#call === call) return;
    this.#call = call;
    const { pictures } = call;
    fill(this.caption, h("span", { class: "cut", dir: "auto" }, format.title(call)), pictures.length > 1 && h("span", { class: "muted" }, `×${pictures.length}`));
    const key = [call.outcome, pictures.length, call.partial_count].join();
    if (key === this.#key) return;
    this.#key = key;
    this.frame.className = "tile-frame";
    if (pictures.length) {
      const quarters = pictures.length >= 4;
      this.frame.classList.toggle("quarters", quarters);
      fill(this.frame, pictures.slice(0, quarters ? 4 : 1).map((each) =>
        each.thumbnail ? picture(thumbnail(each.thumbnail, 480), each.width, each.height) : h("span", { class: "faint small" }, "Not kept any more")));
    } else if (call.partial_count) {
      const [width, height] = dimensions(call) ?? [1, 1];
      fill(this.frame, picture(partialThumbnail(call, 480), width, height), h("span", { class: "tile-label" }, this.#label(call)));
    } else if (call.outcome === "waiting") {
      this.frame.classList.add("waiting");
      fill(this.frame, h("span", { class: "ring" }));
    } else {
      this.frame.classList.add("words");
      fill(this.frame, h("span", { class: "bad tile-status" }, refusalName(call)), h("span", { class: "tile-sentence", dir: "auto" }, sentence(call) || format.words(call.fault ?? "")));
    }
  }

  /** @param {Summary} call */
  #label(call) {
    const number = format.counted(call.partial_count, "partial");
    if (call.outcome === "waiting") return `Partial ${call.partial_count} of ${call.parameters.partial_images ?? call.partial_count}`;
    return { cut: `Cut after ${number}`, failed: `Failed after ${number}`, gone: `Client left at ${call.partial_count}` }[/** @type {string} */ (call.outcome)] ?? number;
  }
}
