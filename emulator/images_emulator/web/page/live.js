// What happens at the emulator, told by server-sent events, from where the last one ended.

import { address } from "./api.js";

/**
 * `locked`: the token is wanted; `stopped`: the server has gone, and is still looked for.
 * @typedef {"connecting" | "live" | "paused" | "reconnecting" | "stopped" | "locked"} LiveState
 */

/**
 * @typedef {object} LiveHandlers
 * @property {() => void} onrestart everything has to be loaded again
 * @property {(name: string, data: any) => void} onevent
 * @property {(state: LiveState) => void} onstate
 * @property {() => void} onerror the connection failed; perhaps a token is wanted
 */

const EVENTS = ["arrived", "event", "completed", "skipped", "cleared", "settings", "clock", "scenario"];

/** The first tries after a failure come soon; from the third on the server counts as gone. */
const RETRIES_MS = [250, 500, 1000];

export class Live {
  /** @type {LiveState} */
  state = "connecting";

  /** When the connection was lost. @type {Date | null} */
  since = null;

  /** @type {EventSource | null} */
  #source = null;

  /** @type {string | null} */
  #lastId = null;

  #failures = 0;

  /** @type {number | undefined} */
  #timer;

  #paused = false;

  /** @param {LiveHandlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    // A tab that is hidden would hold one of the six connections that a browser has to a server.
    document.addEventListener("visibilitychange", () => this.#follow());
  }

  get paused() {
    return this.#paused;
  }

  /** @param {boolean} paused */
  set paused(paused) {
    this.#paused = paused;
    this.#follow();
  }

  /** Connect, or try again at once. */
  start() {
    this.#close();
    this.#failures = 0;
    this.since = null;
    this.#become("connecting");
    this.#follow();
  }

  /** Wait until `start`: without the token there is no connection. */
  lock() {
    this.#close();
    this.#become("locked");
  }

  #follow() {
    if (this.state === "locked") return;
    const wanted = !this.#paused && document.visibilityState !== "hidden";
    if (wanted && !this.#source) this.#open();
    else if (!wanted) this.#close();
    if (this.#paused) this.#become("paused");
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#close();
    if (this.state === "paused") this.#become("reconnecting");
    const query = this.#lastId === null ? "" : `?last_event_id=${encodeURIComponent(this.#lastId)}`;
    const source = new EventSource(address(`events${query}`));
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.#become("live");
      // Without an id nothing is known of what was before.
      if (this.#lastId === null) this.handlers.onrestart();
    };
    source.onerror = () => {
      this.#close();
      if (this.state === "locked") return;
      this.since ??= new Date();
      this.#become(this.#failures < RETRIES_MS.length - 1 ? "reconnecting" : "stopped");
      const wait = RETRIES_MS[Math.min(this.#failures, RETRIES_MS.length - 1)];
      this.#failures += 1;
      this.#timer = setTimeout(() => this.#follow(), wait);
      this.handlers.onerror();
    };
    source.addEventListener("restart", (event) => {
      this.#lastId = event.lastEventId || null;
      this.handlers.onrestart();
    });
    for (const name of EVENTS)
      source.addEventListener(name, (event) => {
        if (event.lastEventId) this.#lastId = event.lastEventId;
        this.handlers.onevent(name, JSON.parse(event.data));
      });
  }

  /** @param {LiveState} state */
  #become(state) {
    if (state === "live") this.since = null;
    if (this.state === state) return;
    this.state = state;
    this.handlers.onstate(state);
  }
}
