// The pictures of one's own that answer calls.

import { thumbnail } from "./api.js";
import { fill, h, icon, setText } from "./dom.js";
import * as format from "./format.js";
import { errorPlace, section } from "./panel_controls.js";
import { metWords, stepName, stepWords } from "./step_words.js";

/** @import { Step } from "./api.js" */
/** @import { Context } from "./context.js" */
/** @import { PanelSection } from "./panel.js" */

/** Answers that are listed; a folder of pictures may have thousands. */
const MAX_LISTED = 50;

/**
 * @param {Context} context
 * @returns {PanelSection}
 */
export function createAnswerSection(context) {
  const { api, state } = context;
  const error = errorPlace();
  const number = h("span", { class: "tag amber" });
  const list = h("ul", { class: "steps", "aria-label": "Answers" });
  const more = h("p", { class: "panel-words" });
  const none = h("p", { class: "panel-words" }, "Drop a picture onto a call, and it answers such calls in place of a drawing.");
  const add = h("button", { type: "button", class: "button", onclick: () => context.answerWith(null) }, icon("picture"), "Answer with a picture…");

  /** @param {Step} step */
  const remove = (step) => error.run(async () => state.set("scenario", await api.removeStep(step.id)));

  /** The rows by the ids of their steps, each with what it says of the calls that met it. @type {Map<string, {element: HTMLElement, met: HTMLElement}>} */
  const rows = new Map();

  /** The row of a step; but for the calls that met it a step never changes. @param {Step} step */
  function rowOf(step) {
    let row = rows.get(step.id);
    if (!row) {
      row = newRow(step);
      rows.set(step.id, row);
    }
    setText(row.met, metWords(step));
    return row.element;
  }

  /** @param {Step} step */
  function newRow(step) {
    const met = h("span", { class: "muted" });
    const name = stepName(step);
    const files = step.answer?.image ?? step.answer?.images;
    const picture = Array.isArray(files) && files[0]?.size
      ? h("img", { src: thumbnail(`/_emulator/scenario/steps/${encodeURIComponent(step.id)}/pictures/0/thumbnail/96`, 96), alt: "", width: 40, height: 40, decoding: "async" })
      : icon("picture");
    const element = h(
      "li",
      { class: "step answer-step", dataset: { step: step.id } },
      h("span", { class: "step-picture" }, picture),
      h("span", { class: "step-name cut", dir: "auto", title: name }, name),
      met,
      h("button", { type: "button", class: "button plain square", "aria-label": `Remove ${name}`, onclick: () => remove(step) }, icon("close")),
      h("span", { class: "step-words cut muted", dir: "auto", title: stepWords(step) }, stepWords(step)),
    );
    return { element, met };
  }

  function draw() {
    const answers = state.unspentAnswers();
    const shown = answers.slice(0, MAX_LISTED);
    const focused = document.activeElement, hadFocus = list.contains(focused);
    const ids = new Set(shown.map((step) => step.id));
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    fill(number, format.count(answers.length));
    number.hidden = list.hidden = answers.length === 0;
    none.hidden = answers.length > 0;
    const elements = shown.map(rowOf);
    if (elements.length !== list.childElementCount || elements.some((each, place) => each !== list.children[place])) fill(list, elements);
    fill(more, answers.length > MAX_LISTED && `and ${format.count(answers.length - MAX_LISTED)} more`);
    if (hadFocus && focused instanceof HTMLElement && list.contains(focused)) focused.focus();
    else if (hadFocus) (list.querySelector("button") ?? add).focus();
  }

  const element = section("Answers", number, none, list, more, error.element, h("div", null, add));
  element.classList.add("answer-section");
  return {
    element,
    update(kind) {
      if (kind === "open" || kind === "scenario") draw();
    },
  };
}
