// Thumbnails as elements. The emulator draws each one when it is first asked for, which takes the
// time of a call or so. While calls come in fast only a few are asked for, so that a page that is
// open slows down nobody's tests; the others follow once it is calm.

import { h } from "./dom.js";

/** How long no call must have come for it to be calm, in milliseconds. */
const CALM_MS = 400;

/** Pictures that are asked for at once while it is not. */
const BURST = 6;

/** Pictures that are asked for in a second once these are used up. */
const PER_SECOND = 3;

let left = BURST;
let filledAt = performance.now();
let calmAt = 0;

/** Of those that waited, how many are asked for at once when it is calm, and how soon the next ones. */
const SERVED = 4;
const SERVED_EVERY_MS = 60;

/** Those that wait for their turn, oldest first. @type {{image: HTMLImageElement, src: string}[]} */
let waiting = [];

/** @type {number | undefined} */
let timer;

/** Calls have come. */
export function callsCame() {
  calmAt = performance.now() + CALM_MS;
}

/**
 * A picture that is for the eye alone.
 * @param {string} src
 * @param {number} width in pixels, of the file or of the place, for its proportions
 * @param {number} height
 */
export function picture(src, width, height) {
  const image = h("img", { alt: "", width, height, decoding: "async", fetchpriority: "low", onload: chequer });
  if (take()) image.src = src;
  else {
    waiting.push({ image, src });
    timer ??= setTimeout(serve, CALM_MS);
  }
  return image;
}

/** Whether one more may be asked for now. */
function take() {
  const now = performance.now();
  if (now > calmAt) return true;
  left = Math.min(BURST, left + ((now - filledAt) / 1000) * PER_SECOND);
  filledAt = now;
  if (left < 1) return false;
  left -= 1;
  return true;
}

/** The newest first, as they are most likely in view. Those that have left the page are forgotten. */
function serve() {
  waiting = waiting.filter(({ image }) => image.isConnected);
  for (let number = 0; number < SERVED && waiting.length && take(); number += 1) {
    const next = waiting.pop();
    if (next) next.image.src = next.src;
  }
  const wait = Math.max(SERVED_EVERY_MS, Math.min(calmAt - performance.now(), 1000 / PER_SECOND));
  timer = waiting.length ? setTimeout(serve, wait) : undefined;
}

/**
 * Chequers behind a picture that may be transparent, once it is there.
 * @param {Event} event
 */
function chequer({ currentTarget }) {
  if (currentTarget instanceof Element) currentTarget.classList.add("chequered");
}
