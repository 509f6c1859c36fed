// What list and wall say of a call.

import { icon, h } from "./dom.js";
import { count, words } from "./format.js";

/** @import { Summary } from "./api.js" */

/** Formats that go without saying. */
const USUAL_FORMAT = "png";

/**
 * The size of the call's pictures in pixels; null where it is not known.
 * @param {Summary} call
 * @returns {[number, number] | null}
 */
export function dimensions(call) {
  const first = call.pictures[0];
  if (first) return [first.width, first.height];
  const match = /^(\d+)x(\d+)$/.exec(String(call.parameters.size ?? ""));
  return match ? [Number(match[1]), Number(match[2])] : null;
}

/**
 * Model, size, quality, format and tokens, in the order of their weight.
 * @param {Summary} call
 * @returns {string[]}
 */
export function facts(call) {
  const { parameters, pictures, usage } = call;
  const size = dimensions(call);
  const format = pictures[0]?.format ?? parameters.output_format;
  return [
    call.model,
    size && `${size[0]}×${size[1]}`,
    parameters.quality && String(parameters.quality),
    format && format !== USUAL_FORMAT ? String(format) : null,
    usage && `${count(usage.output_tokens)} tok`,
  ].filter((each) => typeof each === "string");
}

/**
 * The number of events that a stream will have.
 * @param {Summary} call
 */
function expectedEvents(call) {
  return (Number(call.parameters.n ?? 1) || 1) + (Number(call.parameters.partial_images ?? 0) || 0);
}

/**
 * The tags of a call: what it brought, and what the emulator did to it.
 * @param {Summary} call
 * @returns {HTMLElement[]}
 */
export function tags(call) {
  const inputs = call.uploads.filter((each) => each.field.startsWith("image")).length;
  const hasMask = call.uploads.some((each) => each.field === "mask");
  const all = [];
  if (hasMask) all.push(tag("", "mask", "mask"));
  else if (inputs) all.push(tag("", `${inputs} in`, "mask", `${inputs} input ${inputs === 1 ? "image" : "images"}`));
  if (call.outcome === "cut" && !call.event_count) all.push(tag("red", cutWords(call)));
  else if (call.outcome === "cut") all.push(tag("red", `cut at ${call.event_count}`, "wave", `cut after ${call.event_count} events`));
  else if (call.outcome === "failed") all.push(tag("red", call.event_count ? `failed at ${call.event_count}` : "failed", "wave"));
  else if (call.outcome === "gone") all.push(tag("red", "client left"));
  else if (call.outcome === "waiting" && call.event_count) all.push(tag("", `${call.event_count} of ${expectedEvents(call)}`, "wave", `${call.event_count} of ${expectedEvents(call)} events`));
  else if (call.event_count) all.push(tag("", String(call.event_count), "wave", `${call.event_count} events`));
  if (call.fault) all.push(tag("amber", words(call.fault), "fault"));
  if (call.recording) all.push(tag("", "recorded", "play", `answered by the recording ${call.recording}`));
  if (call.own_answer) all.push(tag("", "own", "picture", `answered by ${call.own_answer}`));
  if (call.notices.length && sentence(call) !== call.notices[0]) all.push(tag("amber", "notice", undefined, `notice: ${call.notices.join(" ")}`));
  if (call.violations.length) all.push(tag("amber", `${call.violations.length} forgiven`));
  if (call.retries) all.push(tag("", `retry ${call.retries}`, "retry"));
  return all;
}

/**
 * @param {"" | "amber" | "red"} colour
 * @param {string} text
 * @param {Parameters<typeof icon>[0]} [picture]
 * @param {string} [label] what a screen reader says
 */
function tag(colour, text, picture, label) {
  return h("span", { class: `tag ${colour}` }, picture && icon(picture, "small"),
    label ? [h("span", { "aria-hidden": "true" }, text), h("span", { class: "unseen" }, label)] : text);
}

/** Whether a call's end is trouble. @param {Summary} call */
export function isTrouble(call) {
  return call.outcome === "refused" || call.outcome === "failed" || (call.status ?? 0) >= 400;
}

/** What is wrong with a call, in a sentence: the API's, or else the emulator's notice. @param {Summary} call */
export function sentence(call) {
  return isTrouble(call) ? (call.error?.message ?? call.notices[0] ?? "") : "";
}

/** What there was of the answer of a call that was cut. @param {Summary} call */
function cutWords({ status }) {
  return status === null ? "cut before the answer" : "cut";
}

/** Whether the status says what is wrong. @param {Summary} call */
function isRefusal({ status }) {
  return status !== null && status >= 400;
}

/** A code of refusal, or how an answer that began well ended: `400`, `failed`. @param {Summary} call */
export function end(call) {
  return isRefusal(call) ? String(call.status) : call.outcome;
}

/** A red short name of a call without pictures: `400 invalid value`. @param {Summary} call */
export function refusalName(call) {
  if (call.outcome === "cut") return cutWords(call);
  if (!isRefusal(call)) return call.outcome;
  return [call.status, words(call.error?.code ?? call.error?.type ?? "")].filter(Boolean).join(" ");
}
