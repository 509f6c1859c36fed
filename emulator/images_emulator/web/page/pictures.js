// Thumbnails as elements. The emulator draws each one when it is first asked for, which takes the
// time of a call or so. While calls come in fast only a few are asked for, so that a page that is
// open slows down nobody's tests; the others follow once it is calm.

import { h } from "./dom.js";

/** How long no call must have come for it to be calm, in milliseconds. */
const CALM_MS = 700;

/** Pictures that are asked for at once while it is not. */
const BURST = 6;

/** Pictures that are asked for in a second once these are used up, and while the live feed skips calls. */
const PER_SECOND = 3;
const PER_SECOND_WHILE_SKIPPING = 1;

let left = BURST;
let filledAt = performance.now();
let calmAt = 0;
let perSecond = PER_SECOND;

/** Of those that waited, how many are asked for at once when it is calm, and how soon the next ones. */
const SERVED = 4;
const SERVED_EVERY_MS = 60;

/** What was asked for: the same picture in another place costs nothing. @type {Set<string>} */
const asked = new Set();
const MAX_ASKED = 1000;

/** Those that wait for their turn, oldest first. @type {{image: HTMLImageElement, src: string}[]} */
let waiting = [];

/** @type {number | undefined} */
let timer;

/**
 * Calls have come.
 * @param {{isSkipping: boolean}} options whether the live feed leaves out calls
 */
export function callsCame({ isSkipping }) {
  calmAt = performance.now() + CALM_MS;
  perSecond = isSkipping ? PER_SECOND_WHILE_SKIPPING : PER_SECOND;
}

/**
 * A picture that is for the eye alone.
 * @param {string} src
 * @param {number} width in pixels, of the file or of the place, for its proportions
 * @param {number} height
 */
export function picture(src, width, height) {
  const image = h("img", { alt: "", width, height, decoding: "async", fetchpriority: "low", onload: chequer });
  if (take(src)) image.src = src;
  else {
    waiting.push({ image, src });
    timer ??= setTimeout(serve, CALM_MS);
  }
  return image;
}

/**
 * Whether that picture may be asked for now.
 * @param {string} src
 */
function take(src) {
  if (asked.has(src)) return true;
  const now = performance.now();
  if (now <= calmAt) {
    left = Math.min(BURST, left + ((now - filledAt) / 1000) * perSecond);
    filledAt = now;
    if (left < 1) return false;
    left -= 1;
  }
  if (asked.size >= MAX_ASKED) asked.clear();
  asked.add(src);
  return true;
}

/** The newest first, as they are most likely in view. Those that have left the page are forgotten. */
function serve() {
  waiting = waiting.filter(({ image }) => image.isConnected);
  for (let number = 0; number < SERVED; number += 1) {
    const next = waiting.at(-1);
    if (!next || !take(next.src)) break;
    next.image.src = next.src;
    waiting.pop();
  }
  const wait = Math.max(SERVED_EVERY_MS, Math.min(calmAt - performance.now(), 1000 / perSecond));
  timer = waiting.length ? setTimeout(serve, wait) : undefined;
}

/**
 * Chequers behind a picture that may be transparent, once it is there.
 * @param {Event} event
 */
function chequer({ currentTarget }) {
  if (currentTarget instanceof Element) currentTarget.classList.add("chequered");
}
