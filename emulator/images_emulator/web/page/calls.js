// The calls that the page knows: by id, in the order of their arrival.

import { Listeners } from "./events.js";

/** @import { Summary } from "./api.js" */

/**
 * What has changed: calls that are new, calls that were amended, or everything.
 * @typedef {{added: Summary[], changed: Summary[], all: boolean}} Change
 */

export class Calls {
  /** @type {Map<string, Summary>} */
  #byId = new Map();

  /** By number, oldest first. @type {Summary[]} */
  #ordered = [];

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
   * Call *listener* with each change; the function that this returns ends it.
   * @param {(change: Change) => void} listener
   */
  subscribe(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * Take in *summaries*, whose calls may be known already.
   * @param {Summary[]} summaries
   */
  put(summaries) {
    /** @type {Change} */
    const change = { added: [], changed: [], all: false };
    for (const summary of summaries) {
      const known = this.#byId.get(summary.id);
      if (known && isOlder(summary, known)) continue;
      (known ? change.changed : change.added).push(summary);
      // A call of another process has its number only later.
      if (known && known.number !== summary.number) change.all = true;
      this.#byId.set(summary.id, summary);
    }
    if (change.changed.length) this.#ordered = this.#ordered.map((each) => this.#byId.get(each.id) ?? each);
    if (change.all) this.#ordered.sort(byNumber);
    if (change.added.length) this.#insert(change.added);
    if (change.added.length || change.changed.length) this.#listeners.tell(change);
  }

  /**
   * Forget the oldest ones. It tells nobody; `put` is expected to follow.
   * @param {number} number of calls; none where it is below 1
   */
  forgetOldest(number) {
    if (number < 1) return;
    for (const { id } of this.#ordered.slice(0, number)) this.#byId.delete(id);
    this.#ordered = this.#ordered.slice(number);
  }

  /**
   * Forget all, and take in *summaries*.
   * @param {Summary[]} summaries
   */
  replace(summaries) {
    this.#byId = new Map(summaries.map((each) => [each.id, each]));
    this.#ordered = [...this.#byId.values()].sort(byNumber);
    this.#listeners.tell({ added: [], changed: [], all: true });
  }

  /** @param {Summary[]} added */
  #insert(added) {
    const sorted = [...added].sort(byNumber);
    const last = this.#ordered.at(-1), first = this.#ordered[0];
    if (!last || byNumber(/** @type {Summary} */ (sorted[0]), last) > 0) this.#ordered = this.#ordered.concat(sorted);
    else if (first && byNumber(/** @type {Summary} */ (sorted.at(-1)), first) < 0) this.#ordered = sorted.concat(this.#ordered);
    else this.#ordered = this.#ordered.concat(sorted).sort(byNumber);
  }
}

/**
 * The order of two calls: positive where *a* is newer. One without a number has just arrived.
 * @param {Summary} a
 * @param {Summary} b
 */
function byNumber(a, b) {
  return (a.number ?? Infinity) - (b.number ?? Infinity) || 0;
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
