// The namespaces of the server, and the choice of one in the bar. The page's path says which one it shows.

import { ROOT } from "./api.js";
import { h, icon } from "./dom.js";
import * as format from "./format.js";

/** @import { Namespace } from "./api.js" */
/** @import { Context } from "./context.js" */

const DEFAULT = "default";

/** How often the server is asked which there are, while the page is looked at. */
const POLL_MS = 3000;

/** The encoded name in the page's path; none in that of the default namespace. */
const ENCODED = /\/ns\/([^/]+)\/_emulator\/$/.exec(ROOT.pathname)?.[1];

/** The namespace that the page shows. */
export const OWN = ENCODED === undefined ? DEFAULT : decodeURIComponent(ENCODED);

/**
 * The address of the page of a namespace.
 * @param {string} name
 */
export function pageOf(name) {
  const server = new URL(ENCODED === undefined ? "../" : "../../../", ROOT);
  return new URL(name === DEFAULT ? "_emulator/" : `ns/${encodeURIComponent(name)}/_emulator/`, server).href;
}

/**
 * The button that names the namespace, and opens a menu of all. It is there while there are any
 * beside the default one.
 * @param {Context} context
 * @param {() => boolean} isLive whether the page hears of the server
 */
export function createNamespaces({ api, menu }, isLive) {
  /** @type {Namespace[]} */
  let namespaces = [];
  const name = h("span", { class: "namespace-name" }, OWN);
  const element = h("button", { class: "button namespace", type: "button", title: "Namespace", "aria-haspopup": "menu", "aria-expanded": "false", hidden: OWN === DEFAULT, onclick: open },
    name, icon("down"));

  function draw() {
    element.hidden = OWN === DEFAULT && !namespaces.length;
    element.setAttribute("aria-label", `Namespace ${OWN}`);
  }

  async function update() {
    try {
      namespaces = (await api.namespaces()).namespaces;
    } catch {
      // The live feed says that the server has gone, and asks for the token.
    }
    draw();
  }

  async function open() {
    await update();
    const others = namespaces.filter((each) => each.name !== OWN);
    const items = others.map((each) => ({
      label: `${each.name} · ${format.counted(each.calls, "call")}`, run: () => location.assign(pageOf(each.name)),
    }));
    if (OWN !== DEFAULT) items.unshift({ label: DEFAULT, run: () => location.assign(pageOf(DEFAULT)) });
    if (items.length) menu(element, items);
  }

  function isSeen() {
    return document.visibilityState === "visible" && isLive();
  }

  setInterval(() => isSeen() && void update(), POLL_MS);
  document.addEventListener("visibilitychange", () => isSeen() && void update());
  if (OWN !== DEFAULT) document.title = `${OWN} · ${document.title}`;
  draw();
  return { element, update };
}
