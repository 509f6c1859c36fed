// What there is to do before the first call: lines to copy, with the real address.

import { fill, h, icon, setText } from "./dom.js";
import { baseURL } from "./top_bar.js";

/** @import { Context } from "./context.js" */

const PROMPT = "A lighthouse at the end of the pier";
const MODEL = "gpt-image-2";

/** @type {readonly [string, (base: string) => string][]} */
const SAMPLES = [
  ["Python", (base) => `from openai import OpenAI        # pip install openai

client = OpenAI(base_url="${base}", api_key="sk-test")
answer = client.images.generate(
    model="${MODEL}", prompt="${PROMPT}"
)`],
  ["JavaScript", (base) => `import OpenAI from "openai";     // npm install openai

const client = new OpenAI({ baseURL: "${base}", apiKey: "sk-test" });
const answer = await client.images.generate({
  model: "${MODEL}", prompt: "${PROMPT}",
});`],
  ["curl", (base) => `curl ${base}/images/generations \\
  -H "Authorization: Bearer sk-test" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${MODEL}", "prompt": "${PROMPT}"}'`],
];

/** The two variables that the SDKs read. @type {readonly [string, (base: string) => string][]} */
const VARIABLES = [
  ["Shell", (base) => `export OPENAI_BASE_URL=${base}\nexport OPENAI_API_KEY=sk-test`],
  ["PowerShell", (base) => `$env:OPENAI_BASE_URL = "${base}"\n$env:OPENAI_API_KEY = "sk-test"`],
  [".env", (base) => `OPENAI_BASE_URL=${base}\nOPENAI_API_KEY=sk-test`],
];

/**
 * @param {Context} context
 * @returns {{element: HTMLElement, update: () => void}}
 */
export function createEmpty(context) {
  const address = h("span", { class: "mono" });
  const samples = tabs(context, "Sample", SAMPLES);
  const variables = tabs(context, "Variables", VARIABLES);
  const container = h("span");
  const element = h("section", { class: "empty" },
    h("div", { class: "empty-column" },
      h("h1", null, "No calls yet. Point an SDK at this address."),
      h("p", { class: "muted" }, "Any key is accepted. Pictures appear here as soon as they are answered."),
      h("div", { class: "empty-address" }, address,
        h("button", { class: "button", type: "button", onclick: () => context.copy(baseURL(context), "the base URL") }, icon("copy"), "Copy")),
      samples.element,
      h("p", { class: "muted small" }, "Or leave the code as it is and set two variables:"),
      variables.element,
      h("p", { class: "empty-waiting" }, h("span", { class: "dot", dataset: { state: "live" } }), "Waiting for the first call"),
      h("div", { class: "empty-hints small" },
        hint("In a container", container),
        hint("In pytest", "The fixture images_emulator starts a server of its own; none of its calls come here."),
        hint("Nothing arrives?", "Ask GET /v1/models with the same client. A call that reaches this server is listed, even if refused."))));

  const keys = /** @type {HTMLElement} */ (element.querySelector("p"));
  return {
    element,
    update() {
      const base = baseURL(context);
      setText(address, base);
      samples.update(base);
      variables.update(base);
      const own = context.state.settings?.api_key;
      const isOpen = !Array.isArray(own) || !own.length;
      setText(keys, `${isOpen ? "Any key is accepted." : "The keys of the settings are accepted."} Pictures appear here as soon as they are answered.`);
      const url = new URL(base);
      url.hostname = "host.docker.internal";
      setText(container, `Use ${url.href}, and start with --host 0.0.0.0.`);
    },
  };
}

/**
 * @param {string} title
 * @param {string | HTMLElement} text
 */
function hint(title, text) {
  return h("div", null, h("h2", null, title), h("p", { class: "muted" }, text));
}

/**
 * Texts to copy, one of which is shown.
 * @param {Context} context
 * @param {string} label
 * @param {readonly [string, (base: string) => string][]} texts
 */
function tabs(context, label, texts) {
  let chosen = 0, base = "";
  const code = h("pre", { class: "code", tabindex: 0, role: "tabpanel", "aria-label": label });
  const buttons = texts.map(([name], index) =>
    h("button", { type: "button", role: "tab", class: "tab", onclick: () => show(index) }, name));
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": label,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.stopPropagation();
      show((chosen + step + texts.length) % texts.length);
      buttons[chosen]?.focus();
    } }, buttons);

  /** @param {number} index */
  function show(index) {
    chosen = index;
    buttons.forEach((button, each) => {
      button.setAttribute("aria-selected", String(each === chosen));
      button.tabIndex = each === chosen ? 0 : -1;
    });
    const sample = texts[chosen];
    fill(code, sample ? sample[1](base) : "");
  }
  show(0);
  return {
    element: h("div", { class: "card sample" },
      h("div", { class: "sample-bar" }, bar,
        h("button", { class: "button plain", type: "button", onclick: () => context.copy(code.textContent, texts[chosen]?.[0] ?? label) }, icon("copy"), "Copy")),
      code),
    /** @param {string} next */
    update(next) {
      base = next;
      show(chosen);
    },
  };
}
