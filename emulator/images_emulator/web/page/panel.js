// The panel of switches.

/** @import { Context, Panel } from "./context.js" */

/**
 * @param {Context} context
 * @returns {Panel}
 */
export function createPanel(context) {
  const { h } = context;
  const element = h("aside", { class: "panel", "aria-label": "Switches", hidden: true });
  return {
    element,
    open() {
      element.hidden = false;
    },
    close() {
      element.hidden = true;
    },
    get isOpen() {
      return !element.hidden;
    },
    update() {},
  };
}
