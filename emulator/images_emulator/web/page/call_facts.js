// The facts of a call, one a line.

import { h } from "./dom.js";
import * as format from "./format.js";

/** @import { Detail } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { Child } from "./dom.js" */

/** @typedef {[name: string, value: Child] | null} Fact */

/** @param {string} name @param {unknown} value @returns {Fact} */
const word = (name, value) => (value === undefined || value === null || value === "" ? null : [name, String(value)]);

/** @param {string} name @param {number | null | undefined} total @param {[string, number | null | undefined][]} parts @returns {Fact} */
function tokens(name, total, parts) {
  if (total === null || total === undefined) return null;
  const known = parts.filter(([, amount]) => amount);
  const words = known.map(([kind, amount]) => `${kind} ${format.count(amount ?? 0)}`).join(", ");
  return [name, [format.count(total), words ? h("span", { class: "faint" }, ` ${words}`) : null]];
}

/** @param {Detail} call @returns {Fact} */
function size(call) {
  const value = call.parameters.size;
  return typeof value === "string" ? ["Size", value.replace(/^(\d+)x(\d+)$/, "$1×$2")] : null;
}

/** @param {Detail} call @returns {Fact} */
function fileFormat(call) {
  const name = call.pictures[0]?.format ?? call.parameters.output_format;
  if (typeof name !== "string") return null;
  const sizes = call.pictures.map((each) => each.bytes);
  const total = sizes.every((each) => each !== null) ? sizes.reduce((sum, each) => sum + (each ?? 0), 0) : 0;
  return ["Format", [name.toUpperCase(), total ? h("span", { class: "faint" }, ` ${format.bytes(total)}`) : null]];
}

/**
 * The calls of one retry chain, each but this one a link.
 * @param {Context} context
 * @param {Detail} call
 * @returns {Fact}
 */
function attempts(context, call) {
  if (call.attempts.length < 2) return null;
  return [
    "Attempts",
    h("span", { class: "attempts" }, call.attempts.map((attempt) => {
      const label = `${attempt.retries + 1}: ${attempt.status ?? attempt.outcome}`;
      return attempt.id === call.id
        ? h("span", { "aria-current": "true" }, label)
        : h("button", { type: "button", class: "link", onclick: () => context.select(attempt.id), title: format.time(attempt.time) }, label);
    })),
  ];
}

/**
 * @param {Context} context
 * @param {Detail} call
 */
export function facts(context, call) {
  const { parameters, usage, pictures } = call;
  /** @type {Fact[]} */
  const rows = [
    word("Model", call.model),
    size(call),
    word("Quality", parameters.quality),
    fileFormat(call),
    word("Background", parameters.background),
    word("Style", parameters.style),
    Number(parameters.n) > 1 ? ["Pictures", pictures.length === Number(parameters.n) ? String(parameters.n) : `${pictures.length} of ${parameters.n}`] : null,
    parameters.response_format === "url" ? ["Delivered", "by URL"] : null,
    tokens("Input tokens", usage?.input_tokens, [["text", usage?.input_text_tokens], ["image", usage?.input_image_tokens]]),
    tokens("Output tokens", usage?.output_tokens, usage?.output_text_tokens ? [["text", usage.output_text_tokens], ["image", usage.output_image_tokens]] : []),
    call.price_usd === null ? null : ["Would have cost", format.price(call.price_usd)],
    call.duration_ms === null ? null : ["Answered in", format.duration(call.duration_ms)],
    call.key ? ["Key", h("span", { class: "mono" }, call.key)] : null,
    word("SDK", call.sdk),
    call.fault ? ["Fault", h("span", { class: "warn" }, format.words(call.fault))] : null,
    call.recording ? ["Recording", h("span", { class: "mono" }, call.recording)] : null,
    word("Answered by", call.own_answer),
    call.violations.length ? ["Forgiven", h("span", { class: "warn" }, call.violations.map((each) => h("span", { class: "block" }, each)))] : null,
    attempts(context, call),
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.map((row) => row && h("div", null, h("dt", null, row[0]), h("dd", { dir: "auto" }, row[1]))),
  );
}
