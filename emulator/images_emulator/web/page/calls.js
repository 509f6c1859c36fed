// The calls that the page knows: by id, in the order of their arrival.

import { Listeners } from "./events.js";

/** @import { Summary } from "./api.js" */

/**
 * What has changed: calls that are new, calls that were amended, or everything.
 * @typedef {{added: Summary[], changed: Summary[], all: boolean}} Change
 */

/** How far a call without a number is from its neighbour. */
const STEP = 1 / 1024;

export class Calls {
  /** @type {Map<string, Summary>} */
  #byId = new Map();

  /** In the order of their arrival, oldest first. @type {Summary[]} */
  #ordered = [];

  /** The places of the calls without a number (0), between two numbers; by id. @type {Map<string, number>} */
  #places = new Map();

  /** @type {Listeners<[Change]>} */
  #listeners = new Listeners();

  /** The number of calls that the emulator keeps, these and those not loaded yet. */
  total = 0;

  /** The number of calls that it let go since the last reset. */
  dropped = 0;

  /** Oldest first. @returns {readonly Summary[]} */
  get ordered() {
    return this.#ordered;
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  /** Whether all calls that the emulator keeps are here. */
  get isWhole() {
    return this.#ordered.length >= this.total;
  }

  /**
   * Whether *summary* is of a call that came before those that are here, and is loaded with the others of its time.
   * @param {Summary} summary
   */
  isBeyond(summary) {
    if (this.isWhole || !isNumbered(summary) || this.#byId.has(summary.id)) return false;
    const oldest = this.#ordered.find(isNumbered);
    return oldest !== undefined && /** @type {number} */ (summary.number) < /** @type {number} */ (oldest.number);
  }

  /**
   * Call *listener* with each change; the function that this returns ends it.
   * @param {(change: Change) => void} listener
   */
  subscribe(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * Take in *summaries*, oldest first, whose calls may be known already.
   * @param {Summary[]} summaries
   * @param {{areOldest?: boolean}} [options] *areOldest*: they came before all that are here
   */
  put(summaries, { areOldest = false } = {}) {
    /** @type {Change} */
    const change = { added: [], changed: [], all: false };
    this.#placeUnnumbered(summaries, areOldest ? this.#ordered[0] : undefined);
    for (const summary of summaries) {
      const known = this.#byId.get(summary.id);
      if (known && isOlder(summary, known)) continue;
      (known ? change.changed : change.added).push(summary);
      // A call of another process has its number only later.
      if (known && known.number !== summary.number) change.all = true;
      this.#byId.set(summary.id, summary);
    }
    if (change.changed.length) this.#ordered = this.#ordered.map((each) => this.#byId.get(each.id) ?? each);
    if (change.all) this.#ordered.sort(this.#byArrival);
    if (change.added.length) this.#insert(change.added);
    if (change.added.length || change.changed.length) this.#listeners.tell(change);
  }

  /**
   * Forget the oldest ones. It tells nobody; `put` is expected to follow.
   * @param {number} number of calls; none where it is below 1
   */
  forgetOldest(number) {
    if (number < 1) return;
    for (const { id } of this.#ordered.slice(0, number)) {
      this.#byId.delete(id);
      this.#places.delete(id);
    }
    this.#ordered = this.#ordered.slice(number);
  }

  /**
   * Forget all, and take in *summaries*.
   * @param {Summary[]} summaries
   */
  replace(summaries) {
    this.#byId = new Map(summaries.map((each) => [each.id, each]));
    this.#ordered = [];
    this.#places.clear();
    this.#placeUnnumbered(summaries);
    this.#ordered = [...this.#byId.values()].sort(this.#byArrival);
    this.#listeners.tell({ added: [], changed: [], all: true });
  }

  /**
   * Whether calls are missing between those that are here and *summaries*, the newest ones, oldest first.
   * @param {readonly Summary[]} summaries
   */
  hasGapBefore(summaries) {
    const newest = this.#ordered.findLast(isNumbered), oldest = summaries.findIndex(isNumbered);
    if (!newest || oldest < 0) return false;
    // Those in front of it that have no number were counted, too.
    return /** @type {Summary} */ (summaries[oldest]).number - oldest > newest.number + 1;
  }

  /**
   * Give each of *summaries*, oldest first, that has no number its place: behind the one with a number in front of it,
   * or in front of the next one, which may be *next*, or else behind all that are here.
   * @param {readonly Summary[]} summaries
   * @param {Summary} [next]
   */
  #placeUnnumbered(summaries, next) {
    summaries.forEach((summary, index) => {
      if (summary.number !== 0 || this.#places.has(summary.id)) return;
      const before = summaries.slice(0, index).findLast(isNumbered);
      const after = summaries.slice(index).find(isNumbered) ?? next;
      const newest = this.#ordered.findLast(isNumbered);
      this.#places.set(summary.id, !before && after ? this.#place(after) - STEP : ((before ?? newest)?.number ?? 0) + STEP);
    });
  }

  /**
   * The order of two calls: positive where *a* is newer. A call of another process has no number (null) while it is not
   * over; it has just arrived.
   * @param {Summary} a
   * @param {Summary} b
   */
  #byArrival = (a, b) => this.#place(a) - this.#place(b) || 0;

  /** @param {Summary} summary */
  #place({ id, number }) {
    return number === 0 ? (this.#places.get(id) ?? Infinity) : (number ?? Infinity);
  }

  /** @param {Summary[]} added */
  #insert(added) {
    const sorted = [...added].sort(this.#byArrival);
    const last = this.#ordered.at(-1), first = this.#ordered[0];
    if (!last || this.#byArrival(/** @type {Summary} */ (sorted[0]), last) > 0) this.#ordered = this.#ordered.concat(sorted);
    else if (first && this.#byArrival(/** @type {Summary} */ (sorted.at(-1)), first) < 0) this.#ordered = sorted.concat(this.#ordered);
    else this.#ordered = this.#ordered.concat(sorted).sort(this.#byArrival);
  }
}

/**
 * Whether *summary* tells nothing new of the call that is *known*: what is told and what is asked
 * for come by different ways, and may overtake each other.
 * @param {Summary} summary
 * @param {Summary} known
 */
function isOlder(summary, known) {
  if (known.outcome === "waiting") return false;
  return summary.outcome === "waiting" || JSON.stringify(summary) === JSON.stringify(known);
}

/**
 * Whether the journal has counted the call: see `Summary.number`.
 * @param {Summary} summary
 */
function isNumbered({ number }) {
  return number !== null && number > 0;
}
