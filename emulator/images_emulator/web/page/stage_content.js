// What there is to see of a call: its sources, mask and results, and the frames of a stream.

import * as format from "./format.js";

/** @import { Detail, Picture, Upload } from "./api.js" */
/** @import { Shown } from "./stage_figures.js" */
/** @import { Frame } from "./timeline.js" */

/** @typedef {"result" | "before" | "mask" | "markup" | "source" | "frames" | "play"} Mode */

/** @type {Record<Mode, string>} */
export const MODE_NAMES = {
  frames: "Frames", play: "Play", result: "Result", before: "Before / after", mask: "Mask",
  markup: "Markup", source: "Source",
};

/**
 * An upload that can be shown.
 * @typedef {object} Source
 * @property {Upload} upload
 * @property {Shown} shown
 * @property {string | null} thumbnail
 */

/**
 * @typedef {object} Content
 * @property {Mode[]} modes in the order of their buttons
 * @property {Mode | null} initial the mode to begin with
 * @property {Source[]} sources
 * @property {Source | null} mask
 * @property {Source | null} markup
 * @property {{picture: Picture, shown: Shown}[]} results
 * @property {Frame[] | null} frames null where it is no stream
 * @property {string | null} note a sentence in place of a picture
 */

const MAX_NAME_CHARS = 48;

/**
 * The name of a picture's file: the words of its prompt.
 * @param {Detail} call
 * @param {string} suffix `-2`
 * @param {string} extension
 */
function fileName(call, suffix, extension) {
  const words = format.title(call).toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  let name = "";
  for (const word of words) {
    if (name.length + word.length >= MAX_NAME_CHARS) break;
    name += `${name && "-"}${word}`;
  }
  return `${name || call.id}${suffix}.${extension}`;
}

/** @param {string} path */
const isEdit = (path) => /\/(edits|variations)$/.test(path);

/** @param {string} path */
export const drawsPictures = (path) => /\/images\/(generations|edits|variations)$/.test(path);

/** The format of a call's pictures. @param {Detail} call */
const formatOf = (call) => call.pictures[0]?.format ?? String(call.parameters.output_format ?? "png");

/** @param {Detail} call @param {Upload} upload @param {number} place @returns {Source[]} */
function sourceOf(call, upload, place) {
  if (!upload.url) return [];
  const [width, height] = upload.pixels ?? [null, null];
  const name = upload.name || upload.field;
  const shown = { url: upload.url, width, height, alt: name, file: name.split(/[\\/]/).at(-1) || `${call.id}-${upload.field}`, place: `source-${place}` };
  return [{ upload, shown, thumbnail: upload.thumbnail }];
}

/** The size of a call's pictures in pixels. @param {Detail} call @returns {[number | null, number | null]} */
function sizeOf(call) {
  const match = /^(\d+)x(\d+)$/.exec(String(call.parameters.size ?? ""));
  const picture = call.pictures[0];
  if (picture) return [picture.width, picture.height];
  return match ? [Number(match[1]), Number(match[2])] : [null, null];
}

/** Whether the answer is a stream. @param {Detail} call */
export const isStream = (call) => call.parameters.stream === true || call.parameters.stream === "true" || call.stream_events.length > 0;

/** The number of pictures that a whole stream has. @param {Detail} call */
export const expectedFrames = (call) => (Number(call.parameters.partial_images) || 0) + (Number(call.parameters.n) || 1);

/**
 * The events of a stream that have a picture.
 * @param {Detail} call
 * @returns {Frame[]}
 */
function framesOf(call) {
  const [width, height] = sizeOf(call);
  /** @type {Frame[]} */
  const frames = [];
  let partials = 0;
  let completed = 0;
  for (const event of call.stream_events) {
    if (event.partial) {
      partials += 1;
      const title = `Partial ${partials}`;
      frames.push({
        title, event, thumbnail: event.thumbnail,
        shown: { url: event.partial, width, height, alt: `${title} of ${format.title(call)}`, file: fileName(call, `-partial-${partials}`, formatOf(call)), place: `partial-${partials - 1}` },
      });
    } else if (event.type.endsWith(".completed")) {
      const picture = call.pictures[completed];
      completed += 1;
      // Without its picture: it is drawn when the call has ended.
      if (picture?.url) frames.push({ title: completed > 1 ? `Completed ${completed}` : "Completed", event, thumbnail: picture.thumbnail, shown: result(call, picture, picture.url) });
    }
  }
  return frames;
}

/** @param {Detail} call @param {Picture} picture @param {string} url @returns {Shown} */
function result(call, picture, url) {
  const suffix = call.pictures.length > 1 ? `-${picture.index + 1}` : "";
  return {
    url, width: picture.width, height: picture.height, alt: format.title(call),
    file: fileName(call, suffix, picture.format === "jpeg" ? "jpg" : picture.format),
    place: String(picture.index),
  };
}

/** @param {Detail} call @param {Content} content */
function note(call, { frames, results }) {
  if (call.dropped.includes("pictures")) return "Not kept any more";
  if (call.outcome === "waiting") return frames ? "Waiting for the first picture" : "In flight";
  if (results.length || frames?.length) return null;
  if (call.outcome === "cut") return "No picture: the answer was cut before its end";
  if (call.outcome === "gone") return "No picture: the client left first";
  if (call.outcome === "failed") return "No picture: the stream ended with an error";
  return call.outcome === "answered" ? "No picture was in the answer" : null;
}

/**
 * @param {Detail} call
 * @returns {Content}
 */
export function contentOf(call) {
  const sources = call.uploads.filter(({ field }) => /^images?(\[|$)/.test(field)).flatMap((upload, place) => sourceOf(call, upload, place));
  const [mask = null] = call.uploads.filter(({ field }) => field === "mask").flatMap((upload, place) => sourceOf(call, upload, place));
  const [markup = null] = call.uploads.filter(({ field }) => field === "markup").flatMap((upload, place) => sourceOf(call, upload, place));
  const results = call.pictures.flatMap((picture) => (picture.url ? [{ picture, shown: result(call, picture, picture.url) }] : []));
  const frames = isStream(call) && call.status !== null && call.status < 400 ? framesOf(call) : isStream(call) && call.outcome === "waiting" ? framesOf(call) : null;
  /** @type {Content} */
  const content = { modes: [], initial: null, sources, mask, markup, results, frames, note: null };
  const { modes } = content;
  if (frames) {
    if (frames.length) modes.push("frames");
    if (frames.length > 1 && call.outcome !== "waiting") modes.push("play");
  } else if (results.length) modes.push("result");
  if (sources.length && isEdit(call.path)) {
    if (results.length) modes.push("before");
    if (mask) modes.push("mask");
    if (markup) modes.push("markup");
    modes.push("source");
  }
  content.note = note(call, content);
  content.initial = mask && results.length && !frames ? "before" : (modes[0] ?? null);
  // Of a refused call the mask may be what is wrong.
  if (mask && !results.length && !frames) content.initial = "mask";
  return content;
}

/** Whether there is anything for a stage. @param {Detail} call @param {Content} content */
export const hasStage = (call, content) => content.modes.length > 0 || (content.note !== null && drawsPictures(call.path));

/**
 * A picture of a call by its place; undefined where it has none of that place.
 * @param {Detail} call
 * @param {string} place
 */
export function pictureAt(call, place) {
  const { results, frames, sources } = contentOf(call);
  return [...results, ...(frames ?? []), ...sources].map(({ shown }) => shown).find((shown) => shown.place === place);
}
