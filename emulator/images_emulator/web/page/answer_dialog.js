// Makes a picture from the disk the answer of calls: which ones, by their operation and prompt.

import { h, icon, setText } from "./dom.js";
import * as format from "./format.js";
import { errorPlace, newId } from "./panel_controls.js";
import { MEDIA_TYPES, mistakeOf, readPicture } from "./picture_file.js";
import { OPERATIONS } from "./step_words.js";

/** @import { Step, Summary } from "./api.js" */
/** @import { Context } from "./context.js" */

/**
 * The operation of a call as `OPERATIONS` has it; undefined for a call that no picture can answer.
 * @param {Summary} call
 */
export function operationOf(call) {
  if (call.kind !== "call" || call.method !== "POST") return undefined;
  return Object.keys(OPERATIONS).find((path) => call.path.endsWith(path.slice(1)));
}

/**
 * The calls that are like *call*, in a few words.
 * @param {Summary} call
 */
export function likeWords(call) {
  const operation = OPERATIONS[operationOf(call) ?? ""];
  return call.prompt ? `${operation} with the prompt “${call.prompt}”` : `all ${operation}`;
}

/**
 * @param {Context} context
 */
export function createAnswerDialog(context) {
  const { api, state } = context;
  const picker = h("input", { type: "file", accept: MEDIA_TYPES.join(), hidden: true, "aria-label": "Picture", onchange: () => {
    const files = [...(picker.files ?? [])];
    picker.value = "";
    if (files.length) void open(files, wanted);
  } });
  document.body.append(picker);

  /** The call that a picture is chosen for. @type {Summary | null} */
  let wanted = null;

  /**
   * Ask for a picture that answers calls like *call*, or any.
   * @param {Summary | null} call
   */
  function choose(call) {
    wanted = call;
    picker.click();
  }

  /**
   * Ask which calls the picture in *files* answers; those like *call* to begin with.
   * @param {readonly File[]} files
   * @param {Summary | null} call
   */
  async function open(files, call) {
    const mistake = await mistakeOf(files, Number(state.settings?.max_body ?? Infinity));
    const [file] = files;
    if (mistake || !file) context.toast(mistake);
    else show(file, call);
  }

  /** @param {File} file @param {Summary | null} call */
  function show(file, call) {
    const preview = URL.createObjectURL(file);
    const size = h("span");
    const image = h("img", { src: preview, alt: "", onload: () => {
      image.classList.add("chequered");
      setText(size, `${image.naturalWidth} × ${image.naturalHeight}, `);
    } });
    const path = h("select", { class: "select", id: newId("field"), onchange: () => count() },
      h("option", { value: "" }, "any operation"), Object.entries(OPERATIONS).map(([value, name]) => h("option", { value }, name)));
    const prompt = h("textarea", { class: "input", id: newId("field"), rows: "2", dir: "auto", autocomplete: "off", spellcheck: "false", oninput: () => count() });
    const any = h("input", { type: "checkbox", onchange: () => {
      prompt.disabled = any.checked;
      count();
    } });
    path.value = (call && operationOf(call)) ?? "";
    const ownPrompt = call?.prompt ?? "";
    prompt.value = ownPrompt;
    // A field makes one line end of each kind; the call's own are sent unless someone types.
    const shownPrompt = prompt.value;
    any.checked = prompt.disabled = !ownPrompt;
    const words = h("p", { role: "status" });
    const error = errorPlace();
    const submit = h("button", { class: "button primary" }, "Answer with it");
    const titleId = newId("title");
    const dialog = h("dialog", { class: "dialog answer-dialog", "aria-labelledby": titleId, onclose: () => {
      URL.revokeObjectURL(preview);
      dialog.remove();
    } },
      h("header", null, h("h2", { id: titleId }, "Answer with this picture"),
        h("button", { class: "button plain square", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
      h("form", { onsubmit: send },
        h("div", { class: "answer-file" }, h("span", { class: "answer-preview" }, image),
          h("div", null, h("p", { class: "answer-name", dir: "auto" }, file.name), h("p", { class: "muted small" }, size, format.bytes(file.size)),
            h("p", { class: "muted small" }, "It is cropped to the size that a call asks for."))),
        h("div", { class: "field" }, h("label", { for: path.id }, "Calls to"), path),
        h("div", { class: "field" }, h("label", { for: prompt.id }, "Prompt has"), prompt),
        h("label", { class: "check" }, any, "Any prompt"),
        words, error.element,
        h("div", { class: "answer-actions" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel"), submit)));

    function match() {
      const written = prompt.value === shownPrompt ? ownPrompt : prompt.value;
      const text = any.checked ? "" : written;
      return { ...(path.value ? { path: path.value } : {}), ...(text ? { prompt: text } : {}) };
    }

    /** Say how many of the calls that are here would be answered. */
    function count() {
      const { path: operation, prompt: text } = match();
      const part = text?.toLowerCase() ?? "";
      const such = context.calls.ordered.filter((each) =>
        operationOf(each) && (!operation || operationOf(each) === operation) && (!part || each.prompt?.toLowerCase().includes(part)));
      const isNone = such.length === 0 && context.calls.ordered.length > 0;
      words.className = isNone ? "small warn" : "small muted";
      setText(words, isNone
        ? "No call here is like that. Only calls that are get this picture."
        : `${format.counted(such.length, "call")} here ${such.length === 1 ? "is" : "are"} like that. All further ones get this picture, until it is removed.`);
    }

    /** @param {SubmitEvent} event */
    async function send(event) {
      event.preventDefault();
      submit.disabled = true;
      const isDone = await error.run(async () => {
        const { url, name } = await readPicture(file);
        const { injected, ...scenario } = await api.inject({ answer: { image: url }, match: match() });
        state.set("scenario", scenario);
        const step = scenario.steps.find((each) => each.id === injected);
        dialog.close();
        context.toast(`${name} answers such calls`, step && { label: "Undo", run: () => void undo(step) });
      });
      submit.disabled = false;
      if (!isDone) submit.focus();
    }

    count();
    document.body.append(dialog);
    dialog.showModal();
    submit.focus();
  }

  /** @param {Step} step */
  async function undo(step) {
    try {
      state.set("scenario", await api.removeStep(step.id));
      context.toast("Removed. Such calls are drawn again.");
    } catch (error) {
      context.fail(error);
    }
  }

  return { choose, open };
}
