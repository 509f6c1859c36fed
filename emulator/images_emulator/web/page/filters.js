// Which calls are shown. The page filters itself: it has the summaries.

import { title, words } from "./format.js";

/** @import { Summary } from "./api.js" */

/** @typedef {"status" | "path" | "model" | "fault" | "key" | "has"} FilterName */
/** @typedef {{name: FilterName, value: string}} Filter */

/** The names that the search takes before a colon, and the address before a `=`. @type {readonly FilterName[]} */
export const NAMES = ["status", "path", "model", "fault", "key", "has"];

/** Further names that the search takes: those of the menu and of the API. @type {Record<string, FilterName>} */
const ALIASES = { endpoint: "path", outcome: "status" };

/**
 * The filter that is called *word* in the search.
 * @param {string} word
 * @returns {FilterName | undefined}
 */
export function filterName(word) {
  const lower = word.toLowerCase();
  return NAMES.find((each) => each === lower) ?? (Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : undefined);
}

/** The values of `has`. @type {Record<string, (call: Summary) => boolean>} */
const HAS = {
  mask: (call) => call.uploads.some((each) => each.field === "mask"),
  inputs: (call) => call.uploads.some((each) => each.field.startsWith("image")),
  events: (call) => call.event_count > 0,
  violations: (call) => call.violations.length > 0,
  retry: (call) => call.retries > 0,
  fault: (call) => call.fault !== null,
  recording: (call) => call.recording !== null,
  own_answer: (call) => call.own_answer !== null,
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
  /** @type {string[]} */
  const texts = [];
  const rest = typed.replace(/(^|\s)([a-z]+):(?:"([^"]*)"|([^\s"]+))(?=(\s|$))/gi, (all, _start, word, quoted, bare, end) => {
    if (end === "" && !isDone) return all;
    // The text of the search is that of the prompt, too.
    if (word.toLowerCase() === "prompt") {
      texts.push(quoted ?? bare);
      return "";
    }
    const name = filterName(word);
    if (!name) return all;
    filters.push({ name, value: meant(name, quoted ?? bare, calls) });
    return "";
  });
  const words = texts.length ? [rest.trim(), ...texts].filter(Boolean).join(" ") : rest;
  return { filters, rest: filters.length ? words.trim() : words };
}

/**
 * What is wrong with filters that find nothing, a sentence each.
 * @param {Filters} filters
 * @returns {string[]}
 */
export function mistakes({ chosen, text }) {
  const sentences = [];
  for (const { name, value } of chosen) {
    if (value.includes("*")) continue;
    if (name === "status" && !/^[1-5](\d\d|xx)$/.test(value) && !OUTCOMES.includes(value)) {
      const parts = value.split(/[,|]/).filter(Boolean);
      sentences.push(parts.length > 1
        ? `A status is one value: ${parts.map((each) => `status:${each}`).join(" ")} finds either.`
        : `There is no status ${value}: it is a number as 429, a class as 4xx, or ${OUTCOMES.join(", ")}.`);
    }
    if (name === "has" && !Object.hasOwn(HAS, value)) sentences.push(missing(`has:${value}`, value, Object.keys(HAS), "has:"));
  }
  for (const [, word = ""] of text.matchAll(/(?:^|\s)([a-z]+):(?!\/\/)\S/gi))
    if (!filterName(word)) sentences.push(missing(`filter ${word}:`, word.toLowerCase(), NAMES, "", ":"));
  return sentences;
}

/**
 * @param {string} what is not there
 * @param {string} value
 * @param {readonly string[]} known
 * @param {string} [before] each of *known*
 * @param {string} [after] each of *known*
 */
function missing(what, value, known, before = "", after = "") {
  const near = known.find((each) => isNear(each, value));
  if (near) return `There is no ${what}; ${before}${near}${after} is probably meant.`;
  return `There is no ${what}; there are ${known.map((each) => `${before}${each}${after}`).join(", ")}.`;
}

/**
 * Whether one letter more, less or other, or two that have changed places, make *b* of *a*.
 * @param {string} a
 * @param {string} b
 */
function isNear(a, b) {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  const restA = a.slice(start), restB = b.slice(start);
  return restA.slice(1) === restB.slice(1) || restA.slice(1) === restB || restA === restB.slice(1)
    || (restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0]);
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
