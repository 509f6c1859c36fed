// The downloads of the pictures that an answer names by URL.

import { address, thumbnail } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";

/** @import { Detail, Summary } from "./api.js" */
/** @import { Context } from "./context.js" */

/**
 * The paths of a call's hosted pictures, as their downloads have them: without what a namespace or a public URL puts
 * before them.
 * @param {Detail} call
 * @returns {string[]}
 */
export function hostedPaths(call) {
  try {
    /** @type {{data?: {url?: unknown}[]}} */
    const answer = JSON.parse(call.answer?.body ?? "{}");
    return (answer.data ?? []).flatMap(({ url }) => (typeof url === "string" && URL.canParse(url) ? [new URL(url).pathname.replace(/^.*(?=\/private\/)/, "")] : []));
  } catch {
    return [];
  }
}

/**
 * The picture that a download is for.
 * @param {Detail} call
 * @returns {HTMLElement | null} null where none is known any more
 */
export function downloadedPicture({ hosted }) {
  return hosted === null ? null : h(
    "section",
    { class: "card hosted", "aria-label": "Picture" },
    h("header", null, h("h2", null, "Picture"), h("span", { class: "muted small" }, "behind this URL")),
    h("a", { class: "stage-view", href: address(hosted), target: "_blank" },
      h("img", { class: "chequered", src: thumbnail(`${hosted}/thumbnail/480`, 480), alt: "The picture in full", decoding: "async" })),
  );
}

/**
 * @param {Context} context
 * @param {Detail} call
 * @returns {Promise<HTMLElement | null>} null where it has no hosted picture
 */
export async function downloads(context, call) {
  const paths = hostedPaths(call);
  if (call.kind === "download" || paths.length === 0) return null;
  const { requests } = await context.api.requests({ kind: "download", path: paths, limit: 100 });
  /** @param {Summary} each */
  const row = (each) =>
    h("tr", null,
      h("td", { class: "number" }, h("button", { type: "button", class: "link", onclick: () => context.select(each.id) }, format.time(each.time))),
      h("td", { class: each.status !== null && each.status >= 400 ? "bad" : "" }, String(each.status ?? each.outcome)),
      h("td", null, `Picture ${paths.indexOf(each.path) + 1}`),
      h("td", { class: "number faint" }, each.duration_ms === null ? "" : format.duration(each.duration_ms)),
      h("td", { class: "muted" }, each.error?.message ?? each.sdk ?? ""));
  return h(
    "section",
    { class: "card", "aria-label": "Downloads" },
    h("header", null, h("h2", null, "Downloads"), h("span", { class: "muted small" }, `of ${format.counted(paths.length, "hosted picture")}`)),
    requests.length
      ? h("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": "Table of downloads" }, h("table", { class: "table" }, h("tbody", null, requests.map(row))))
      : h("p", { class: "card-note" }, "Not downloaded yet"),
  );
}
