// The view of one call: what was asked, its pictures, what was sent and what was answered.

import { operationOf } from "./answer_dialog.js";
import { facts } from "./call_facts.js";
import { createCompare } from "./compare.js";
import { fill, h, icon } from "./dom.js";
import { downloadedPicture, downloads, hostedPaths } from "./downloads.js";
import * as format from "./format.js";
import { answerCard, requestCard } from "./message_cards.js";
import { nearMisses } from "./near_misses.js";
import { noticeCard, refusalCard } from "./refusal.js";
import { createStage } from "./stage.js";
import { createStreamTable } from "./stream_table.js";

/** @import { Detail, StreamEvent, Summary } from "./api.js" */
/** @import { CallView, Context, KeyBinding, MenuItem } from "./context.js" */
/** @import { Models } from "./explain.js" */

/** What a call's status says that its outcome adds to. @type {Partial<Record<Summary["outcome"], string>>} */
const OUTCOME_WORDS = { cut: "cut", failed: "failed", gone: "client left", waiting: "in flight" };

/**
 * @param {Context} context
 * @returns {CallView}
 */
export function createCallView(context) {
  const { api, calls } = context;

  const closeButton = h("button", { type: "button", class: "button plain square call-close", "aria-label": "Close the call", title: "Close (Esc)", onclick: () => context.select(null) }, icon("close"), icon("back"));
  const newer = h("button", { type: "button", class: "button plain square", "aria-label": "Newer call", title: "Newer (k)", onclick: () => go("newer") }, icon("up"));
  const older = h("button", { type: "button", class: "button plain square", "aria-label": "Older call", title: "Older (j)", onclick: () => go("older") }, icon("down"));
  const idButton = h("button", { type: "button", class: "call-id mono", title: "Copy the request id", onclick: () => call && context.copy(call.id, "the request id") });
  const copyButton = h("button", { type: "button", class: "button", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => openCopyMenu() }, icon("copy"), "Copy as", icon("down"));
  const answerButton = h("button", { type: "button", class: "button call-answer", title: "Answer such calls with a picture (a)", onclick: () => answerWith() }, icon("picture"), h("span", null, "Answer with…"));
  const title = h("h1", { class: "call-title", dir: "auto", tabindex: -1 });
  const line = h("p", { class: "call-line" });
  const head = h(
    "header",
    { class: "call-head" },
    h("div", { class: "call-bar" }, closeButton, h("span", { class: "call-neighbours" }, newer, older), idButton, h("span", { class: "spacer" }), answerButton, copyButton),
    title,
    line,
  );
  const stage = createStage(context, {
    choose: (view, picture) => context.navigate({ view, picture: String(picture) }, { replace: true }),
    compare: (shown) => mark(shown.place),
    isMarked: (shown) => marked !== null && marked === `${call?.id}/${shown.place}`,
  });
  const streamTable = createStreamTable(context);
  const noticePlace = h("div", { class: "place" });
  const refusalPlace = h("div", { class: "place" });
  const factsPlace = h("aside", { class: "facts-place", "aria-label": "Facts" });
  const messages = h("div", { class: "messages" });
  const requestPlace = h("div", { class: "place" });
  const answerPlace = h("div", { class: "place" });
  const downloadPlace = h("div", { class: "place" });
  const missPlace = h("div", { class: "place" });
  const top = h("div", { class: "call-top" }, stage.element, factsPlace);
  messages.append(requestPlace, answerPlace);
  const body = h("div", { class: "call-body" }, refusalPlace, noticePlace, top, streamTable.element, messages, downloadPlace, missPlace);
  const one = h("article", { class: "call", "aria-label": "Call" }, head, body);
  const compare = createCompare(context);
  const isComparing = () => compare.element.isConnected;
  const element = h("div", { class: "call-view" }, one);

  /** The id that is shown or on its way. @type {string | null} */
  let id = null;
  /** @type {Detail | null} */
  let call = null;
  /** @type {Models | null} */
  let models = null;
  /** A picture that waits for another to be compared with: `req_…/0`. @type {string | null} */
  let marked = null;
  let address = new URLSearchParams();
  let isLoading = false;
  let isStale = false;
  /** Whether the list is another than the neighbours were drawn for. */
  let isMoved = false;
  /** Events that came while the call was asked for. @type {StreamEvent[]} */
  let early = [];

  /** @param {"newer" | "older"} way */
  function go(way) {
    const next = id && context.neighbours(id)[way];
    if (next) context.select(next);
  }

  /** @param {string} place */
  function mark(place) {
    const picture = `${id}/${place}`;
    // A reset may have taken its call.
    if (marked !== null && !calls.get(marked.replace(/\/.*/, ""))) marked = null;
    if (marked === null) {
      marked = picture;
      context.toast("Marked. Choose another picture, and compare.");
    } else if (marked === picture) marked = null;
    else {
      const pair = `${marked},${picture}`;
      marked = null;
      context.navigate({ compare: pair });
    }
  }

  /** @param {"curl" | "python" | "javascript" | "pytest"} language @param {string} words */
  function copyCode(language, words) {
    if (!id) return false;
    context.copy(api.code(id, language), words);
    return true;
  }

  function openCopyMenu() {
    if (!call) return false;
    const { id: shownId, body, body_url: bodyUrl } = call;
    /** @type {MenuItem[]} */
    const items = [
      { label: "curl", key: "c", run: () => copyCode("curl", "as curl") },
      { label: "Python", run: () => copyCode("python", "as Python") },
      { label: "JavaScript", run: () => copyCode("javascript", "as JavaScript") },
      { label: "pytest test", run: () => copyCode("pytest", "as a pytest test") },
    ];
    if (body !== null || bodyUrl) items.push({ label: "Request body", run: () => context.copy(body ?? api.text(`requests/${encodeURIComponent(shownId)}/body`), "the request body") });
    items.push({ label: "Request id", run: () => context.copy(shownId, "the request id") });
    context.menu(copyButton, items);
    return true;
  }

  /** Ask for a picture that answers calls like this one. */
  function answerWith() {
    const summary = id && (calls.get(id) ?? call);
    if (!summary || !operationOf(summary)) return false;
    context.answerWith(summary);
    return true;
  }

  /** @param {Summary} summary */
  function drawHead(summary) {
    answerButton.hidden = !operationOf(summary);
    fill(idButton, format.shortId(summary.id));
    fill(title, format.title(summary));
    title.title = format.title(summary);
    const outcome = OUTCOME_WORDS[summary.outcome];
    const isBad = (summary.status ?? 0) >= 400 || (outcome && summary.outcome !== "waiting");
    const status = [summary.status, outcome].filter(Boolean).join(", ");
    fill(
      line,
      h("span", { class: isBad ? "call-status bad" : "call-status" }, status),
      h("span", null, `${summary.method} ${summary.path}`),
      summary.model && h("span", null, summary.model),
      h("time", { datetime: summary.time }, format.time(summary.time)),
      summary.duration_ms !== null && h("span", null, format.duration(summary.duration_ms)),
      summary.kind === "download" && h("span", null, "download"),
    );
    drawNeighbours();
  }

  function drawNeighbours() {
    isMoved = false;
    if (!id) return;
    const { newer: hasNewer, older: hasOlder } = context.neighbours(id);
    newer.disabled = !hasNewer;
    older.disabled = !hasOlder;
  }

  /** @type {{tab: string | null}} */
  const requestTab = { tab: null };
  /** @type {{tab: string | null}} */
  const answerTab = { tab: null };

  /** What each place was made from. @type {Map<HTMLElement, string>} */
  const drawn = new Map();

  /**
   * Fill a place, unless that is what it has: a tab that is chosen, and the focus, stay while more of
   * a call comes in.
   * @param {HTMLElement} place
   * @param {unknown[]} facts what *make* reads of the call
   * @param {() => import("./dom.js").Child} make
   */
  function put(place, facts, make) {
    const key = JSON.stringify([id, facts]);
    if (drawn.get(place) === key) return;
    fill(place, make());
    drawn.set(place, key);
  }

  /** @param {Detail} next */
  function draw(next) {
    call = next;
    drawHead(next);
    put(noticePlace, [next.notices], () => noticeCard(next));
    put(refusalPlace, [next.error, next.outcome, next.status, next.fault], () => next.error && refusalCard(next, models));
    stage.update(next, address.get("view"), address.get("picture"));
    streamTable.update(next);
    put(factsPlace, [next.parameters, next.pictures, next.usage, next.duration_ms, next.attempts, next.fault, next.violations], () => facts(context, next));
    const isBare = stage.element.hidden === true;
    top.classList.toggle("bare", isBare);
    if (isBare) body.append(top);
    else streamTable.element.before(top);
    put(requestPlace, [next.body, next.form, next.parameters, next.error, next.violations, next.dropped], () => requestCard(context, requestTab, next, models));
    put(answerPlace, [next.answer, next.status, next.outcome, next.dropped], () => answerCard(context, answerTab, next));
    put(missPlace, [next.near_misses], () => nearMisses(context, next));
    drawDownloads(next);
  }

  /** @param {Detail} of */
  async function drawDownloads(of) {
    if (of.parameters.response_format !== "url") {
      fill(downloadPlace, of.kind === "download" && downloadedPicture(of));
      return;
    }
    try {
      const card = await downloads(context, of);
      if (call?.id === of.id) fill(downloadPlace, card);
    } catch (error) {
      context.fail(error);
    }
  }

  async function load() {
    if (!id) return;
    if (isLoading) {
      isStale = true;
      return;
    }
    isLoading = true;
    isStale = false;
    const wanted = id;
    try {
      const [detail, table] = await Promise.all([api.detail(wanted), models ?? api.models()]);
      models = table;
      if (id === wanted) {
        for (const event of early) append(detail, event);
        early = [];
        draw(detail);
      }
    } catch (error) {
      if (id === wanted && call?.id !== wanted) showMissing(error instanceof Error ? error.message : String(error));
      else if (id === wanted) context.fail(error);
    } finally {
      isLoading = false;
    }
    if (isStale || id !== wanted) load();
  }

  /** @param {string} sentence */
  function showMissing(sentence) {
    call = null;
    clear();
    answerButton.hidden = true;
    fill(title, "This call is not kept any more");
    fill(line);
    fill(idButton, id ? format.shortId(id) : "");
    fill(refusalPlace, h("p", { class: "call-note" }, sentence));
  }

  function clear() {
    stage.close();
    stage.element.hidden = true;
    streamTable.element.hidden = true;
    drawn.clear();
    for (const place of [noticePlace, refusalPlace, factsPlace, requestPlace, answerPlace, downloadPlace, missPlace]) fill(place);
  }

  /** Add an event to a call's stream, unless it has it. @param {Detail} detail @param {StreamEvent} event */
  function append(detail, event) {
    if (detail.stream_events.every((each) => each.index !== event.index)) detail.stream_events.push(event);
  }

  /** @type {KeyBinding[]} */
  const bindings = [
    { key: "ArrowRight", group: "Move", label: "Next, previous picture or event", run: () => stage.step(1) },
    { key: "ArrowLeft", group: "Move", label: "Next, previous picture or event", run: () => stage.step(-1) },
    { key: "c", group: "Call", label: "Copy as curl", run: () => copyCode("curl", "as curl") },
    { key: "C", group: "Call", label: "Copy as… (Python, JavaScript, pytest)", run: () => openCopyMenu() },
    { key: "a", group: "Call", label: "Answer such calls with a picture", run: () => answerWith() },
    { key: "s", group: "Call", label: "Save the picture", run: () => stage.save() },
    { key: "o", group: "Call", label: "Open in full", run: () => stage.openFull() },
    { key: "b", group: "Call", label: "Before / after, mask", run: () => stage.choose("before") },
    { key: "m", group: "Call", label: "Before / after, mask", run: () => stage.choose("mask") },
    { key: "v", group: "Call", label: "Mark, then compare two", run: () => stage.compare() },
  ];

  const keys = bindings.map((each) => ({ ...each, run: () => (call === null || isComparing() ? false : each.run()) }));
  keys.push({ key: "Escape", group: "Move", label: "", run: () => {
    if (!isComparing() || !address.has("call")) return false;
    context.navigate({ compare: null });
    return true;
  } });

  return {
    element,
    show(nextId, params) {
      address = params;
      const pair = params.get("compare");
      if (pair) {
        fill(element, compare.element);
        compare.show(pair);
        return;
      }
      compare.hide();
      if (!one.isConnected || element.firstElementChild !== one) fill(element, one);
      if (nextId === id) return;
      id = nextId;
      early = [];
      element.scrollTop = 0;
      requestTab.tab = answerTab.tab = null;
      const summary = nextId && calls.get(nextId);
      if (summary) drawHead(summary);
      load();
    },
    close() {
      id = null;
      call = null;
      compare.hide();
      clear();
    },
    update(summary) {
      // Of a call in flight the events tell what is new, once its body is read.
      const isKnown = call?.id === id && call?.model !== null && summary.outcome === "waiting";
      if (summary.id === id && !isKnown) load();
      // The list may have thousands of them anew.
      if (!isMoved) requestAnimationFrame(drawNeighbours);
      isMoved = true;
    },
    download({ path }) {
      if (call && call.id === id && call.kind !== "download" && hostedPaths(call).includes(path)) drawDownloads(call);
    },
    event({ id: eventId, ...event }) {
      if (eventId !== id) return;
      if (!call || call.id !== id || isLoading) early.push(event);
      if (!call || call.id !== id) return;
      append(call, event);
      call.event_count = call.stream_events.length;
      stage.update(call, null, null);
      streamTable.update(call);
    },
    keys,
  };
}
