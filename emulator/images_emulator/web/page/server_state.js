// The emulator's settings, clock and scenario, as it tells them.

import { Listeners } from "./events.js";

/** @import { Settings, Clock, Scenario } from "./api.js" */
/** @typedef {"settings" | "clock" | "scenario"} StateKind */

export class ServerState {
  /** @type {Settings | null} */
  settings = null;

  /** @type {Clock | null} */
  clock = null;

  /** When `clock` was told, by `performance.now()`. */
  clockAt = 0;

  /** @type {Scenario | null} */
  scenario = null;

  /** @type {Listeners<[StateKind]>} */
  #listeners = new Listeners();

  /**
   * Call *listener* with the kind of each change; the function that this returns ends it.
   * @param {(kind: StateKind) => void} listener
   */
  subscribe(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * @param {StateKind} kind
   * @param {any} data as `GET` of that path answers
   */
  set(kind, data) {
    this[kind] = data;
    if (kind === "clock") this.clockAt = performance.now();
    this.#listeners.tell(kind);
  }

  /** The emulator's time now; null until it is known. @returns {Date | null} */
  now() {
    if (!this.clock) return null;
    const passed = this.clock.frozen ? 0 : performance.now() - this.clockAt;
    return new Date(Date.parse(this.clock.now) + passed);
  }

  /** The faults that calls still can meet. */
  unspentFaults() {
    return this.scenario?.steps.filter((step) => step.fault && !step.spent) ?? [];
  }

  /** The answers that calls still can meet. */
  unspentAnswers() {
    return this.scenario?.steps.filter((step) => step.answer && !step.spent) ?? [];
  }
}
