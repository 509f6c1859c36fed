// The page: makes its parts, and leads what the emulator tells to them.

import { API } from "./api.js";
import { Address } from "./address.js";
import { Calls } from "./calls.js";
import { createCallView } from "./call_view.js";
import { h, icon } from "./dom.js";
import * as format from "./format.js";
import { createPanel } from "./panel.js";
import { State } from "./state.js";
import { createToasts } from "./toasts.js";
import { createMenu } from "./menu.js";
import { Live } from "./live.js";

/** @import { Context } from "./context.js" */
/** @import { Summary } from "./api.js" */

const PAGE_SIZE = 200;

const api = new API();
const address = new Address();
const calls = new Calls();
const state = new State();
const toasts = createToasts();

/** @type {Context} */
const context = {
  api,
  calls,
  state,
  format,
  h,
  icon,
  toast: toasts.show,
  fail: (error) => toasts.show(error instanceof Error ? error.message : String(error)),
  navigate: (change, options) => address.navigate(change, options),
  copy,
  select: (id) => address.navigate({ call: id, compare: null, view: null, picture: null }),
  neighbours: () => ({ newer: null, older: null }),
  menu: createMenu(),
};

const view = createCallView(context);
const panel = createPanel(context);
const list = h("ul", { class: "list" });
const content = h("main", { class: "content" });
document.body.append(
  h("div", { class: "shell" }, h("header", { class: "bar" }, h("button", { class: "button", onclick: () => panel.open() }, "Switches")), list, content, panel.element),
  toasts.element,
);

/**
 * @param {string | Promise<string>} text
 * @param {string} [what]
 */
async function copy(text, what = "it") {
  try {
    await navigator.clipboard.writeText(await text);
    toasts.show(`Copied ${what}`);
  } catch (error) {
    context.fail(error);
  }
}

calls.subscribe(() => {
  list.replaceChildren(
    ...[...calls.ordered].reverse().slice(0, 100).map((call) => h("li", null, h("button", { onclick: () => context.select(call.id) }, format.title(call)))),
  );
});

/** @param {URLSearchParams} params */
function route(params) {
  const id = params.get("call");
  if (id || params.has("compare")) {
    content.replaceChildren(view.element);
    view.show(id, params);
  } else {
    view.close();
    content.replaceChildren(h("h1", null, "Pictures"));
  }
}
address.subscribe(route);
route(address.params);
state.subscribe((kind) => panel.update(kind, state[kind]));

async function load() {
  try {
    const [page, settings, clock, scenario] = await Promise.all([
      api.requests({ limit: PAGE_SIZE }), api.settings(), api.clock(), api.scenario(),
    ]);
    calls.total = page.total;
    calls.dropped = page.dropped;
    calls.replace(page.requests);
    state.set("settings", settings);
    state.set("clock", clock);
    state.set("scenario", scenario);
  } catch (error) {
    context.fail(error);
  }
}

const live = new Live({
  onrestart: load,
  onstate() {},
  onerror() {},
  onevent(name, data) {
    if (name === "arrived" || name === "completed") {
      calls.put([/** @type {Summary} */ (data)]);
      view.update(data);
    } else if (name === "event") view.event(data);
    else if (name === "settings" || name === "clock" || name === "scenario") state.set(name, data);
    else load();
  },
});
live.start();
load();
