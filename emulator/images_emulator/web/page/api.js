// The documented admin API, by fetch. Its errors are sentences.

/**
 * @typedef {"answered" | "refused" | "cut" | "failed" | "gone" | "waiting"} Outcome
 * `cut`: a fault, a recording or the stop of the server ended the answer; `failed`: a stream that
 * ended with an error event; `gone`: the client left first; `waiting`: it is not over.
 */

/**
 * @typedef {object} Upload  A picture that the client sent.
 * @property {string} field
 * @property {string} name
 * @property {string} source how it came
 * @property {string | null} type media type
 * @property {number | null} bytes
 * @property {[number, number] | null} pixels width and height
 * @property {string | null} url
 * @property {string | null} thumbnail for an edge of 96 or 480, see `thumbnail()`
 */

/**
 * @typedef {object} Picture  A picture that left whole.
 * @property {number} index
 * @property {string | null} url null where it cannot be drawn again any more; so is the thumbnail
 * @property {string | null} thumbnail see `thumbnail()`
 * @property {number} width
 * @property {number} height
 * @property {string} format
 * @property {number | null} bytes
 */

/**
 * @typedef {object} Usage
 * @property {number} input_tokens
 * @property {number} input_text_tokens
 * @property {number} input_image_tokens
 * @property {number} output_tokens
 * @property {number} output_text_tokens
 * @property {number} output_image_tokens
 * @property {number} total_tokens
 */

/** @typedef {{message: string, type: string | null, param: string | null, code: string | null}} CallError */

/**
 * @typedef {object} Summary  One call.
 * @property {string} id
 * @property {number} number its number in the order of arrival since the last reset, from 1; 0 where
 *   a shared store got the call late: `Calls` knows the place of such a call
 * @property {"call" | "download"} kind
 * @property {string} time of arrival by the emulator's clock, ISO 8601
 * @property {string} method
 * @property {string} path
 * @property {string | null} key redacted
 * @property {string | null} sdk
 * @property {number} retries
 * @property {string | null} model
 * @property {string | null} prompt
 * @property {Record<string, any>} parameters with their values in force
 * @property {string[]} sent the names that the client sent
 * @property {Upload[]} uploads
 * @property {number | null} status
 * @property {Outcome} outcome
 * @property {CallError | null} error
 * @property {number | null} duration_ms
 * @property {number} event_count sent so far
 * @property {number} partial_count number of partial images sent so far
 * @property {Picture[]} pictures
 * @property {Usage | null} usage
 * @property {number | null} price_usd
 * @property {string | null} fault
 * @property {string | null} recording name of the recording that answered
 * @property {string | null} own_answer name of the answer of one's own: of its picture, or what else it is
 * @property {string[]} violations forgiven, as `param: code`
 * @property {string[]} notices the emulator's own sentences on the call
 * @property {boolean} is_kept_whole false once something of it is not kept any more
 */

/**
 * @typedef {object} StreamEvent  An event of a stream, sent.
 * @property {number} index
 * @property {string} type
 * @property {number} ms since the arrival
 * @property {number} bytes
 * @property {string | null} partial URL of its partial image
 * @property {string | null} thumbnail
 */

/**
 * @typedef {object} NearMiss
 * @property {string | null} step
 * @property {string} name
 * @property {string} label the name of a fault, an answer or a recording
 * @property {string} kind a key of `match` that differs, `target`, `after`, `chance`, `spent` or `recording`
 * @property {string} reason
 * @property {boolean} spent
 */

/** @typedef {{id: string, number: number, time: string, retries: number, status: number | null, outcome: Outcome}} Attempt */
/** @typedef {{name: string, value: string | null, upload: number | null}} FormPart */
/** @typedef {{headers: Record<string, string>, body: string | null, is_whole: boolean}} Answer */

/**
 * @typedef {object} DetailPart
 * @property {string} query
 * @property {Record<string, string>} headers
 * @property {string | null} body
 * @property {string | null} body_url
 * @property {FormPart[] | null} form
 * @property {Answer | null} answer
 * @property {StreamEvent[]} stream_events
 * @property {string | null} hosted URL of the picture of a download
 * @property {NearMiss[]} near_misses
 * @property {Attempt[]} attempts
 * @property {string[]} dropped `body`, `pictures`: what was let go for memory
 */

/** @typedef {Summary & DetailPart} Detail */

/**
 * @typedef {object} Step
 * @property {string} id
 * @property {string} name
 * @property {boolean} injected
 * @property {(Record<string, any> & {kind: string}) | null} fault
 * @property {Record<string, any> | null} answer
 * @property {string} title
 * @property {Record<string, any>} match
 * @property {number | null} times
 * @property {number} after
 * @property {number} probability
 * @property {number} met
 * @property {boolean} spent
 */

/** @typedef {Record<string, any> & {as_of: string, validation: "strict" | "lenient", changed?: string[]}} Settings */
/** @typedef {{now: string, frozen: boolean, offset_seconds: number}} Clock */
/** @typedef {{steps: Step[]}} Scenario */
/** @typedef {{name: string, calls: number, last_used: string}} Namespace */
/** @typedef {{pictures: number, next_expiry: string | null}} Hosting */
/** @typedef {{name: string, type: string, default: any, minimum: number | null, maximum: number | null, choices: any[] | null, summary: string}} FaultField */
/** @typedef {{kind: string, summary: string, for_downloads: boolean, for_streams: boolean, fields: FaultField[]}} FaultKind */
/** @typedef {{faults: FaultKind[], errors: {name: string, status: number, summary: string}[]}} Faults */

/**
 * Counts per value over all kept calls, and the sums.
 * @typedef {Record<"model" | "status" | "outcome" | "fault" | "key" | "path", Record<string, number>> & {pictures: number, price_usd: number}} Counts
 */

/** @typedef {{requests: Summary[], total: number, dropped: number, counts?: Counts}} Page */

/** An answer that is no success. The message is the emulator's own sentence. */
export class APIError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 where there was no answer
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The root of the admin API: the page's own address. */
export const ROOT = new URL("./", document.baseURI);

/**
 * The address of a path below `/_emulator`, or of a path that the API has told.
 * @param {string} path
 */
export function address(path) {
  if (path.startsWith("/_emulator/")) return new URL(path.slice("/_emulator/".length), ROOT).href;
  return new URL(path, ROOT).href;
}

/**
 * The thumbnail for *edge*, the longest edge in pixels. The API tells the address of one edge.
 * @param {string} url
 * @param {96 | 480} edge
 */
export function thumbnail(url, edge) {
  return address(url.replace(/\/(96|480|\{edge\})$/, `/${edge}`));
}

export class API {
  constructor() {
    /** Called where the API wants the admin token. @type {() => void} */
    this.onunauthorized = () => {};
  }

  /**
   * @param {string} path below `/_emulator/`
   * @param {RequestInit & {json?: unknown}} [options]
   * @returns {Promise<Response>} raises APIError
   */
  async fetch(path, options = {}) {
    const { json, ...init } = options;
    if (json !== undefined) {
      init.body = JSON.stringify(json);
      init.headers = { "Content-Type": "application/json", ...init.headers };
    }
    let response;
    try {
      response = await fetch(address(path), init);
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new APIError("The server does not answer.", 0);
    }
    if (response.ok) return response;
    const message = await sentence(response);
    if (response.status === 401 && path !== "session") this.onunauthorized();
    throw new APIError(message, response.status);
  }

  /**
   * The JSON that is answered.
   * @param {string} path
   * @param {RequestInit & {json?: unknown}} [options]
   * @returns {Promise<any>} raises APIError
   */
  async json(path, options) {
    return (await this.fetch(path, options)).json();
  }

  /**
   * @param {string} path
   * @returns {Promise<string>} raises APIError
   */
  async text(path) {
    return (await this.fetch(path)).text();
  }

  /**
   * Calls, newest last.
   * @param {Record<string, string | number | string[]>} [filters]
   * @returns {Promise<Page>}
   */
  requests(filters = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filters))
      for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
    return this.json(`requests?${query}`);
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<Detail>}
   */
  detail(id, signal) {
    return this.json(`requests/${encodeURIComponent(id)}`, { signal });
  }

  /**
   * Code that makes the call again.
   * @param {string} id
   * @param {"curl" | "python" | "javascript" | "pytest"} language
   */
  code(id, language) {
    return this.text(`requests/${encodeURIComponent(id)}/code/${language}`);
  }

  /** @returns {Promise<Settings>} */
  settings() {
    return this.json("settings");
  }

  /**
   * @param {Partial<Settings>} changes
   * @returns {Promise<Settings>}
   */
  changeSettings(changes) {
    return this.json("settings", { method: "PATCH", json: changes });
  }

  /** @returns {Promise<Clock>} */
  clock() {
    return this.json("clock");
  }

  /**
   * @param {{advance: number} | {freeze: string} | {resume: true}} move
   * @returns {Promise<Clock>}
   */
  moveClock(move) {
    return this.json("clock", { method: "POST", json: move });
  }

  /** @returns {Promise<Scenario>} */
  scenario() {
    return this.json("scenario");
  }

  /**
   * @param {unknown} document
   * @returns {Promise<Scenario>}
   */
  putScenario(document) {
    return this.json("scenario", { method: "PUT", json: document });
  }

  /** @returns {Promise<Scenario>} */
  clearScenario() {
    return this.json("scenario", { method: "DELETE" });
  }

  /**
   * @param {string} id
   * @returns {Promise<Scenario>}
   */
  removeStep(id) {
    return this.json(`scenario/steps/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  /**
   * @param {unknown} step
   * @returns {Promise<Scenario & {injected: string}>} `injected`: the id of the step
   */
  inject(step) {
    return this.json("inject", { method: "POST", json: step });
  }

  /** @returns {Promise<{scenarios: {name: string, summary: string, steps: number}[]}>} */
  scenarios() {
    return this.json("scenarios");
  }

  /**
   * @param {string} name
   * @returns {Promise<unknown>}
   */
  readyScenario(name) {
    return this.json(`scenarios/${encodeURIComponent(name)}`);
  }

  /** Those of the server, beside the default one. @returns {Promise<{namespaces: Namespace[]}>} */
  namespaces() {
    return this.json("namespaces");
  }

  /** @returns {Promise<Faults>} */
  faults() {
    return this.json("faults");
  }

  /** @returns {Promise<Hosting>} */
  hosting() {
    return this.json("hosting");
  }

  /** Each model's dates and schemas. @returns {Promise<any>} */
  models() {
    return this.json("models");
  }

  /** Everything as at the start. */
  reset() {
    return this.json("reset", { method: "POST" });
  }

  /**
   * Give the admin token, for a cookie that stands in for it from then on.
   * @param {string} token
   */
  async signIn(token) {
    await this.fetch("session", { method: "POST", json: { token } });
  }
}

/**
 * The sentence of an error.
 * @param {Response} response
 */
async function sentence(response) {
  try {
    const { error } = await response.json();
    if (typeof error?.message === "string") return /** @type {string} */ (error.message);
  } catch {
    // It is no JSON: something else than the emulator has answered.
  }
  return `The server answered ${response.status}.`;
}
