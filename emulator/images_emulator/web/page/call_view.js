// The view of one call.

/** @import { Context, CallView } from "./context.js" */

/**
 * @param {Context} context
 * @returns {CallView}
 */
export function createCallView(context) {
  const { h } = context;
  const element = h("section", { class: "call", "aria-label": "Call" });
  return {
    element,
    show(id) {
      const call = id && context.calls.get(id);
      element.replaceChildren(h("h1", null, call ? context.format.title(call) : String(id)));
    },
    close() {
      element.replaceChildren();
    },
    update() {},
    event() {},
    keys: [],
  };
}
