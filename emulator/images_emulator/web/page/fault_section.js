// The faults of the scenario, and buttons that inject more of them. Unspent ones are "armed" in its texts.

import { fill, h, icon } from "./dom.js";
import { createFaultForm } from "./fault_form.js";
import * as format from "./format.js";
import { errorPlace, newId, section } from "./panel_controls.js";
import { metWords, stepName, stepWords } from "./step_words.js";

/** @import { Step } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { PanelSection } from "./panel.js" */

/** @typedef {string | Record<string, unknown>} FaultValue */

/** What the next call meets at one click. @type {Record<string, FaultValue>} */
const ONE_CLICK = {
  429: "rate_limit_exceeded",
  500: "server_error",
  503: "server_is_overloaded",
  Blocked: "moderation_blocked",
  Timeout: "timeout",
  "Late 2 s": { kind: "latency", seconds: 2 },
  "Cut stream": "stream_cut",
};

/**
 * @param {Context} context
 * @returns {PanelSection & {showForm: () => void}}
 */
export function createFaultSection(context) {
  const { api, state } = context;
  const error = errorPlace();
  const unspentTag = h("span", { class: "tag amber" });
  const clear = h("button", { type: "button", class: "button plain", onclick: () => change(clearFaults) }, "Clear all");
  const steps = h("ul", { class: "steps", "aria-label": "Armed faults" });
  const spentSteps = h("ul", { class: "steps", "aria-label": "Spent faults", id: newId("spent"), hidden: true });
  const spentWords = h("span");
  const spentButton = h("button", {
    type: "button", class: "button plain spent", "aria-expanded": "false", "aria-controls": spentSteps.id, onclick: () => {
      spentSteps.hidden = !spentSteps.hidden;
      spentButton.setAttribute("aria-expanded", String(!spentSteps.hidden));
    },
  }, icon("down"), spentWords);
  const form = createFaultForm(context, inject);
  form.element.hidden = true;
  const custom = h("button", { type: "button", class: "button", "aria-expanded": "false", "aria-controls": form.element.id, onclick: () => showForm(form.element.hidden === true) }, "Custom", icon("down"));
  const buttons = Object.entries(ONE_CLICK)
    // Whole numbers come first in an object, and so they stand here.
    .map(([label, fault]) => h("button", { type: "button", class: "button", onclick: () => change(() => inject({ fault, times: 1 })) }, label));
  const scenarioId = newId("scenario");
  const scenario = h("select", { class: "select", id: scenarioId, onchange: () => chooseScenario() }, h("option", { value: "" }, "none"));
  /** The ready scenario that was chosen here last. */
  let chosen = "";

  /** @param {unknown} step */
  async function inject(step) {
    const { injected, ...scenario } = await api.inject(step);
    state.set("scenario", scenario);
    return scenario;
  }

  /** @param {() => Promise<import("./api.js").Scenario>} task */
  const change = (task) => error.run(async () => state.set("scenario", await task()));

  /** The faults of the scenario; its answers have a section of their own. */
  const faults = () => state.scenario?.steps.filter((step) => step.fault !== null) ?? [];

  /** Remove all faults, and no answer. */
  async function clearFaults() {
    const steps = faults();
    if (steps.length === state.scenario?.steps.length) return api.clearScenario();
    for (const step of steps.slice(1)) await api.removeStep(step.id);
    return steps[0] ? api.removeStep(steps[0].id) : api.scenario();
  }

  /** @param {boolean} isShown */
  function showForm(isShown) {
    form.element.hidden = !isShown;
    custom.setAttribute("aria-expanded", String(isShown));
    if (isShown) form.open();
  }

  async function chooseScenario() {
    const name = scenario.value;
    const isDone = await change(async () =>
      name ? api.putScenario(await api.readyScenario(name)) : api.clearScenario());
    chosen = isDone ? name : chosen;
    drawScenario();
  }

  /** The select names the scenario that was chosen, as long as its steps are there. */
  function drawScenario() {
    const planned = faults().filter((step) => !step.injected).length;
    if (planned === 0) chosen = "";
    scenario.querySelector("option[value='*']")?.remove();
    if (planned > 0 && !chosen) scenario.prepend(h("option", { value: "*" }, `of ${format.counted(planned, "step")}`));
    scenario.value = planned > 0 && !chosen ? "*" : chosen;
  }

  /** @param {Step} step */
  function row(step) {
    const { times, met, spent } = step;
    const name = stepName(step);
    const remove = h("button", { type: "button", class: "button plain square", "aria-label": `Remove ${name}`, onclick: () => change(() => api.removeStep(step.id)) }, icon("close"));
    const element = h(
      "li",
      { class: "step", dataset: { step: step.id } },
      h("span", { class: "step-name cut" }, name),
      h("span", { class: "muted" }, metWords(step)),
      spent ? h("span") : remove,
      h("span", { class: "step-words cut muted", dir: "auto", title: stepWords(step) }, stepWords(step)),
      times && met > 0 && !spent ? h("span", { class: "step-progress" }) : null,
    );
    /** @type {HTMLElement | null} */ (element.querySelector(".step-progress"))?.style.setProperty("inline-size", `${(100 * met) / (times || 1)}%`);
    return element;
  }

  function draw() {
    const all = faults();
    const unspent = all.filter((step) => !step.spent);
    const spent = all.filter((step) => step.spent);
    const hadFocus = steps.contains(document.activeElement);
    fill(unspentTag, `${unspent.length} armed`);
    unspentTag.hidden = unspent.length === 0;
    clear.hidden = all.length === 0;
    steps.hidden = unspent.length === 0;
    fill(steps, unspent.map(row));
    if (hadFocus) (steps.querySelector("button") ?? heading)?.focus();
    spentButton.hidden = spent.length === 0;
    fill(spentWords, `${spent.length} spent`);
    fill(spentSteps, spent.map(row));
    if (spent.length === 0) {
      spentSteps.hidden = true;
      spentButton.setAttribute("aria-expanded", "false");
    }
    drawScenario();
  }

  function loadScenarios() {
    return error.run(async () => {
      const { scenarios } = await api.scenarios();
      fill(scenario, h("option", { value: "" }, "none"), scenarios.map(({ name, summary }) => h("option", { value: name, title: summary }, name)));
      drawScenario();
    });
  }

  const element = section(
    "Faults", [unspentTag, h("span", { class: "spacer" }), clear],
    steps, spentButton, spentSteps,
    h("p", { class: "panel-label", id: newId("next") }, "Next call meets"),
    h("div", { class: "one-click", role: "group", "aria-label": "Next call meets" }, buttons, custom),
    error.element, form.element,
    h("div", { class: "panel-row scenario-row" }, h("label", { for: scenarioId, class: "panel-label" }, "Scenario"), scenario),
  );
  const heading = element.querySelector("h3");

  return {
    element,
    update(kind) {
      if (kind === "open" && scenario.options.length < 2) loadScenarios();
      if (kind === "open" || kind === "scenario") draw();
    },
    /** Show the form for a fault of one's own. */
    showForm: () => showForm(true),
  };
}
