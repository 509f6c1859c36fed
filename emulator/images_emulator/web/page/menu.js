// A menu at a button: arrows, Home, End and the items' own keys; Esc and a click elsewhere close it.

import { h } from "./dom.js";

/** @import { MenuItem } from "./context.js" */

/** @returns {(button: HTMLElement, items: MenuItem[]) => void} opens a menu, or closes it at the same button */
export function createMenu() {
  /** @type {{button: HTMLElement, element: HTMLElement, end: AbortController} | null} */
  let open = null;

  /** @param {boolean} [refocus] */
  function close(refocus = true) {
    if (!open) return;
    const { button, element, end } = open;
    open = null;
    end.abort();
    element.remove();
    button.setAttribute("aria-expanded", "false");
    if (refocus) button.focus();
  }

  return (button, items) => {
    if (open?.button === button) {
      close();
      return;
    }
    close(false);
    const buttons = items.map((item) =>
      h("button", {
        type: "button", role: "menuitem", tabindex: -1,
        onclick: () => {
          close();
          item.run();
        },
      }, item.label, item.key && h("kbd", { class: "kbd end" }, item.key)));
    const element = h("div", { class: "menu", role: "menu", "aria-label": button.textContent.trim() || button.getAttribute("aria-label") }, buttons);
    const end = new AbortController();
    open = { button, element, end };
    button.setAttribute("aria-haspopup", "menu");
    button.setAttribute("aria-expanded", "true");
    document.body.append(element);
    place(element, button);
    buttons[0]?.focus();
    element.addEventListener("keydown", (event) => {
      const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
      event.stopPropagation();
      if (to !== undefined) {
        event.preventDefault();
        buttons.at(to % buttons.length)?.focus();
      } else if (event.key === "Escape") {
        event.preventDefault();
        close();
      } else if (event.key === "Tab") close();
      else items.find((item) => item.key === event.key && (close(), item.run(), true));
    });
    document.addEventListener("pointerdown", ({ target }) => {
      const node = /** @type {Node} */ (target);
      if (!element.contains(node) && !button.contains(node)) close(false);
    }, { signal: end.signal, capture: true });
    addEventListener("resize", () => close(false), { signal: end.signal });
  };
}

/**
 * Put *element* below *anchor*, at its left or, where that has no room, at its right edge. What is
 * higher than the room below scrolls.
 * @param {HTMLElement} element
 * @param {HTMLElement} anchor
 */
export function place(element, anchor) {
  const box = anchor.getBoundingClientRect();
  const width = element.offsetWidth;
  const left = box.left + width > innerWidth - 12 ? box.right - width : box.left;
  element.style.setProperty("left", `${Math.max(12, left)}px`);
  element.style.setProperty("top", `${box.bottom + 6}px`);
  element.style.setProperty("max-height", `${innerHeight - box.bottom - 18}px`);
}
