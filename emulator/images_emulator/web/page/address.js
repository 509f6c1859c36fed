// The part of the page's address behind the `#`: the chosen call and the filters.

import { Listeners } from "./events.js";

/** @import { AddressChange } from "./context.js" */

export class Address {
  /** @type {Listeners<[URLSearchParams]>} */
  #listeners = new Listeners();

  constructor() {
    this.params = read();
    addEventListener("popstate", () => this.#changed());
    addEventListener("hashchange", () => this.#changed());
  }

  /**
   * Call *listener* with the parameters after each change.
   * @param {(params: URLSearchParams) => void} listener
   */
  subscribe(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * @param {AddressChange} change
   * @param {{replace?: boolean}} [options] replace: Back does not lead to the address before
   */
  navigate(change, { replace = false } = {}) {
    const params = new URLSearchParams(this.params);
    for (const [name, value] of Object.entries(change)) {
      if (value === null) params.delete(name);
      else params.set(name, value);
    }
    this.set(params, { replace });
  }

  /**
   * @param {URLSearchParams} params
   * @param {{replace?: boolean}} [options]
   */
  set(params, { replace = false } = {}) {
    if (params.toString() === this.params.toString()) return;
    const url = new URL(location.href);
    // Colons and the like may stand as they are, and are easier to read so.
    url.hash = params.toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%2C", ",").replaceAll("%2A", "*");
    history[replace ? "replaceState" : "pushState"](null, "", url);
    this.#changed();
  }

  #changed() {
    const params = read();
    // A click on a link tells twice, by `popstate` and by `hashchange`.
    if (params.toString() === this.params.toString()) return;
    this.params = params;
    this.#listeners.tell(params);
  }
}

function read() {
  return new URLSearchParams(location.hash.slice(1));
}
