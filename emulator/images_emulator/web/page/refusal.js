// The card of a refused call: the whole sentence, and what the model takes. The card of notices.

import { h } from "./dom.js";
import { explain, fewModels } from "./explain.js";
import { mediaTypeOf, sentValue } from "./message_cards.js";

/** @import { Detail } from "./api.js" */
/** @import { Models } from "./explain.js" */

/** @type {Record<number, string>} */
const REASONS = {
  400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
  409: "Conflict", 410: "Gone", 411: "Length Required", 413: "Content Too Large", 415: "Unsupported Media Type",
  422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
  503: "Service Unavailable", 504: "Gateway Timeout",
};

/**
 * What the model takes and what was sent, in words and values.
 * @param {Detail} call
 * @param {Models} models
 */
function takes(call, models) {
  const param = call.error?.param;
  if (!param) return null;
  const explanation = explain(models, { path: call.path, model: call.model, mediaType: mediaTypeOf(call), param, sent: sentValue(call, param) });
  if (!explanation) return null;
  const { subject, values, words, sent, elsewhere } = explanation;
  const value = (/** @type {string} */ text, tone = "") => h("code", { class: `value ${tone}`, dir: "auto" }, text);
  const isFor = elsewhere.length ? h("span", null, `which is for ${fewModels(elsewhere)}`) : null;
  if (words?.startsWith("no ")) return h("p", { class: "takes" }, h("span", null, `${subject} has no`), value(param, "bad"), isFor);
  return h(
    "p",
    { class: "takes" },
    h("span", null, `${subject} takes`),
    values.length ? values.map((each) => value(each)) : h("span", null, words),
    sent === null ? null : [h("span", null, values.length ? "You sent" : "· You sent"), value(sent, "bad")],
    sent === null ? null : isFor,
  );
}

/**
 * The emulator's own sentences on a call.
 * @param {Detail} call
 */
export function noticeCard({ notices }) {
  if (!notices.length) return null;
  return h(
    "section",
    { class: "card notice", "aria-label": "Notice" },
    h("div", { class: "notice-head" }, h("h2", null, "Notice"), h("span", null, "from the emulator: header ", h("code", null, "x-emulator-notice"))),
    notices.map((each) => h("p", { class: "notice-sentence", dir: "auto" }, each)),
  );
}

/**
 * @param {Detail} call with an error
 * @param {Models | null} models
 */
export function refusalCard(call, models) {
  const { error, status, fault } = call;
  if (!error) return null;
  const facts = /** @type {const} */ (["type", "param", "code"]).map((name) =>
    h("span", null, `${name} `, h("code", null, error[name] ?? "null")));
  const title = call.outcome === "failed"
    ? `${status ?? ""}, then an error event`
    : `${status ?? ""} ${REASONS[status ?? 0] ?? ""}`;
  return h(
    "section",
    { class: "card refusal", "aria-label": "Error" },
    h("h2", null, title),
    h("p", { class: "refusal-sentence", dir: "auto" }, error.message ?? "Without a message"),
    h("p", { class: "refusal-facts" }, facts, fault ? h("span", null, "fault ", h("code", { class: "warn" }, fault)) : null),
    models && takes(call, models),
  );
}
