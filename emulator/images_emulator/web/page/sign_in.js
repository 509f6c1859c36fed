// Asks for the admin token, where the emulator wants one.

import { APIError } from "./api.js";
import { h } from "./dom.js";

/** @import { API } from "./api.js" */

/**
 * @param {API} api
 * @param {() => void} onsigned
 * @returns {() => void} opens the form, unless it is open
 */
export function createSignIn(api, onsigned) {
  const input = h("input", { class: "input", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "sign-in-error" });
  const error = h("p", { class: "bad small", id: "sign-in-error", role: "alert" });
  const dialog = h("dialog", { class: "dialog sign-in", "aria-labelledby": "sign-in-title",
    // Without the token there is nothing behind it.
    oncancel: (/** @type {Event} */ event) => event.preventDefault() },
    h("header", null, h("h2", { id: "sign-in-title" }, "This emulator wants its admin token")),
    h("form", { onsubmit: submit },
      h("p", { class: "muted" }, "It is the value of --admin-token or IMAGES_EMULATOR_ADMIN_TOKEN. This browser keeps a cookie for it, which no script can read."),
      h("label", { class: "field" }, "Admin token", input), error,
      h("button", { class: "button primary" }, "Open")));

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    try {
      await api.signIn(input.value);
      input.value = "";
      dialog.close();
      dialog.remove();
      onsigned();
    } catch (failure) {
      const isWrong = failure instanceof APIError && failure.status === 401;
      error.textContent = isWrong ? "That is not the token." : failure instanceof Error ? failure.message : String(failure);
      input.select();
    }
  }

  return () => {
    if (dialog.open) return;
    error.textContent = "";
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  };
}
