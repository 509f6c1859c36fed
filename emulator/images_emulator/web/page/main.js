// The page: makes its parts, and leads what the emulator tells to them.

import { Address } from "./address.js";
import { createAnswerDialog } from "./answer_dialog.js";
import { API, APIError } from "./api.js";
import { createCallView } from "./call_view.js";
import { Calls } from "./calls.js";
import { h, icon, setText } from "./dom.js";
import { createEmpty } from "./empty.js";
import { Filters, mistakes } from "./filters.js";
import * as format from "./format.js";
import { Keyboard, showHelp } from "./keyboard.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { createMenu } from "./menu.js";
import { Pace } from "./pace.js";
import { createPanel } from "./panel.js";
import { createPictureDrop } from "./picture_drop.js";
import { callsCame } from "./pictures.js";
import { Search } from "./search.js";
import { ServerState } from "./server_state.js";
import { createSignIn } from "./sign_in.js";
import { createToasts } from "./toasts.js";
import { TopBar } from "./top_bar.js";
import { Wall } from "./wall.js";

/** @import { Counts, StreamEvent, Summary } from "./api.js" */
/** @import { Context, KeyBinding, SectionName } from "./context.js" */

/** The downloads of hosted pictures are shown with their calls, and are none themselves. */
const CALLS = { kind: "call" };

/** Calls that are loaded first, some screens full; the others come when they are wanted. */
const FIRST_CALLS = 100;
/** Calls that are loaded at once after that; the API's own limit. */
const MORE = 1000;

/** How long no call must have been skipped before skipped ones are asked for: the feed tells of them every half second. */
const SKIPPING_OVER_MS = 1000;
/** How long they are skipped before they are asked for in the midst of it, unless they are too many. */
const MAX_SKIPPING_MS = 10_000;
/** Calls that are asked for in the midst of it at most: each takes the server the time of a call. */
const MAX_ASKED_WHILE_SKIPPING = 500;

const PHONE = matchMedia("(max-width: 720px)");

const api = new API();
const address = new Address();
const calls = new Calls();
const state = new ServerState();
const toasts = createToasts();

let filters = Filters.read(address.params);
/** The calls that the filters let through, newest first. @type {Summary[]} */
let shown = [];
/** Of all calls that the emulator keeps, while not all of them are here. @type {Counts | null} */
let counts = null;
/** Whether anything was ever loaded. */
let isLoaded = false;
/** When calls were cleared last, by the emulator's clock. @type {Date | null} */
let clearedAt = null;
/** On a phone, the wall stands in place of the list. */
let showsWall = false;

/** @type {Context} */
const context = {
  api,
  calls,
  state,
  format,
  h,
  icon,
  toast: toasts.show,
  fail: (error) => toasts.show(error instanceof Error ? error.message : String(error)),
  navigate: (change, options) => address.navigate(change, options),
  copy,
  select,
  neighbours: (id) => list.neighbours(id),
  menu: createMenu(),
  answerWith: (call) => answering.choose(call),
};

const answering = createAnswerDialog(context);

const view = createCallView(context);
const panel = createPanel(context);
const empty = createEmpty(context);
const bar = new TopBar(context, { live: () => live, onpanel: togglePanel, onhelp: () => showHelp(allKeys()) });
const search = new Search({
  filters: () => filters,
  onchange: (next, options) => address.set(next.write(address.params), options),
  calls: () => calls.ordered,
  onwant: () => void loadOlder(Infinity),
  onwall: () => {
    showsWall = true;
    route();
  },
});
const list = new List({ state, onchoose: select, onend: () => void loadOlder(1) });
const wall = new Wall({ onchoose: select, onend: () => void loadOlder(1) });
const signIn = createSignIn(api, () => live.start());
api.onunauthorized = () => {
  live.lock();
  signIn();
};

const gone = h("p", { class: "gone", role: "status", hidden: true });
const mistaken = h("p", { class: "no-match-why" });
const noMatch = h("div", { class: "no-match", hidden: true }, h("p", null, "No call matches"), mistaken,
  h("button", { class: "button", type: "button", onclick: () => search.clear() }, "Clear all"));
const wallBack = h("button", { class: "button phone wall-back", type: "button", onclick: () => {
  showsWall = false;
  route();
} }, icon("list"), "List");
const side = h("section", { class: "side", "aria-label": "Calls" }, search.element, gone, noMatch, list.element);
const content = h("main", { class: "content" }, wallBack, wall.element, view.element);
const shell = h("div", { class: "shell" }, bar.element, side, content, panel.element);
const emptyView = h("main", { class: "first", hidden: true }, empty.element);
const drop = createPictureDrop({
  placeOf(element) {
    const item = element.closest(".row, .tile"), section = element.closest(".answer-section");
    if (section instanceof HTMLElement) return { element: section, call: null };
    const place = item ?? element.closest(".call");
    const id = item instanceof HTMLElement ? item.dataset.id : address.params.get("call");
    const call = calls.get(id ?? "");
    return call && place instanceof HTMLElement ? { element: place, call } : null;
  },
  ondrop: (files, call) => void answering.open(files, call),
});
document.body.append(shell, toasts.element, drop.element);

/**
 * @param {string | Promise<string>} text
 * @param {string} [what]
 */
async function copy(text, what = "it") {
  try {
    await navigator.clipboard.writeText(await text);
    toasts.show(`Copied ${what}`);
  } catch (error) {
    // Browsers have no clipboard for pages by plain HTTP from other machines.
    context.fail(navigator.clipboard ? error : "The browser lets only pages from this machine, or by HTTPS, copy.");
  }
}

/** @param {string | null} id */
function select(id) {
  address.navigate({ call: id, compare: null, view: null, picture: null, event: null }, { replace: id !== null && address.params.has("call") });
}

/** @param {SectionName} [section] */
function togglePanel(section) {
  if (panel.isOpen && !section) panel.close();
  else panel.open(section);
}
panel.onchange = () => bar.showPanelOpen(panel.isOpen);

// --- what the address says

/** Show what the address names. */
function route() {
  const { params } = address;
  const id = params.get("call");
  const isCall = id !== null || params.has("compare");
  const scrolled = wall.element.scrollTop;
  // What is to be compared has been chosen; nobody need be told to choose it.
  if (params.has("compare")) toasts.clear();
  view.element.hidden = !isCall;
  wall.element.hidden = isCall;
  wallBack.hidden = isCall;
  shell.dataset.shows = isCall ? "call" : showsWall ? "wall" : "list";
  if (isCall) view.show(id, params);
  else {
    view.close();
    wall.element.scrollTop = scrolled;
    wall.draw();
  }
  list.setChosen(id);
  seek();
}

/** Load the calls back to the chosen one. */
function seek() {
  const id = address.params.get("call");
  if (id && isLoaded && !calls.get(id)) void loadOlder(Infinity);
}

address.subscribe(() => {
  const next = Filters.read(address.params);
  if (next.write(new URLSearchParams()).toString() !== filters.write(new URLSearchParams()).toString()) {
    filters = next;
    search.update();
    refresh({ added: 0 });
    if (!filters.isEmpty) void loadOlder(Infinity);
  }
  route();
});

// --- what is shown of the calls

/**
 * Filter anew, and draw.
 * @param {{added: number}} change the number of calls that have arrived
 */
function refresh({ added }) {
  const test = filters.test();
  const before = shown[0];
  shown = [];
  for (let index = calls.ordered.length - 1; index >= 0; index -= 1) {
    const call = /** @type {Summary} */ (calls.ordered[index]);
    if (filters.isEmpty || test(call)) shown.push(call);
  }
  const arrived = added && before ? Math.max(0, shown.findIndex((call) => call.id === before.id)) : 0;
  // List and wall are put in their place first: they draw nothing while they have no size.
  showNotes();
  list.setItems(shown, { arrived, holds: address.params.has("call") });
  wall.setItems(shown);
  showTotals();
  search.recount();
}

function showTotals() {
  if (!isLoaded) return;
  const all = Math.max(calls.total, calls.ordered.length), isFiltered = !filters.isEmpty;
  const number = isFiltered ? shown.length : all;
  if (!isFiltered && !calls.isWhole) {
    search.setTotals({ shown: number, all, isFiltered, sums: counts && { pictures: counts.pictures, refused: counts.outcome.refused ?? 0, cut: counts.outcome.cut ?? 0, failed: counts.outcome.failed ?? 0, price: counts.price_usd } });
    return;
  }
  const sums = { pictures: 0, refused: 0, cut: 0, failed: 0, price: 0 };
  for (const call of shown) {
    sums.pictures += call.pictures.length;
    if (call.outcome === "refused" || call.outcome === "cut" || call.outcome === "failed") sums[call.outcome] += 1;
    sums.price += call.price_usd ?? 0;
  }
  search.setTotals({ shown: number, all, isFiltered, sums });
}

function showNotes() {
  const isEmpty = isLoaded && !calls.ordered.length && !calls.dropped && !clearedAt;
  if (isEmpty !== !emptyView.hidden) {
    emptyView.hidden = !isEmpty;
    (isEmpty ? [side, content] : [emptyView]).forEach((each) => each.remove());
    if (isEmpty) bar.element.after(emptyView);
    else bar.element.after(side, content);
    shell.classList.toggle("is-empty", isEmpty);
  }
  setText(mistaken, mistakes(filters).join(" "));
  mistaken.hidden = !mistaken.textContent;
  noMatch.hidden = !isLoaded || shown.length > 0 || filters.isEmpty || !calls.isWhole;
  if (!calls.isWhole) list.setFoot(calls.ordered.length ? "Loading older calls" : "");
  else if (calls.dropped && shown.length) list.setFoot(`oldest ${format.count(calls.dropped)} let go`);
  else if (clearedAt && !calls.ordered.length) list.setFoot(`Reset at ${format.time(clearedAt)}`);
  else list.setFoot("");
}

calls.subscribe((change) => {
  refresh({ added: change.added.length });
  for (const call of change.all ? calls.ordered : [...change.added, ...change.changed]) view.update(call);
});

// --- loading

/** The load that is under way. @type {Promise<void> | null} */
let loading = null;

/** The loads that are under way; the latest of them counts. */
let loads = 0, latestLoad = 0;

/** What was told meanwhile: it may be older than what is loaded, or newer. @type {[string, any][]} */
let held = [];

/** Load the state and the newest calls, in place of what is here. */
async function load() {
  loads += 1;
  latestLoad += 1;
  const number = latestLoad;
  try {
    const [page, settings, clock, scenario] = await Promise.all([
      api.requests({ ...CALLS, limit: FIRST_CALLS }), api.settings(), api.clock(), api.scenario(),
    ]);
    if (number === latestLoad) {
      isLoaded = true;
      if (page.requests.length) clearedAt = null;
      take(page);
      counts = null;
      state.set("settings", settings);
      state.set("clock", clock);
      state.set("scenario", scenario);
      calls.replace(page.requests);
      empty.update();
    }
  } catch (error) {
    // The form for the token is there already; a server that does not answer is tried again.
    if (!(error instanceof APIError) || ![0, 401].includes(error.status)) context.fail(error);
  }
  loads -= 1;
  if (loads) return;
  release();
  if (!filters.isEmpty) void loadOlder(Infinity);
  else if (!calls.isWhole) loadCounts().catch(context.fail);
  seek();
}

/** Take in what was held. What is loaded may be from before or after a reset: it is loaded again. */
function release() {
  const cleared = held.findLastIndex(([name]) => name === "cleared");
  const events = cleared < 0 ? held : [];
  held = held.slice(cleared < 0 ? held.length : cleared + 1);
  if (cleared >= 0) void load();
  for (const [name, data] of events) hear(name, data);
}

/** @param {import("./api.js").Page} page */
function take(page) {
  calls.total = page.total;
  calls.dropped = page.dropped ?? 0;
}

/** Count what is not loaded. It is asked for once the rest is on the page, as it takes a while. */
async function loadCounts() {
  const page = await api.requests({ ...CALLS, limit: 1, counts: "true" });
  take(page);
  counts = page.counts ?? null;
  showTotals();
}

/**
 * Count a call that has come or changed.
 * @param {Summary | undefined} before
 * @param {Summary} now
 */
function recount(before, now) {
  if (!counts) return;
  counts.pictures += now.pictures.length - (before?.pictures.length ?? 0);
  counts.price_usd += (now.price_usd ?? 0) - (before?.price_usd ?? 0);
  if (before) counts.outcome[before.outcome] = (counts.outcome[before.outcome] ?? 0) - 1;
  counts.outcome[now.outcome] = (counts.outcome[now.outcome] ?? 0) + 1;
}

/**
 * Load older calls, *pages* times or until there are no more.
 * @param {number} pages
 */
async function loadOlder(pages) {
  if (loading) {
    if (pages === Infinity) await loading.then(() => loadOlder(pages));
    return;
  }
  if (calls.isWhole || !isLoaded) return;
  loading = (async () => {
    for (let page = 0; page < pages && !calls.isWhole; ) {
      const oldest = calls.ordered[0];
      if (!oldest) break;
      const older = await api.requests({ ...CALLS, limit: MORE, before: oldest.id });
      // Other calls were loaded meanwhile: these are not what comes before them.
      if (calls.ordered[0]?.id !== oldest.id) continue;
      page += 1;
      const kept = older.requests.filter((call) => !calls.get(call.id));
      // What is not there any more cannot be waited for.
      if (!kept.length) calls.total = calls.ordered.length;
      else calls.put(kept, { areOldest: true });
    }
    refresh({ added: 0 });
  })().catch(context.fail);
  await loading;
  loading = null;
}

// --- live

/** What came since it was drawn last. @type {Map<string, Summary>} */
let pending = new Map();

const pace = new Pace({ draw: drawPending, onrush(isRush) {
  shell.classList.toggle("rush", isRush);
  list.isRush = isRush;
} });

function drawPending() {
  const beyond = [...pending.values()].filter((call) => calls.isBeyond(call));
  const summaries = [...pending.values()].filter((call) => !beyond.includes(call));
  pending = new Map();
  for (const call of summaries) recount(calls.get(call.id), call);
  // An older call, which is counted as one that waits, has ended.
  for (const call of beyond) recount({ ...call, outcome: "waiting", pictures: [], price_usd: null }, call);
  const fresh = summaries.filter((call) => !calls.get(call.id)).length;
  calls.total += fresh;
  if (skipped.first) skipped.count += fresh;
  makeRoom(fresh, Number(state.settings?.journal_entries ?? Infinity));
  calls.put(summaries);
}

/**
 * The emulator lets go of its oldest calls when there are more than it keeps; so does the page.
 * @param {number} fresh the number of calls that come in
 * @param {number} limit
 */
function makeRoom(fresh, limit) {
  const surplus = calls.total - limit;
  if (surplus <= 0) return;
  calls.total -= surplus;
  calls.dropped += surplus;
  calls.forgetOldest(calls.ordered.length + fresh - limit);
}

/** @param {Summary} summary */
function amend(summary) {
  if (summary.kind === "download") view.download(summary);
  if (summary.kind !== "call") return;
  pending.set(summary.id, summary);
  callsCame({ isSkipping: skipped.first > 0 });
  pace.request();
}

/** @param {StreamEvent & {id: string}} event */
function amendByEvent(event) {
  const known = pending.get(event.id) ?? calls.get(event.id);
  if (known?.outcome === "waiting")
    amend({ ...known, event_count: Math.max(known.event_count, event.index + 1), partial_count: known.partial_count + (event.partial && event.index >= known.event_count ? 1 : 0) });
  view.event(event);
}

/**
 * Since skipped calls were asked for last: when the first and the last ones were skipped (0: none
 * were), and how many calls have come since the first, skipped or told.
 */
let skipped = { count: 0, first: 0, last: 0 };

/** @type {number | undefined} */
let catching;

/**
 * Calls were skipped. They are asked for when no more are skipped, or when that has gone on for long.
 * @param {number} count
 */
function catchUp(count) {
  if (skipped.first) pace.rest();
  const now = performance.now();
  skipped = { count: skipped.count + count, first: skipped.first || now, last: now };
  clearTimeout(catching);
  catching = setTimeout(fetchSkipped, Math.max(0, Math.min(SKIPPING_OVER_MS, skipped.first + MAX_SKIPPING_MS - now)));
}

async function fetchSkipped() {
  const isSkipping = performance.now() - skipped.last < SKIPPING_OVER_MS - 20;
  // Some may have come since; more than the API gives at once are left to be paged back to.
  const wanted = skipped.count + FIRST_CALLS;
  try {
    if (isSkipping && wanted > MAX_ASKED_WHILE_SKIPPING) {
      skipped.first = performance.now();
      catching = setTimeout(fetchSkipped, SKIPPING_OVER_MS);
      take(await api.requests({ ...CALLS, limit: 1 }));
      showTotals();
      return;
    }
    skipped = { count: 0, first: 0, last: 0 };
    const page = await api.requests({ ...CALLS, limit: wanted > MORE ? FIRST_CALLS : wanted });
    const isGap = calls.hasGapBefore(page.requests);
    take(page);
    callsCame({ isSkipping });
    if (isGap) calls.replace(page.requests);
    else calls.put(page.requests);
    if (!isSkipping && !calls.isWhole) await loadCounts();
  } catch (error) {
    context.fail(error);
  }
}

/**
 * Take in an event of the emulator.
 * @param {string} name
 * @param {any} data
 */
function hear(name, data) {
  if (loads) {
    held.push([name, data]);
    return;
  }
  switch (name) {
    case "arrived":
    case "completed": return amend(data);
    case "event": return amendByEvent(data);
    case "skipped": return catchUp(data.count);
    case "cleared":
      pending.clear();
      // A page that has shown no call shows how to make the first one.
      if (calls.ordered.length) clearedAt = state.now() ?? new Date();
      calls.total = calls.dropped = 0;
      counts = null;
      calls.replace([]);
      void closeCleared();
      if (data.what === "all") void load();
      return;
    case "settings":
    case "clock":
    case "scenario": return state.set(name, data);
  }
}

/** Calls are not kept any more: what is open is closed, but for a call that came since. */
async function closeCleared() {
  const open = () => address.params.get("compare") ?? address.params.get("call");
  const places = open();
  if (places === null) return;
  const identities = places.split(",").map((place) => place.replace(/\/.*/, ""));
  // Asked for as a list: the detail of a call that is gone would be an error.
  const asked = identities.map((id) => api.requests({ text: id, limit: 1 }));
  const pages = await Promise.all(asked).catch(() => []);
  if (pages.some((page) => !page.requests.length) && open() === places)
    address.navigate({ call: null, compare: null, view: null, picture: null, event: null }, { replace: true });
}

const live = new Live({
  async onrestart() {
    const wasLoaded = isLoaded;
    await load();
    // The calls of before may be gone with the server.
    if (wasLoaded) await closeCleared();
  },
  onstate(liveState) {
    bar.showLive(liveState);
    gone.hidden = liveState !== "stopped";
    if (liveState === "stopped" && live.since) setText(gone, `The server has gone since ${format.time(live.since)}`);
  },
  onerror() {
    // An event stream does not say why it failed; this asks for the token where one is wanted.
    api.settings().catch(() => {});
  },
  onevent: hear,
});

state.subscribe((kind) => {
  panel.update(kind);
  if (kind === "settings") empty.update();
});

// --- keys

/**
 * Move the cursor, and the open call with it.
 * @param {number} step
 */
function move(step) {
  const id = list.move(step);
  if (id && address.params.has("call")) select(id);
}

/** @type {KeyBinding[]} */
const keys = [
  { key: "j", group: "Move", label: "Next, previous call", run: () => move(1) },
  { key: "k", group: "Move", label: "Next, previous call", run: () => move(-1) },
  { key: "ArrowDown", group: "Move", label: "", run: () => move(1) },
  { key: "ArrowUp", group: "Move", label: "", run: () => move(-1) },
  { key: "PageDown", group: "Move", label: "", run: () => move(10) },
  { key: "PageUp", group: "Move", label: "", run: () => move(-10) },
  { key: "g", group: "Move", label: "First, newest call", run: () => {
    list.toTop();
    move(-Infinity);
  } },
  { key: "Enter", group: "Move", label: "Open the call", run: () => (list.cursor ? select(list.cursor) : false) },
  { key: "Escape", group: "Move", label: "Close, back to pictures", run: escape },
  { key: "/", group: "Find", label: "Search", run: () => search.focus() },
  { key: "f", group: "Find", label: "Filter", run: () => search.toggleMenu() },
  { key: "e", group: "Find", label: "Only refused calls", run: () => address.set(filters.toggle("status", "refused").write(address.params)) },
  { key: "X", group: "Find", label: "Clear filters", run: () => search.clear() },
  { key: "w", group: "Page", label: "Switches", run: () => togglePanel() },
  { key: "i", group: "Page", label: "Inject a fault", run: () => panel.openFaultForm() },
  { key: "p", group: "Page", label: "Pause and resume live", run: () => bar.togglePause() },
  { key: "t", group: "Page", label: "Light, dark", run: () => bar.toggleTheme() },
  { key: "?", group: "Page", label: "This list", run: () => showHelp(allKeys()) },
];

function escape() {
  if (panel.isOpen) togglePanel();
  else if (address.params.has("call") || address.params.has("compare")) select(null);
  else if (!filters.isEmpty) search.clear();
  else return false;
  return true;
}

function allKeys() {
  return [...keys, ...view.keys];
}

new Keyboard(() => (view.element.hidden ? keys : [...view.keys, ...keys]));

PHONE.addEventListener("change", route);

search.update();
route();
live.start();
