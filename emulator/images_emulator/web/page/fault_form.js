// The form for a fault of one's own, made from the faults that the emulator lists.

import { ROOT } from "./api.js";
import { fill, h, icon } from "./dom.js";
import * as format from "./format.js";
import { errorPlace, newId } from "./panel_controls.js";

/** @import { FaultField, Faults, Scenario } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { Child } from "./dom.js" */

/** @typedef {HTMLInputElement | HTMLSelectElement} Control */

/**
 * An input with its label, and how its value is read.
 * @typedef {object} Entry
 * @property {HTMLElement} element
 * @property {Control} control
 * @property {() => unknown} value undefined where it is as by default
 */

/** What a step asks of a call and how often; the fields of a fault come before. */
const MATCH_FIELDS = /** @type {const} */ ({
  model: { label: "model", placeholder: "any, * allowed" },
  prompt: { label: "prompt has", placeholder: "anything" },
  path: { label: "path", placeholder: "any, * allowed" },
  api_key: { label: "key", placeholder: "any" },
});

/**
 * A control in its label, with a place for what is wrong with it.
 * @param {string} label
 * @param {Control} control
 * @param {string} [hint]
 */
function field(label, control, hint) {
  const id = newId("problem");
  const problem = h("span", { class: "bad", id, hidden: true });
  control.setAttribute("aria-describedby", id);
  if (hint) control.title = hint;
  control.id = newId("field");
  const element = h("div", { class: "field" }, h("label", { class: "cut", for: control.id, title: hint }, label), control, problem);
  control.addEventListener("input", () => mark(control, ""));
  return element;
}

/** Show what is wrong with a control, or nothing. @param {Control} control @param {string} text */
function mark(control, text) {
  const problem = control.parentElement?.querySelector(".bad");
  if (!(problem instanceof HTMLElement)) return;
  fill(problem, text);
  problem.hidden = text === "";
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/** @param {string} label @param {import("./dom.js").Props} props @param {string} [hint] @returns {Entry} */
function numberEntry(label, props, hint) {
  const control = h("input", { type: "number", class: "input", inputmode: "decimal", ...props });
  return { element: field(label, control, hint), control, value: () => (control.value === "" ? undefined : control.valueAsNumber) };
}

/** @param {string} label @param {import("./dom.js").Props} props @param {string} [hint] @returns {Entry} */
function textEntry(label, props, hint) {
  const control = h("input", { type: "text", class: "input", autocomplete: "off", spellcheck: "false", ...props });
  return { element: field(label, control, hint), control, value: () => control.value || undefined };
}

/**
 * The control for one setting of a fault, by its type and bounds.
 * @param {FaultField} setting
 * @returns {Entry}
 */
function settingEntry({ name, type, default: initial, minimum, maximum, choices, summary }) {
  const label = format.words(name);
  if (type === "boolean" || choices) {
    /** @type {[string, unknown][]} */
    const options = type === "boolean" ? [["no", false], ["yes", true]] : (choices ?? []).map((each) => [String(each), each]);
    if (initial === null) options.unshift(["as it comes", undefined]);
    const control = h("select", { class: "select" }, options.map(([text]) => h("option", null, text)));
    control.selectedIndex = Math.max(0, options.findIndex(([, value]) => value === (initial ?? undefined)));
    return { element: field(label, control, summary), control, value: () => options[control.selectedIndex]?.[1] };
  }
  if (type === "integer" || type === "number") {
    const step = type === "integer" ? 1 : "any";
    return numberEntry(label, { min: minimum, max: maximum, step, value: initial === null ? "" : String(initial), placeholder: initial === null ? "not set" : null }, summary);
  }
  if (Array.isArray(initial) || type.startsWith("array")) {
    const entry = textEntry(label, { value: Array.isArray(initial) ? initial.join(", ") : "" }, summary);
    return { ...entry, value: () => entry.control.value.split(",").map((each) => each.trim()).filter(Boolean) };
  }
  return textEntry(label, { value: initial === null ? "" : String(initial), placeholder: initial === null ? "as it comes" : null }, summary);
}

/** @param {unknown} one @param {unknown} other */
const isEqual = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** A word for a POSIX shell. @param {string} word */
const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/**
 * @param {Context} context
 * @param {(step: unknown) => Promise<Scenario>} inject
 */
export function createFaultForm(context, inject) {
  const error = errorPlace();
  const select = h("select", { class: "select", onchange: () => drawSettings() });
  const settings = h("div", { class: "form-grid three" });
  const more = h("details", { class: "more" }, h("summary", null, "Settings of the error"));
  const moreSettings = h("div", { class: "form-grid" });
  more.append(moreSettings);
  const models = h("datalist", { id: newId("models") });
  const match = Object.fromEntries(
    Object.entries(MATCH_FIELDS).map(([name, { label, placeholder }]) => [name, textEntry(label, { placeholder, list: name === "model" ? models.id : null })]),
  );
  const retry = numberEntry("retry", { min: 0, step: 1, placeholder: "any" }, "What the SDK says in x-stainless-retry-count");
  const times = numberEntry("times", { min: 1, step: 1, value: "1", placeholder: "always" }, "How many calls meet it; empty: all");
  const after = numberEntry("lets pass first", { min: 0, step: 1, value: "0" }, "Calls that match and pass before the first meets it");
  const probability = numberEntry("probability", { min: 0, max: 1, step: "any", value: "1" });
  const element = h(
    "form",
    { class: "fault-form", id: newId("fault-form"), novalidate: true, "aria-label": "Custom fault", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
    field("Fault", select),
    settings, more,
    h("div", { class: "form-grid" }, Object.values(match).map((each) => each.element)),
    h("div", { class: "form-grid three" }, retry.element, after.element, probability.element),
    models,
    h("button", { type: "submit", class: "button primary full-width" }, icon("fault"), "Inject"),
    error.element,
    h("button", { type: "button", class: "button plain full-width", onclick: () => copyCommand() }, icon("copy"), "Copy as curl"),
  );

  /** @type {Faults | null} */
  let faults = null;
  /** The chosen fault's settings. @type {{name: string, initial: unknown, entry: Entry}[]} */
  let entries = [];

  /** The name of the error that is chosen; empty for a fault. */
  const errorName = () => (select.value.startsWith("error:") ? select.value.slice("error:".length) : "");

  function drawSettings() {
    const error = errorName();
    const kind = faults?.faults.find((each) => each.kind === (error ? "error" : select.value));
    entries = (kind?.fields ?? [])
      .filter(({ name }) => !(error && name === "name"))
      .map((each) => ({ name: each.name, initial: each.default, entry: settingEntry(each) }));
    const elements = entries.map(({ entry }) => entry.element);
    // An error by its name needs none of them.
    fill(settings, error ? null : elements, times.element);
    fill(moreSettings, error ? elements : null);
    more.hidden = !error;
  }

  /** The step as the form has it. */
  function step() {
    /** @type {Record<string, unknown>} */
    const fault = errorName() ? { kind: "error", name: errorName() } : { kind: select.value };
    for (const { name, initial, entry } of entries) {
      const value = entry.value();
      if (value !== undefined && !isEqual(value, initial)) fault[name] = value;
    }
    const conditions = Object.entries({ ...match, retry_count: retry }).flatMap(([name, entry]) => {
      const value = entry.value();
      return value === undefined ? [] : [[name, value]];
    });
    /** @type {Record<string, unknown>} */
    const document = { fault, times: times.value() ?? null };
    if (conditions.length) document.match = Object.fromEntries(conditions);
    if (after.value()) document.after = after.value();
    if (probability.value() !== undefined && probability.value() !== 1) document.probability = probability.value();
    return document;
  }

  /** Whether all controls have values that their types and bounds allow; the first that has not gets the focus. */
  function isValid() {
    const controls = [...element.querySelectorAll("input")];
    for (const control of controls) mark(control, control.validationMessage);
    const wrong = controls.find((control) => !control.validity.valid);
    if (wrong && more.contains(wrong)) more.open = true;
    wrong?.focus();
    return !wrong;
  }

  async function submit() {
    if (!isValid()) return;
    await error.run(async () => {
      await inject(step());
      context.toast("Injected");
    });
  }

  function copyCommand() {
    const token = context.state.settings?.admin_token ? ' -H "authorization: Bearer $IMAGES_EMULATOR_ADMIN_TOKEN"' : "";
    return context.copy(`curl -X POST ${quoted(`${ROOT}inject`)}${token} -H 'content-type: application/json' --data ${quoted(JSON.stringify(step()))}`, "as curl");
  }

  async function load() {
    const [list, table] = await Promise.all([context.api.faults(), context.api.models()]);
    faults = list;
    fill(models, Object.keys(table).map((name) => h("option", { value: name })));
    /** @type {Child} */
    const kinds = list.faults.filter(({ kind }) => kind !== "error").map(({ kind, summary }) => h("option", { value: kind, title: summary }, `${kind}: ${firstClause(summary)}`));
    const errors = list.errors.map(({ name, status }) => h("option", { value: `error:${name}` }, `${name} (${status})`));
    const own = list.faults.find(({ kind }) => kind === "error");
    fill(
      select,
      h("optgroup", { label: "Faults" }, kinds),
      h("optgroup", { label: "Errors" }, errors, own ? h("option", { value: "error", title: own.summary }, "error of one's own") : null),
    );
    drawSettings();
  }

  return {
    element,
    /** It is shown: load what it offers, and give the focus to it. */
    async open() {
      if (!faults) await error.run(load);
      element.scrollIntoView({ block: "nearest" });
      select.focus();
    },
  };
}

/**
 * The beginning of a summary, short enough for an option: "closes the connection in the middle of a stream".
 * @param {string} summary
 */
function firstClause(summary) {
  const clause = summary.split(/[.,:;]/, 1)[0] ?? summary;
  return clause.charAt(0).toLowerCase() + clause.slice(1).replaceAll("`", "");
}
