// How often the page draws what has come. Its work takes time from the server and its client, which
// are often on the same machine, so it has a small share of the time: a call that comes after a rest
// is drawn in the next frame; in a rush all that has come meanwhile is drawn together, now and then.

/** The share of the time for work of the page's own thread. The browser's other threads take about as much again. */
const SHARE = 0.015;

/** Work that may be done at once after a rest, in milliseconds. */
const SAVED_MS = 400;

/** Where less than this is left of it, more comes than the page could show as it comes. */
const RUSH_MS = 30;

/** The longest time between two drawings, however long each takes. */
const LONGEST_MS = 2000;

export class Pace {
  /** Whether more comes than the page could show as it comes. */
  isRush = false;

  /** Milliseconds of work that may be done now; negative while the page rests. */
  #saved = SAVED_MS;

  #countedAt = performance.now();
  #isDue = false;

  /** @type {number | undefined} */
  #endTimer;

  /**
   * @param {object} options
   * @param {() => void} options.draw draws all that has come, in a frame
   * @param {(isRush: boolean) => void} options.onrush a rush has begun, or is over
   */
  constructor(options) {
    this.options = options;
  }

  /** Something has come: draw it in the next frame, or once there is time for it. */
  request() {
    if (this.#isDue) return;
    this.#isDue = true;
    const wait = -this.#count() / SHARE;
    if (wait > 0) setTimeout(() => this.#frame(), Math.min(wait, LONGEST_MS));
    else this.#frame();
  }

  /** More comes than is told: what was saved is not for this. */
  rest() {
    this.#saved = Math.min(0, this.#count());
    this.#judge();
  }

  #frame() {
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#judge();
      const begun = performance.now();
      this.options.draw();
      // What is posted within a frame runs after its layout and painting.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        this.#count();
        this.#saved -= performance.now() - begun;
        this.#judge();
      };
      port2.postMessage(null);
    });
  }

  /** Whether it is a rush now, and when it will be none if nothing more comes. */
  #judge() {
    const missing = RUSH_MS - this.#count();
    if (this.isRush !== missing > 0) {
      this.isRush = missing > 0;
      this.options.onrush(this.isRush);
    }
    clearTimeout(this.#endTimer);
    if (this.isRush) this.#endTimer = setTimeout(() => this.#judge(), missing / SHARE + 1);
  }

  #count() {
    const now = performance.now();
    this.#saved = Math.min(SAVED_MS, this.#saved + (now - this.#countedAt) * SHARE);
    this.#countedAt = now;
    return this.#saved;
  }
}
