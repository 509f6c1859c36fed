// Sentences that show for some seconds at the foot of the page.

import { h } from "./dom.js";

const SHOWN_MS = 3200;

/** How long one with a button shows. */
const ACTION_MS = 12_000;

/** @import { ToastAction } from "./context.js" */

/** @returns {{element: HTMLElement, show: (text: string, action?: ToastAction) => void, clear: () => void}} */
export function createToasts() {
  const element = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  return {
    element,
    show(text, action) {
      const button = action && h("button", { class: "toast-button", type: "button", onclick: () => {
        toast.remove();
        action.run();
      } }, action.label);
      const toast = h("p", { class: "toast" }, h("span", null, text), button);
      element.replaceChildren(toast);
      const shown = Math.max(action ? ACTION_MS : SHOWN_MS, text.length * 60);
      // Whoever has reached the button is about to press it.
      const close = () => (toast.contains(document.activeElement) ? setTimeout(close, SHOWN_MS) : toast.remove());
      setTimeout(close, shown);
    },
    clear: () => element.replaceChildren(),
  };
}
