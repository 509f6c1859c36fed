// Listeners of what an object tells.

/** @template {unknown[]} Values */
export class Listeners {
  constructor() {
    /** @type {Set<(...values: Values) => void>} */
    this.all = new Set();
  }

  /**
   * Call *listener* each time, until the function that this returns is called.
   * @param {(...values: Values) => void} listener
   */
  add(listener) {
    this.all.add(listener);
    return () => {
      this.all.delete(listener);
    };
  }

  /** @param {Values} values */
  tell(...values) {
    for (const listener of [...this.all]) listener(...values);
  }
}
