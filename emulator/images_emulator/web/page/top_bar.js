// The bar at the top: where the emulator is, what is not as by default, and whether it is live.

import { ROOT } from "./api.js";
import { fill, h, icon, setText } from "./dom.js";
import * as format from "./format.js";
import { createNamespaces } from "./namespaces.js";

/** @import { Context, SectionName } from "./context.js" */
/** @import { Live, LiveState } from "./live.js" */

/** @type {Record<LiveState, string>} */
const LIVE_WORDS = { connecting: "Connecting", live: "Live", paused: "Paused", reconnecting: "Reconnecting", stopped: "Stopped", locked: "Locked" };

/** The base URL of the API for SDKs. @param {Context} context */
export function baseURL(context) {
  const own = context.state.settings?.public_url;
  return own ? `${String(own).replace(/\/+$/, "")}/v1` : new URL("../v1", ROOT).href;
}

export class TopBar {
  /**
   * @param {Context} context
   * @param {{live: () => Live, onpanel: (section?: SectionName) => void, onhelp: () => void}} options
   */
  constructor(context, options) {
    this.context = context;
    this.options = options;
    this.address = h("span", { class: "mono" });
    this.base = h("button", { class: "button base-url", type: "button", title: "Copy the base URL", onclick: () => context.copy(baseURL(context), "the base URL") },
      this.address, icon("copy"));
    this.namespaces = createNamespaces(context, () => options.live().state === "live");
    this.modes = h("div", { class: "modes" });
    this.dot = h("span", { class: "dot" });
    this.word = h("span", { class: "live-word" });
    this.live = h("button", { class: "button plain live", type: "button", onclick: () => this.togglePause() }, this.dot, this.word);
    this.theme = h("button", { class: "button plain square", type: "button", onclick: () => this.toggleTheme() });
    this.panelButton = h("button", { class: "button panel-button", type: "button", "aria-pressed": "false", onclick: () => options.onpanel() },
      icon("panel"), h("span", { class: "spare" }, "Switches"));
    this.element = h("header", { class: "bar" },
      h("a", { class: "brand", href: "#", "aria-label": "images-emulator, back to the pictures" },
        h("img", { src: "page/mark.svg", alt: "", width: 18, height: 18 }), h("span", null, "images-emulator")),
      this.namespaces.element, this.base, this.modes, h("span", { class: "bar-space" }), this.live, this.theme,
      h("button", { class: "button plain square not-phone", type: "button", "aria-label": "Keyboard", title: "Keyboard (?)", onclick: options.onhelp }, icon("keyboard")),
      this.panelButton);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#showTheme());
    context.state.subscribe(() => this.update());
    this.#showTheme();
    this.showLive("connecting");
    this.update();
  }

  /** @param {boolean} isOpen whether the panel is */
  showPanelOpen(isOpen) {
    this.panelButton.setAttribute("aria-pressed", String(isOpen));
  }

  /** Settings, clock and faults as they are. */
  update() {
    const { settings, clock } = this.context.state;
    setText(this.address, baseURL(this.context));
    this.base.setAttribute("aria-label", `Copy the base URL ${this.address.textContent}`);
    /** @type {(HTMLElement | null)[]} */
    const modes = [];
    if (settings) {
      const isDated = settings.as_of !== "any";
      modes.push(this.#mode("as_of", isDated || this.#changed("as_of"), null, `As of ${/^\d/.test(settings.as_of) ? format.day(`${settings.as_of}T12:00`) : settings.as_of}`));
      const isLenient = settings.validation === "lenient";
      modes.push(this.#mode("validation", isLenient || this.#changed("validation"), null, isLenient ? "Lenient" : "Strict"));
    }
    if (clock && (clock.frozen || Math.abs(clock.offset_seconds ?? 0) >= 1))
      modes.push(this.#mode("clock", true, "clock", clock.frozen ? "Clock frozen" : `Clock ${clock.offset_seconds < 0 ? "−" : "+"}${largest(clock.offset_seconds)}`));
    const faults = this.context.state.unspentFaults().length;
    if (faults) modes.push(this.#mode("faults", true, "fault", format.count(faults), faults === 1 ? " fault armed" : " faults armed"));
    const answers = this.context.state.unspentAnswers().length;
    if (answers) modes.push(this.#mode("answers", true, "picture", format.count(answers), answers === 1 ? " answer" : " answers"));
    fill(this.modes, modes);
  }

  /** @param {string} name of a setting */
  #changed(name) {
    return this.context.state.settings?.changed?.includes(name) ?? false;
  }

  /**
   * @param {SectionName} section
   * @param {boolean} isAmber
   * @param {"clock" | "fault" | "picture" | null} picture
   * @param {string} text
   * @param {string} [more] what a phone has no room for
   */
  #mode(section, isAmber, picture, text, more) {
    return h("button", { class: `button mode mode-${section} ${isAmber ? "amber" : "plain"}`, type: "button", onclick: () => this.options.onpanel(section) },
      picture && icon(picture), h("span", null, text, more && h("span", { class: "spare" }, more)));
  }

  /** @param {LiveState} state */
  showLive(state) {
    this.dot.dataset.state = state;
    setText(this.word, LIVE_WORDS[state]);
    if (state === "live") void this.namespaces.update();
    this.live.title = state === "paused" ? "Resume (p)" : "Pause (p)";
    this.live.setAttribute("aria-pressed", String(state === "paused"));
  }

  togglePause() {
    const live = this.options.live();
    live.paused = !live.paused;
  }

  #isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  toggleTheme() {
    const theme = this.#isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Without storage the choice lasts until the page is loaded again.
    }
    this.#showTheme();
  }

  #showTheme() {
    const isDark = this.#isDark();
    fill(this.theme, icon(isDark ? "sun" : "moon"));
    this.theme.setAttribute("aria-label", isDark ? "Light theme" : "Dark theme");
    this.theme.title = `${isDark ? "Light" : "Dark"} (t)`;
  }
}

/** The largest unit of a span: `4 min`. @param {number} seconds */
function largest(seconds) {
  return format.span(seconds).split(" ").slice(0, 2).join(" ");
}
