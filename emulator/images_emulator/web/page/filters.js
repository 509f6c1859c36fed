// Which calls are shown. The page filters itself: it has the summaries.

import { title, words } from "./format.js";

/** @import { Summary } from "./api.js" */

/** @typedef {"status" | "path" | "model" | "fault" | "key" | "has"} FilterName */
/** @typedef {{name: FilterName, value: string}} Filter */

/** The names that the search takes before a colon, and the address before a `=`. @type {readonly FilterName[]} */
export const NAMES = ["status", "path", "model", "fault", "key", "has"];

/** The values of `has`. @type {Record<string, (call: Summary) => boolean>} */
const HAS = {
  mask: (call) => call.uploads.some((each) => each.field === "mask"),
  inputs: (call) => call.uploads.some((each) => each.field !== "mask"),
  events: (call) => call.events > 0,
  violations: (call) => call.violations.length > 0,
  retry: (call) => call.retries > 0,
  fault: (call) => call.fault !== null,
  picture: (call) => call.pictures.length > 0,
};

/** The outcomes, which `status` takes beside codes and classes as 4xx. */
export const OUTCOMES = ["answered", "refused", "cut", "failed", "gone", "waiting"];

/**
 * The last part of an endpoint's path, whichever service it is of: `edits`.
 * @param {string} path
 */
export function endpoint(path) {
  const image = /\/images\/(generations|edits|variations)$/.exec(path);
  return image?.[1] ?? path.replace(/^\/v1\//, "");
}

/**
 * The values that a call has for a filter.
 * @param {FilterName} name
 * @param {Summary} call
 * @returns {string[]}
 */
export function values(name, call) {
  switch (name) {
    case "status": return call.status === null ? [call.outcome] : [call.outcome, String(call.status)];
    case "path": return [endpoint(call.path), call.path];
    case "has": return Object.keys(HAS).filter((each) => HAS[each]?.(call));
    default: return call[name] === null ? [] : [call[name]];
  }
}

/**
 * A test of one value. A `*` stands for anything, `4xx` for a class of status.
 * @param {Filter} filter
 * @returns {(value: string) => boolean}
 */
function matcher({ name, value }) {
  const wanted = value.toLowerCase();
  if (name === "status" && /^[1-5]xx$/.test(wanted)) return (each) => each.length === 3 && each[0] === wanted[0] && each >= "100";
  if (!wanted.includes("*")) return (each) => each.toLowerCase() === wanted;
  const pattern = wanted.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&")).join(".*");
  const expression = new RegExp(`^${pattern}$`, "s");
  return (each) => expression.test(each.toLowerCase());
}

/** Filters and a text. Filters of one name are "or", names and the text are "and". */
export class Filters {
  /**
   * @param {Filter[]} chosen
   * @param {string} text
   */
  constructor(chosen = [], text = "") {
    this.chosen = chosen;
    this.text = text;
  }

  /** @param {URLSearchParams} params */
  static read(params) {
    const chosen = NAMES.flatMap((name) => params.getAll(name).map((value) => ({ name, value })));
    return new Filters(chosen, params.get("text") ?? "");
  }

  /**
   * The address's *params* with these filters in place of theirs.
   * @param {URLSearchParams} params
   */
  write(params) {
    const others = [...params].filter(([name]) => name !== "text" && !NAMES.includes(/** @type {FilterName} */ (name)));
    const next = new URLSearchParams(others);
    for (const { name, value } of this.chosen) next.append(name, value);
    if (this.text) next.set("text", this.text);
    return next;
  }

  get isEmpty() {
    return !this.chosen.length && !this.text;
  }

  /**
   * @param {FilterName} name
   * @param {string} value
   */
  has(name, value) {
    return this.chosen.some((each) => each.name === name && each.value === value);
  }

  /**
   * With this filter, or without it where it is there.
   * @param {FilterName} name
   * @param {string} value
   */
  toggle(name, value) {
    const rest = this.chosen.filter((each) => each.name !== name || each.value !== value);
    return new Filters(rest.length < this.chosen.length ? rest : [...this.chosen, { name, value }], this.text);
  }

  /** @param {string} text */
  withText(text) {
    return new Filters(this.chosen, text);
  }

  /** A function that says whether a call is shown. @returns {(call: Summary) => boolean} */
  test() {
    /** @type {Map<FilterName, ((value: string) => boolean)[]>} */
    const matchers = new Map();
    for (const filter of this.chosen) matchers.set(filter.name, [...(matchers.get(filter.name) ?? []), matcher(filter)]);
    const tests = [...matchers], parts = this.text.toLowerCase().split(/\s+/).filter(Boolean);
    return (call) =>
      tests.every(([name, each]) => values(name, call).some((value) => each.some((test) => test(value)))) &&
      (!parts.length || parts.every((part) => searched(call).includes(part)));
  }
}

/** @type {WeakMap<Summary, string>} */
const texts = new WeakMap();

/**
 * What the text of the search is looked for in.
 * @param {Summary} call
 */
function searched(call) {
  let text = texts.get(call);
  if (text === undefined) {
    text = [title(call), call.error?.message, call.model, call.id, call.fault && words(call.fault)].join("\n").toLowerCase();
    texts.set(call, text);
  }
  return text;
}

/**
 * What stands in the search field as filters and the rest. Of a value that no call has, everything
 * that contains it is meant.
 * @param {string} typed
 * @param {readonly Summary[]} calls
 * @param {boolean} isDone whether the last word is whole
 * @returns {{filters: Filter[], rest: string}}
 */
export function parseSearch(typed, calls, isDone) {
  /** @type {Filter[]} */
  const filters = [];
  const rest = typed.replace(/(^|\s)([a-z]+):(?:"([^"]*)"|([^\s"]+))(?=(\s|$))/gi, (all, _start, word, quoted, bare, end) => {
    const name = /** @type {FilterName} */ (word.toLowerCase());
    if (!NAMES.includes(name) || (end === "" && !isDone)) return all;
    filters.push({ name, value: meant(name, quoted ?? bare, calls) });
    return "";
  });
  return { filters, rest: filters.length ? rest.trim() : rest };
}

/**
 * @param {FilterName} name
 * @param {string} value
 * @param {readonly Summary[]} calls
 */
function meant(name, value, calls) {
  if (value.includes("*") || name === "status" || name === "has") return value.toLowerCase();
  const lower = value.toLowerCase();
  const known = calls.some((call) => values(name, call).some((each) => each.toLowerCase() === lower));
  return known ? value : `*${value}*`;
}

/**
 * How many calls have each value of a filter, the most frequent first.
 * @param {FilterName} name
 * @param {readonly Summary[]} calls
 * @returns {[string, number][]}
 */
export function frequencies(name, calls) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const call of calls) {
    const all = values(name, call);
    for (const value of name === "path" ? all.slice(0, 1) : all) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
