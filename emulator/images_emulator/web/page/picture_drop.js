// A picture that is dragged onto a call, from another window: it is to answer calls like that one.

import { h, setText } from "./dom.js";
import { likeWords, operationOf } from "./answer_dialog.js";

/** @import { Summary } from "./api.js" */

/**
 * Where a picture may be dropped: the element that shows it, and the call; null for any call.
 * @typedef {{element: HTMLElement, call: Summary | null}} Place
 */

/**
 * @param {object} options
 * @param {(element: Element) => {element: HTMLElement, call: Summary | null} | null} options.placeOf
 * @param {(files: File[], call: Summary | null) => void} options.ondrop
 */
export function createPictureDrop({ placeOf, ondrop }) {
  const words = h("p", { class: "toast" });
  const hint = h("div", { class: "toasts drop-hint", "aria-hidden": "true", hidden: true }, words);
  /** @type {HTMLElement | null} */
  let marked = null;
  /** What is dragged is the page's own. */
  let isOwn = false;

  /** @param {Place | null} place */
  function show(place) {
    if (marked !== place?.element) {
      marked?.classList.remove("takes-picture");
      marked = place?.element ?? null;
      marked?.classList.add("takes-picture");
    }
    hint.hidden = false;
    if (!place) setText(words, "Drop the picture on a call that it should answer");
    else setText(words, `Answers ${place.call ? likeWords(place.call) : "calls"}`);
  }

  function end() {
    marked?.classList.remove("takes-picture");
    marked = null;
    hint.hidden = true;
  }

  /** @param {DragEvent} event */
  function place({ target }) {
    const found = target instanceof Element ? placeOf(target) : null;
    return found && (!found.call || operationOf(found.call)) ? found : null;
  }

  /** @param {DragEvent} event */
  const isForeign = ({ dataTransfer }) => !isOwn && (dataTransfer?.types.includes("Files") ?? false);

  document.addEventListener("dragstart", () => {
    isOwn = true;
  });
  document.addEventListener("dragend", () => {
    isOwn = false;
    end();
  });
  for (const name of /** @type {const} */ (["dragenter", "dragover"]))
    document.addEventListener(name, (event) => {
      // A dialog is in front of what it could be dropped on.
      if (!isForeign(event) || document.querySelector("dialog[open]")) return;
      // Without this the browser would leave the page for the file.
      event.preventDefault();
      const found = place(event);
      if (event.dataTransfer) event.dataTransfer.dropEffect = found ? "copy" : "none";
      show(found);
    });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) end();
  });
  document.addEventListener("drop", (event) => {
    if (!isForeign(event)) return;
    event.preventDefault();
    const found = document.querySelector("dialog[open]") ? null : place(event);
    end();
    if (found) ondrop([...(event.dataTransfer?.files ?? [])], found.call);
  });
  return { element: hint };
}
