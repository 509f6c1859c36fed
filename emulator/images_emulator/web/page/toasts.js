// Sentences that show for some seconds at the foot of the page.

import { h } from "./dom.js";

const SHOWN_MS = 3200;

/** @returns {{element: HTMLElement, show: (text: string) => void, clear: () => void}} */
export function createToasts() {
  const element = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  return {
    element,
    show(text) {
      const toast = h("p", { class: "toast" }, text);
      element.replaceChildren(toast);
      setTimeout(() => toast.remove(), Math.max(SHOWN_MS, text.length * 60));
    },
    clear: () => element.replaceChildren(),
  };
}
