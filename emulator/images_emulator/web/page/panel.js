// The panel, under the heading "Switches": what the emulator does otherwise than by default.

import { createAnswerSection } from "./answer_section.js";
import { createAsOfSection } from "./as_of_section.js";
import { createClockSection } from "./clock_section.js";
import { h, icon } from "./dom.js";
import { createFaultSection } from "./fault_section.js";
import { createResetSection } from "./reset_section.js";
import { createValidationSection } from "./validation_section.js";

/** @import { Context, Panel, SectionName } from "./context.js" */
/** @import { StateKind } from "./server_state.js" */

/**
 * A part of the panel.
 * @typedef {object} PanelSection
 * @property {HTMLElement} element its first heading takes the focus
 * @property {(kind: StateKind | "open") => void} update the state of that kind is another, or the panel was opened
 * @property {() => void} [close] the panel is closed
 */

/**
 * @param {Context} context
 * @returns {Panel}
 */
export function createPanel(context) {
  const faults = createFaultSection(context);
  /** @type {Record<SectionName, PanelSection>} */
  const sections = {
    faults,
    answers: createAnswerSection(context),
    clock: createClockSection(context),
    as_of: createAsOfSection(context),
    validation: createValidationSection(context),
    reset: createResetSection(context),
  };
  const all = Object.values(sections);
  const closeButton = h("button", { type: "button", class: "button plain square", "aria-label": "Close switches", onclick: () => panel.close() }, icon("close"));
  const scroll = h("div", { class: "panel-scroll" }, all.map((each) => each.element));
  const element = h(
    "aside",
    { class: "panel", id: "panel", "aria-label": "Switches", hidden: true },
    h("header", { class: "panel-head" }, h("h2", null, "Switches"), closeButton),
    scroll,
  );

  /** What had the focus before. @type {HTMLElement | null} */
  let opener = null;

  function show() {
    if (!element.hidden) return;
    opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    element.hidden = false;
    for (const each of all) each.update("open");
    panel.onchange();
  }

  /** @type {Panel} */
  const panel = {
    element,
    onchange() {},
    open(section) {
      show();
      const target = section && sections[section].element;
      target?.scrollIntoView({ block: "nearest" });
      (target?.querySelector("h3") ?? closeButton).focus();
    },
    openFaultForm() {
      show();
      faults.showForm();
    },
    close() {
      if (element.hidden) return;
      const hadFocus = element.contains(document.activeElement);
      element.hidden = true;
      for (const each of all) each.close?.();
      if (hadFocus && opener?.isConnected) opener.focus();
      opener = null;
      panel.onchange();
    },
    get isOpen() {
      return !element.hidden;
    },
    update(kind) {
      if (element.hidden) return;
      for (const each of all) each.update(kind);
    },
  };
  return panel;
}
