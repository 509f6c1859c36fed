// The two cards with what was sent and what was answered: body or form, headers, and the parameters
// with the values that were in force.

import { address } from "./api.js";
import { fill, h, icon } from "./dom.js";
import * as format from "./format.js";
import { explain, sentence } from "./explain.js";
import { bodyView } from "./json_view.js";

/** @import { Detail, FormPart } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { Models } from "./explain.js" */
/** @import { Mark } from "./json_view.js" */

/** The tab that was chosen in a card, which a newer card of the same call shows again. @typedef {{tab: string | null}} Chosen */
/** @typedef {{name: string, view: () => Node, text: () => string | null}} Tab */

/**
 * The value that was sent for a parameter; undefined where none was.
 * @param {Detail} call
 * @param {string} param as errors name it: `size`, `images[0].image_url`
 * @returns {unknown}
 */
export function sentValue(call, param) {
  if (call.form) {
    const bare = (/** @type {string} */ name) => name.replace(/\[\d*\]$/, "");
    const part = call.form.find((each) => bare(each.name) === bare(param));
    return part ? (part.value ?? undefined) : undefined;
  }
  try {
    /** @type {unknown} */
    let value = JSON.parse(call.body ?? "null");
    for (const name of param.split(/[.[\]]+/).filter(Boolean)) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
      value = /** @type {Record<string, unknown>} */ (value)[name];
    }
    return value;
  } catch {
    return undefined;
  }
}

/**
 * The type of a request's body.
 * @param {Detail} call
 */
export const mediaTypeOf = (call) => (call.headers["content-type"] ?? "").split(";", 1)[0]?.trim();

/**
 * The marks of a call's parameters: the one that an error names, and those that lenience forgave.
 * @param {Detail} call
 * @param {Models | null} models
 * @returns {Map<string, Mark>}
 */
export function marksOf(call, models) {
  /** @type {Map<string, Mark>} */
  const marks = new Map();
  for (const violation of call.violations) {
    const [name = "", code = ""] = violation.split(": ");
    const value = Object.hasOwn(call.parameters, name) ? call.parameters[name] : undefined;
    const isUnknown = code === "unknown_parameter" || value === undefined;
    const note = isUnknown
      ? `forgiven: ${call.model ?? "the model"} has no such parameter, ignored`
      : `forgiven: not a value of ${call.model ?? "the model"}, read as ${typeof value === "string" ? value : JSON.stringify(value)}`;
    marks.set(name, { tone: "warn", note: code === "unknown_parameter" || code === "invalid_value" || value !== undefined ? note : `forgiven: ${code}` });
  }
  const param = call.error?.param;
  if (param && call.outcome !== "answered") {
    const sent = sentValue(call, param);
    const explanation = models
      && explain(models, { path: call.path, model: call.model, mediaType: mediaTypeOf(call), param, sent });
    marks.set(param, { tone: "bad", note: explanation ? sentence(explanation) : (call.error?.message ?? "") });
  }
  return marks;
}

/**
 * A table of names and values.
 * @param {string} label
 * @param {[name: string, value: Node | string, mark?: Mark][]} rows
 */
function pairs(label, rows) {
  return h(
    "div",
    { class: "pairs", tabindex: "0", role: "group", "aria-label": label },
    h(
      "dl",
      null,
      rows.map(([name, value, mark]) =>
        h(
          "div",
          { class: mark ? `pair marked ${mark.tone}` : "pair" },
          h("dt", { dir: "auto" }, name),
          h("dd", { dir: "auto" }, value, mark ? h("span", { class: "line-note" }, mark.note) : null),
        ),
      ),
    ),
  );
}

/** @param {Record<string, string>} headers */
const headerText = (headers) => Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join("");

/** @param {string} label @param {Record<string, string>} headers */
const headerView = (label, headers) => pairs(label, Object.entries(headers));

/**
 * Parameters with the values that were in force; defaults are muted.
 * @param {Detail} call
 */
function settledView(call) {
  const sent = new Set(call.sent);
  return pairs(
    "Parameters in force",
    Object.entries(call.parameters).map(([name, value]) => [
      name,
      h(
        "span",
        null,
        typeof value === "string" ? value : JSON.stringify(value),
        sent.has(name) ? null : h("span", { class: "faint" }, " default"),
      ),
    ]),
  );
}

/**
 * A form's parts in their order.
 * @param {Context} context
 * @param {Detail} call
 * @param {FormPart[]} form
 * @param {Map<string, Mark>} marks
 */
function formView(context, call, form, marks) {
  return pairs(
    "Form",
    form.map((part) => {
      const mark = marks.get(part.name) ?? marks.get(part.name.replace(/\[\]$/, ""));
      const upload = part.upload === null ? undefined : call.uploads[part.upload];
      if (!upload) return [part.name, part.value ?? "", mark];
      const words = [
        upload.type,
        upload.pixels && `${upload.pixels[0]} × ${upload.pixels[1]}`,
        upload.bytes !== null && format.bytes(upload.bytes),
      ].filter(Boolean);
      const name = upload.url
        ? h("a", { href: address(upload.url), target: "_blank", rel: "noopener" }, upload.name || "(no name)")
        : upload.name || "(no name)";
      return [part.name, h("span", null, name, h("span", { class: "faint" }, ` ${words.join(", ")}`)), mark];
    }),
  );
}

/**
 * A card with tabs and a button that copies what is shown.
 * @param {Context} context
 * @param {Chosen} chosen
 * @param {object} options
 * @param {string} options.title
 * @param {Node | null} [options.beside] stands behind the title
 * @param {Tab[]} options.tabs
 * @param {Node | null} [options.foot]
 */
function card(context, chosen, { title, beside = null, tabs, foot = null }) {
  const body = h("div", { class: "card-body" });
  let current = tabs.find(({ name }) => name === chosen.tab) ?? tabs[0];
  const buttons = tabs.map((tab) =>
    h("button", { type: "button", onclick: () => {
      chosen.tab = tab.name;
      select(tab);
    } }, tab.name),
  );
  /** @param {Tab | undefined} tab */
  function select(tab) {
    current = tab;
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(tabs[place] === tab)));
    fill(body, tab?.view());
    copy.hidden = !tab?.text();
  }
  const copy = h(
    "button",
    {
      type: "button",
      class: "button plain square",
      "aria-label": `Copy ${title.toLowerCase()}`,
      title: "Copy",
      onclick: () => context.copy(current?.text() ?? "", title),
    },
    icon("copy"),
  );
  select(current);
  return h(
    "section",
    { class: "card message-card", "aria-label": title },
    h(
      "header",
      null,
      h("h2", null, title),
      beside,
      h("span", { class: "spacer" }),
      buttons.length > 1 ? h("div", { class: "segments", role: "group", "aria-label": `${title} view` }, buttons) : null,
      copy,
    ),
    body,
    foot,
  );
}

/** Whether headers say that a body comes with them. @param {Record<string, string>} headers */
const announcesBody = (headers) => "transfer-encoding" in headers || Number(headers["content-length"] ?? 0) > 0;

/** Why there is no text of a request's body. @param {Detail} call */
function noBody({ body, body_url: bodyUrl, headers }) {
  if (body === null && bodyUrl) return "Not a text";
  // A call that is refused by its path or its key is answered before its body is read.
  return body === null && announcesBody(headers) ? "The body was not read" : "Without a body";
}

/**
 * What was sent.
 * @param {Context} context
 * @param {Chosen} chosen
 * @param {Detail} call
 * @param {Models | null} models
 */
export function requestCard(context, chosen, call, models) {
  const marks = marksOf(call, models);
  const { form, body } = call;
  const hidden = call.dropped.includes("body");
  /** @type {Tab} */
  const first = form
    ? { name: "Form", view: () => formView(context, call, form, marks), text: () => form.map((part) => `${part.name}: ${part.value ?? call.uploads[part.upload ?? -1]?.name ?? ""}\n`).join("") }
    : {
        name: "Body",
        view: () =>
          body
            ? bodyView("Request body", body, marks)
            : h("p", { class: "card-note" }, hidden ? "Not kept any more" : noBody(call)),
        text: () => body ?? "",
      };
  /** @type {Record<string, string>} */
  const query = call.query ? { query: call.query } : {};
  const missing = call.error?.param && call.outcome === "refused" && marks.has(call.error.param)
    && sentValue(call, call.error.param) === undefined && !form?.some((part) => part.name === call.error?.param)
    ? h("p", { class: "card-foot bad" }, `${call.error.param} was not sent`)
    : null;
  return card(context, chosen, {
    title: "Request",
    tabs: [
      first,
      { name: "Headers", view: () => headerView("Request headers", { ...query, ...call.headers }), text: () => headerText(call.headers) },
      ...(Object.keys(call.parameters).length
        ? [{ name: "Settled", view: () => settledView(call), text: () => JSON.stringify(call.parameters, null, 2) }]
        : []),
    ],
    foot: missing,
  });
}

/**
 * What was answered.
 * @param {Context} context
 * @param {Chosen} chosen
 * @param {Detail} call
 */
export function answerCard(context, chosen, call) {
  const { answer } = call;
  const isWaiting = call.outcome === "waiting";
  const nothing = isWaiting ? "Not answered yet" : call.dropped.includes("answer") ? "Not kept any more" : "Nothing was answered";
  const unseen = answer?.is_whole && answer.headers["content-length"] === "0" ? "Without a body" : "Not shown as text";
  const status = call.status === null ? null : h("span", { class: call.status >= 400 ? "bad" : "faint" }, String(call.status));
  return card(context, chosen, {
    title: "Answer",
    beside: status,
    tabs: [
      {
        name: "Body",
        view: () => (answer?.body ? bodyView("Answer body", answer.body) : h("p", { class: "card-note" }, answer ? unseen : nothing)),
        text: () => answer?.body ?? "",
      },
      ...(answer ? [{ name: "Headers", view: () => headerView("Answer headers", answer.headers), text: () => headerText(answer.headers) }] : []),
    ],
    foot: answer && !answer.is_whole && !isWaiting ? h("p", { class: "card-foot" }, "The answer ended here, before its end") : null,
  });
}
