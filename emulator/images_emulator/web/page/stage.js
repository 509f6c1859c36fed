// The stage of a call: its picture large, with what it was made from and what came before it.

import { address, thumbnail } from "./api.js";
import { fill, h, icon, setText } from "./dom.js";
import * as format from "./format.js";
import { contentOf, expectedFrames, hasStage, MODE_NAMES } from "./stage_content.js";
import { slideFigure, image, maskFigure, maskOverlay, markupFigure, plainFigure } from "./stage_figures.js";
import { createTimeline } from "./timeline.js";

/** @import { Detail } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { Content, Mode } from "./stage_content.js" */
/** @import { Shown } from "./stage_figures.js" */

/** The longest that a stream plays, in milliseconds; a longer one plays faster. */
const MAX_PLAY_MS = 6000;

/** @type {Partial<Record<Mode, string>>} */
const MODE_KEYS = { before: "b", mask: "m" };

/** What is wrong with a stream that did not reach its end, in words for its figure. */
const TROUBLES = { cut: "Cut", failed: "Failed", gone: "The client left", refused: "Refused", answered: null, waiting: null };

/**
 * @param {Context} context
 * @param {object} actions
 * @param {(shown: Shown) => void} actions.compare marks the picture, or compares it with the marked one
 * @param {(shown: Shown) => boolean} actions.isMarked
 * @param {(view: Mode | null, picture: number) => void} actions.choose keeps the choice in the address
 */
export function createStage(context, actions) {
  const segments = h("div", { class: "segments", role: "group", "aria-label": "Show" });
  const words = h("span", { class: "stage-words" });
  const full = h("button", { type: "button", class: "button plain", title: "Full (o)", onclick: () => openFull() }, icon("external"), h("span", null, "Full"));
  const save = h("a", { class: "button plain", title: "Save (s)" }, icon("save"), h("span", null, "Save"));
  const compareWords = h("span", null, "Compare");
  const compare = h("button", { type: "button", class: "button plain stage-compare", title: "Mark, then compare two (v)", onclick: () => compareShown() }, icon("columns"), compareWords);
  const view = h("div", { class: "stage-view" });
  const strip = h("div", { class: "strip" });
  const timeline = createTimeline((place) => choose(content?.modes.includes("frames") ? "frames" : null, place));
  const element = h(
    "section",
    { class: "card stage", "aria-label": "Picture" },
    h("header", { class: "stage-bar" }, segments, words, h("div", { class: "stage-actions" }, full, save, compare)),
    view,
    timeline.element,
    strip,
  );

  /** @type {Detail | null} */
  let call = null;
  /** @type {Content | null} */
  let content = null;
  /** @type {Mode | null} */
  let mode = null;
  /** Place of the picture among those of the mode; null for the one to begin with. @type {number | null} */
  let place = null;
  /** @type {Shown | null} */
  let shown = null;
  /** What the view holds, so that it is not drawn again. */
  let drawn = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let playing;

  /** The pictures of a mode, through which the arrow keys go. @param {Mode | null} of @returns {Shown[]} */
  function picturesOf(of) {
    if (!content) return [];
    if (of === "frames" || of === "play") return (content.frames ?? []).map((each) => each.shown);
    if (of === "source") return content.sources.map((each) => each.shown);
    if (of === "mask" || of === "markup") return content.sources.slice(0, 1).map((each) => each.shown);
    return content.results.map((each) => each.shown);
  }

  function currentPlace() {
    const last = picturesOf(mode).length - 1;
    const initial = mode === "frames" || mode === "play" ? last : 0;
    return Math.max(0, Math.min(place ?? initial, last));
  }

  /** @param {Mode | null} next @param {number | null} nextPlace */
  function choose(next, nextPlace) {
    clearTimeout(playing);
    mode = next ?? mode;
    place = nextPlace;
    if (mode === "play") play();
    else {
      actions.choose(mode, currentPlace());
      draw();
    }
  }

  function play() {
    const frames = content?.frames ?? [];
    const end = frames.at(-1)?.event.ms ?? 0;
    const speed = Math.max(1, end / MAX_PLAY_MS);
    /** @param {number} next */
    const show = (next) => {
      place = next;
      draw();
      const now = frames[next], later = frames[next + 1];
      if (!now) return;
      if (later) playing = setTimeout(show, (later.event.ms - now.event.ms) / speed, next + 1);
      else playing = setTimeout(choose, 600, "frames", next);
    };
    playing = setTimeout(show, Math.min(frames[0]?.event.ms ?? 0, 1000) / speed, 0);
    place = 0;
    draw();
  }

  /** Names that say what is shown, behind the segments. */
  function wordsShown() {
    if (!call || !content) return "";
    const at = currentPlace();
    if (mode === "frames" || mode === "play") {
      const frame = content.frames?.[at];
      return frame ? `${frame.title}, +${format.duration(frame.event.ms)}` : "";
    }
    const picture = content.results[at]?.picture;
    if (mode === "result" && picture) {
      const bytes = picture.bytes === null ? "" : `, ${format.bytes(picture.bytes)}`;
      const number = content.results.length > 1 ? `${at + 1} of ${content.results.length}, ` : "";
      return `${number}${picture.width} × ${picture.height} ${picture.format.toUpperCase()}${bytes}`;
    }
    if (mode === "source" && content.sources.length > 1) return `${at + 1} of ${content.sources.length}`;
    return "";
  }

  function drawSegments() {
    const modes = content?.modes ?? [];
    const isChosen = (/** @type {Mode} */ each) => each === mode;
    if (segments.childElementCount !== modes.length || [...segments.children].some((button, at) => button.textContent !== MODE_NAMES[/** @type {Mode} */ (modes[at])]))
      fill(segments, modes.map((each) => h(
        "button",
        { type: "button", title: MODE_KEYS[each] ? `${MODE_NAMES[each]} (${MODE_KEYS[each]})` : null, onclick: () => choose(each, each === "frames" ? null : place) },
        MODE_NAMES[each],
      )));
    [...segments.children].forEach((button, at) => button.setAttribute("aria-pressed", String(isChosen(/** @type {Mode} */ (modes[at])))));
    segments.hidden = modes.length < 2;
  }

  /** The strip of sources, mask and results. */
  function drawStrip() {
    if (!content) return;
    const { sources, mask, markup, results, frames } = content;
    /** @type {{mode: Mode, at: number, title: string, size: [number, number] | null, bytes: number | null, picture: Node[]}[]} */
    const figures = [];
    /** @param {string | null} small @param {Shown} large */
    const picture = (small, large) => h("img", { src: small ? thumbnail(small, 480) : address(large.url), alt: "", decoding: "async" });
    sources.forEach(({ upload, shown: source, thumbnail: small }, at) =>
      figures.push({ mode: "source", at, title: source.alt, size: upload.pixels, bytes: upload.bytes, picture: [picture(small, source)] }));
    const [first] = sources;
    if (mask && first) {
      const overlay = maskOverlay(mask.shown.url);
      figures.push({ mode: "mask", at: 0, title: mask.shown.alt, size: mask.upload.pixels, bytes: mask.upload.bytes, picture: [picture(first.thumbnail, first.shown), overlay] });
    }
    if (markup && first) figures.push({ mode: "markup", at: 0, title: markup.shown.alt, size: markup.upload.pixels, bytes: markup.upload.bytes, picture: [picture(first.thumbnail, first.shown), h("div", { class: "layer" }, image(markup.shown))] });
    if (!frames) results.forEach(({ picture: each, shown: large }, at) =>
      figures.push({ mode: "result", at, title: results.length > 1 ? `Result ${at + 1}` : "Result", size: [each.width, each.height], bytes: each.bytes, picture: [picture(each.thumbnail, large)] }));
    strip.hidden = figures.length < 2 && !(frames && figures.length);
    fill(strip, strip.hidden ? null : figures.map((figure) => {
      const inner = h("span", { class: "strip-frame" }, figure.picture);
      if (figure.size) inner.style.aspectRatio = `${figure.size[0]} / ${figure.size[1]}`;
      if (figure.size && figure.size[0] / figure.size[1] < 112 / 84) inner.classList.add("tall");
      const isChosen = figure.mode === mode && figure.at === currentPlace();
      return h(
        "button",
        { type: "button", class: "figure", "aria-current": isChosen ? "true" : null, onclick: () => choose(figure.mode, figure.at) },
        h("span", { class: "figure-picture" }, inner),
        h("span", { class: "figure-title cut", dir: "auto" }, figure.title),
        h("span", { class: "figure-words" }, [figure.size && h("span", { class: "figure-bytes" }, `${figure.size[0]} × ${figure.size[1]}, `), figure.bytes !== null ? format.bytes(figure.bytes) : null]),
      );
    }));
  }

  function drawTimeline() {
    timeline.element.hidden = !content?.frames || (content.frames.length === 0 && call?.outcome !== "waiting" && !call?.stream_events.length);
    if (!call || !content?.frames || timeline.element.hidden) return;
    const isFlying = call.outcome === "waiting";
    timeline.update({
      frames: content.frames,
      events: call.stream_events,
      end: isFlying ? null : (call.duration_ms ?? call.stream_events.at(-1)?.ms ?? 0),
      expected: expectedFrames(call),
      trouble: TROUBLES[call.outcome],
      selected: mode === "frames" || mode === "play" ? currentPlace() : -1,
    });
  }

  function drawView() {
    if (!call || !content) return;
    const at = currentPlace();
    const source = content.sources[mode === "before" ? 0 : at]?.shown ?? null;
    const result = content.results[at]?.shown ?? content.results[0]?.shown ?? null;
    const isBlank = mode === null || picturesOf(mode).length === 0;
    shown = isBlank ? null : (picturesOf(mode)[at] ?? null);
    const key = isBlank ? `note ${content.note}` : `${mode} ${shown?.url} ${shown?.width} ${mode === "before" ? source?.url : ""}`;
    if (key === drawn) return;
    drawn = key;
    view.classList.toggle("low", content.frames !== null && (mode === "frames" || mode === "play"));
    if (isBlank) {
      const isFlying = call.outcome === "waiting";
      fill(view, h("div", { class: "stage-note" }, isFlying ? h("span", { class: "ring" }) : icon(call.dropped.length ? "archive" : "picture"), h("p", null, content.note ?? "")));
    } else if (mode === "before" && source && result) fill(view, slideFigure(source, result));
    else if (mode === "mask" && source && content.mask) fill(view, maskFigure(source, content.mask.shown.url));
    else if (mode === "markup" && source && content.markup) fill(view, markupFigure(source, content.markup.shown));
    else if (shown) fill(view, plainFigure(shown));
  }

  function draw() {
    drawSegments();
    drawView();
    drawTimeline();
    drawStrip();
    fill(words, h("span", null, wordsShown()));
    for (const action of [full, save, compare]) action.hidden = shown === null;
    drawMark();
    if (shown) {
      save.setAttribute("href", address(shown.url));
      save.setAttribute("download", shown.file);
    }
  }

  function drawMark() {
    const isMarked = shown !== null && actions.isMarked(shown);
    compare.setAttribute("aria-pressed", String(isMarked));
    setText(compareWords, isMarked ? "Marked" : "Compare");
  }

  function openFull() {
    const picture = shown;
    if (!picture) return false;
    const dialog = h("dialog", { class: "full", "aria-label": "Picture in full size", onclose: () => dialog.remove() });
    const close = h("button", { type: "button", class: "button square", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
    const size = picture.width && picture.height ? `${picture.width} × ${picture.height}` : "";
    dialog.append(h("header", null, h("h2", { class: "cut", dir: "auto" }, picture.alt), h("span", { class: "faint" }, size), h("span", { class: "spacer" }),
      h("a", { class: "button", href: address(picture.url), download: picture.file }, icon("save"), "Save"), close),
      h("div", { class: "full-view", tabindex: "0", role: "group", "aria-label": "Picture" }, h("div", { class: "chequered" }, image(picture))));
    document.body.append(dialog);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.showModal();
    close.focus();
    return true;
  }

  function compareShown() {
    if (!shown) return false;
    actions.compare(shown);
    drawMark();
    return true;
  }

  return {
    element,

    /**
     * Show another call, or the same one with more of it.
     * @param {Detail} next
     * @param {string | null} wantedMode of the address
     * @param {string | null} wantedPlace
     */
    update(next, wantedMode, wantedPlace) {
      const isOther = call?.id !== next.id;
      call = next;
      content = contentOf(next);
      element.hidden = !hasStage(next, content);
      if (isOther) {
        clearTimeout(playing);
        timeline.clear();
        drawn = "";
        mode = null;
        place = null;
      }
      const wanted = content.modes.find((each) => each === wantedMode && each !== "play");
      if (isOther && wanted) {
        mode = wanted;
        place = wantedPlace && /^\d+$/.test(wantedPlace) ? Number(wantedPlace) : null;
      }
      if (!mode || !content.modes.includes(mode)) mode = content.initial;
      draw();
    },

    /** Another picture of the mode. @param {1 | -1} by */
    step(by) {
      const length = picturesOf(mode).length;
      const next = currentPlace() + by;
      if (length < 2 || next < 0 || next >= length) return false;
      choose(mode === "play" ? "frames" : mode, next);
      return true;
    },

    /** @param {Mode} next */
    choose(next) {
      if (!content?.modes.includes(next)) return false;
      // Once more is back to the result.
      const back = content.modes.includes("result") ? "result" : "frames";
      choose(mode === next ? back : next, mode === next || next === "source" ? null : place);
      return true;
    },

    save() {
      if (!shown) return false;
      save.click();
      return true;
    },

    openFull,
    compare: compareShown,

    /** The call is closed. */
    close() {
      clearTimeout(playing);
      call = null;
      drawn = "";
      fill(view);
    },
  };
}
