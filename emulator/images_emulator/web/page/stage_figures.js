// Pictures as the stage shows them: in a frame of their proportions, the mask over its picture, and
// the picture before and after an edit.

import { address } from "./api.js";
import { h, icon } from "./dom.js";

/** @import { Child } from "./dom.js" */

/**
 * A picture that can be shown, saved and compared.
 * @typedef {object} Shown
 * @property {string} url
 * @property {number | null} width pixels
 * @property {number | null} height
 * @property {string} alt
 * @property {string} file the name that it is saved by
 * @property {string} place what it is of its call, in addresses: `0`, `partial-1`, `source-0`
 */

/**
 * A box with the proportions of a picture, which is no larger than its pixels and the stage.
 * @param {number | null} width
 * @param {number | null} height
 * @param {...Child} children
 */
export function frame(width, height, ...children) {
  const box = h("div", { class: "frame chequered" }, children);
  if (width && height) {
    box.style.aspectRatio = `${width} / ${height}`;
    box.style.width = `min(100%, ${width}px, calc(var(--stage-height) * ${width / height}))`;
  } else box.classList.add("unmeasured");
  return box;
}

/**
 * @param {Shown} shown
 */
export function image({ url, width, height, alt }) {
  return h("img", { src: address(url), width, height, alt, decoding: "async" });
}

/**
 * One picture.
 * @param {Shown} shown
 */
export const plainFigure = (shown) => frame(shown.width, shown.height, image(shown));

/**
 * The part of a picture that its mask lets the model change, striped: the mask's transparent area.
 * @param {string} maskUrl
 */
export function maskOverlay(maskUrl) {
  const overlay = h("div", { class: "mask-overlay" });
  overlay.style.maskImage = `linear-gradient(#000 0 0), url("${address(maskUrl)}")`;
  return overlay;
}

/**
 * A mask over its picture.
 * @param {Shown} source
 * @param {string} maskUrl
 */
export const maskFigure = (source, maskUrl) =>
  frame(source.width, source.height, image(source), maskOverlay(maskUrl));

/**
 * A markup, which is drawn on its picture.
 * @param {Shown} source
 * @param {Shown} markup
 */
export const markupFigure = (source, markup) =>
  frame(source.width, source.height, image(source), h("div", { class: "layer" }, image(markup)));

/**
 * Two pictures over each other, with a slider that says how much of each is seen.
 * @param {Shown} before scaled and cropped to fill the other's frame, as an edit does it
 * @param {Shown} after
 * @param {{before: string, after: string}} [names]
 */
export function slideFigure(before, after, names = { before: "Before", after: "After" }) {
  const words = (/** @type {string} */ share) => `${share} % ${names.before}, ${100 - Number(share)} % ${names.after}`;
  const slider = h("input", {
    type: "range", min: "0", max: "100", step: "1", value: "50", class: "slide-range",
    "aria-label": `${names.before} and ${names.after}`, "aria-valuetext": words("50"),
  });
  const box = frame(
    after.width,
    after.height,
    h("div", { class: "layer slide-before" }, image(before)),
    h("div", { class: "layer slide-after" }, image(after)),
    h("span", { class: "slide-label start", "aria-hidden": "true" }, names.before),
    h("span", { class: "slide-label end", "aria-hidden": "true" }, names.after),
    h("div", { class: "slide-line", "aria-hidden": "true" }, h("span", { class: "slide-knob" }, icon("slide"))),
    slider,
  );
  box.classList.add("slide");
  box.style.setProperty("--at", "50%");
  slider.addEventListener("input", () => {
    box.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", words(slider.value));
  });
  return box;
}

/**
 * How two pictures differ: black where they are alike.
 * @param {Shown} one
 * @param {Shown} other
 */
export function differenceFigure(one, other) {
  const box = frame(one.width, one.height, h("div", { class: "layer" }, image(one)), h("div", { class: "layer" }, image(other)));
  box.classList.add("difference");
  return box;
}
