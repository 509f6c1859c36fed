// Steps of the scenario in words.

import * as format from "./format.js";

/** @import { Step } from "./api.js" */

/** The paths of an operation's calls under any prefix, with what it is called. @type {Readonly<Record<string, string>>} */
export const OPERATIONS = {
  "*/images/generations": "generations",
  "*/images/edits": "edits",
  "*/images/variations": "variations",
};

/** @type {Record<string, (value: any) => string>} */
const MATCH_WORDS = {
  model: (value) => `model is ${value}`,
  path: (value) => OPERATIONS[value] ?? `path is ${value}`,
  prompt: (value) => `prompt has ${value}`,
  api_key: (value) => `key is ${value}`,
  retry_count: (value) => `retry ${value}`,
};

/** What a step is called: its error, its fault, or its answer. @param {Step} step */
export function stepName({ name, title, fault }) {
  if (fault === null) return title.slice(name.length + 2, -1);
  return format.words(fault.kind === "error" && fault.name ? String(fault.name) : fault.kind);
}

/** Conditions and settings of a step, in words. @param {Step} step */
export function stepWords({ fault, match, after, probability }) {
  const conditions = Object.entries(match).map(([name, value]) => MATCH_WORDS[name]?.(value) ?? `${format.words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  if (after > 0) conditions.push(`lets ${after} pass`);
  if (probability < 1) conditions.push(`${format.count(Math.round(probability * 1000) / 10)} % of calls`);
  const settings = Object.entries(fault ?? {})
    .filter(([name]) => name !== "kind" && !(name === "name" && fault?.kind === "error"))
    .map(([name, value]) => (value === true ? format.words(name) : `${format.words(name)} ${Array.isArray(value) ? value.join(" ") : value}`));
  return [...conditions, settings.join(", ")].filter(Boolean).join(" · ") || "any call";
}

/** How many calls have met a step. @param {Step} step */
export function metWords({ times, met }) {
  return times === null ? `${met} met` : `${met} of ${times}`;
}
