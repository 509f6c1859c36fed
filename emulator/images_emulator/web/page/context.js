// What the shell gives to the views, and what it asks of them.

/** @import { API, Summary, StreamEvent } from "./api.js" */
/** @import { Calls } from "./calls.js" */
/** @import { ServerState, StateKind } from "./server_state.js" */

/**
 * Changes of the address: by name, a value, or null to take it out. `call` is the id of the chosen
 * call; `view`, `picture`, `compare` and the like are the call view's own; the rest are filters.
 * @typedef {Record<string, string | null>} AddressChange
 */

/**
 * @typedef {object} Context
 * @property {API} api
 * @property {Calls} calls
 * @property {ServerState} state
 * @property {typeof import("./format.js")} format
 * @property {typeof import("./dom.js").h} h
 * @property {typeof import("./dom.js").icon} icon
 * @property {(text: string, action?: ToastAction) => void} toast shows a sentence for some seconds, with a button
 * @property {(error: unknown) => void} fail shows the sentence of an error
 * @property {(change: AddressChange, options?: {replace?: boolean}) => void} navigate
 * @property {(text: string | Promise<string>, what?: string) => Promise<void>} copy copies, and says so: `Copied ${what}`
 * @property {(id: string | null) => void} select chooses a call, or none
 * @property {(id: string) => {newer: string | null, older: string | null}} neighbours in the list as it is filtered
 * @property {(button: HTMLElement, items: MenuItem[]) => void} menu opens a menu at a button
 * @property {(call: Summary | null) => void} answerWith asks for a picture that answers calls like that one, or any
 */

/** @typedef {{label: string, run: () => void}} ToastAction */

/** @typedef {{label: string, key?: string, run: () => void}} MenuItem */

/**
 * A key and what it does. The help lists it by its label; bindings of the same label share a line.
 * @typedef {object} KeyBinding
 * @property {string} key as `KeyboardEvent.key` has it; `C` is Shift+c
 * @property {"Move" | "Call" | "Find" | "Page"} group
 * @property {string} label
 * @property {() => boolean | void} run false where it does nothing now
 */

/**
 * The view of one call, or of two side by side. `show` is called with the address's parameters
 * whenever the address changes and it has `call` or `compare`; `close` when it has neither.
 * `update`, `event` and `download` tell what is new of any call, and of hosted pictures.
 * @typedef {object} CallView
 * @property {HTMLElement} element
 * @property {(id: string | null, address: URLSearchParams) => void} show
 * @property {() => void} close
 * @property {(summary: Summary) => void} update
 * @property {(data: StreamEvent & {id: string}) => void} event
 * @property {(summary: Summary) => void} download
 * @property {KeyBinding[]} keys those that count while it is shown
 */

/** @typedef {"faults" | "answers" | "clock" | "as_of" | "validation" | "reset"} SectionName */

/**
 * The panel, which changes what the emulator does.
 * @typedef {object} Panel
 * @property {HTMLElement} element
 * @property {(section?: SectionName) => void} open
 * @property {() => void} openFaultForm opens it with the form for a fault of one's own
 * @property {() => void} close
 * @property {boolean} isOpen
 * @property {() => void} onchange called when it was opened or closed, also by its own button
 * @property {(kind: StateKind) => void} update
 */

export {};
