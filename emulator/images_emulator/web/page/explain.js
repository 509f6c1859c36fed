// What a model takes for a parameter, worked out from the schemas of `GET models`.

/**
 * JSON Schema, as far as the models' parameters use it.
 * @typedef {object} Schema
 * @property {string} [type]
 * @property {unknown[]} [enum]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [maxLength]
 * @property {number} [maxItems]
 * @property {string} [description]
 * @property {unknown[]} [examples]
 * @property {object} [not]
 * @property {Record<string, Schema>} [properties]
 */

/**
 * @typedef {object} Model
 * @property {string | null} released
 * @property {string | null} shutdown
 * @property {string | null} replacement
 * @property {Record<string, Record<string, Schema>>} endpoints by path, then by media type
 */

/** @typedef {Record<string, Model>} Models */

/**
 * What a model takes for one parameter, and what was sent.
 * @typedef {object} Explanation
 * @property {string} subject who takes it: a model's name, or "The API" for the parameter `model`
 * @property {string[]} values what it takes, where these are few
 * @property {string | null} words the same as a phrase, where they are not
 * @property {string | null} sent what was sent, cut where it is long
 * @property {string[]} elsewhere models that take what was sent
 */

const MAX_VALUES = 16;
const MAX_SENT_CHARS = 60;

/**
 * The name of a parameter without what stands in brackets or after a dot: `image` of `image[0]`.
 * @param {string} param
 */
export const baseName = (param) => param.split(/[[.]/, 1)[0] ?? param;

/**
 * The path of an operation as the models' tables have it: `/v1/images/edits` also for Azure's.
 * @param {string} path
 */
const operationPath = (path) => `/v1/images/${path.split("/").at(-1)}`;

/**
 * The schemas of the parameters of an operation, of one body type or, without it, of the first.
 * @param {Model | undefined} model
 * @param {string} path
 * @param {string} [mediaType]
 * @returns {Record<string, Schema> | undefined}
 */
function parametersOf(model, path, mediaType) {
  const bodies = model?.endpoints[operationPath(path)];
  if (!bodies) return undefined;
  return (bodies[mediaType ?? ""] ?? Object.values(bodies)[0])?.properties;
}

/** @param {Schema | undefined} schema */
const isTaken = (schema) => schema !== undefined && !("not" in schema);

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/**
 * @param {unknown} value
 * @returns {string | null}
 */
function shortened(value) {
  if (value === undefined) return null;
  const whole = text(value);
  return whole.length > MAX_SENT_CHARS ? `${whole.slice(0, MAX_SENT_CHARS - 1)}…` : whole;
}

/**
 * A schema that names no values, as a phrase: "1 to 10", "at most 32,000 characters".
 * @param {Schema} schema
 * @returns {string | null}
 */
function phrase(schema) {
  const { minimum, maximum, maxLength, maxItems, type, description, examples } = schema;
  const number = (/** @type {number} */ value) => value.toLocaleString("en");
  if (minimum !== undefined && minimum === maximum) return number(minimum);
  if (minimum !== undefined && maximum !== undefined) return `${number(minimum)} to ${number(maximum)}`;
  if (minimum !== undefined) return `${number(minimum)} and more`;
  if (description) return examples?.length ? `${description} Such as ${examples[0]}.` : description;
  if (maxLength !== undefined) return `at most ${number(maxLength)} characters`;
  if (maxItems !== undefined) return `up to ${number(maxItems)} files`;
  if (type === "boolean") return "true and false";
  return type ? `${/^[aeio]/.test(type) ? "an" : "a"} ${type}` : null;
}

/**
 * Whether a schema names a value among those that it lists.
 * @param {Schema | undefined} schema
 * @param {unknown} value
 */
const lists = (schema, value) =>
  isTaken(schema) && [...(schema?.enum ?? []), ...(schema?.examples ?? [])].some((each) => text(each) === text(value));

/**
 * What the model takes for a parameter; null where the tables do not say.
 * @param {Models} models
 * @param {object} call
 * @param {string} call.path
 * @param {string | null} call.model
 * @param {string} [call.mediaType] of the request's body
 * @param {string} call.param
 * @param {unknown} [call.sent] undefined where nothing was sent
 * @returns {Explanation | null}
 */
export function explain(models, { path, model, mediaType, param, sent }) {
  const name = baseName(param);
  if (name === "model") {
    const values = Object.keys(models).filter((id) => parametersOf(models[id], path) && !models[id]?.shutdown);
    return values.length
      ? { subject: "This endpoint", values, words: null, sent: shortened(sent), elsewhere: [] }
      : null;
  }
  // The client may have sent any name, also one that each object has: "constructor".
  const parameters = parametersOf(model !== null && Object.hasOwn(models, model) ? models[model] : undefined, path, mediaType);
  if (!parameters || model === null) return null;
  const schema = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  const isWord = sent === undefined || typeof sent !== "object";
  if (schema === undefined || !isTaken(schema)) {
    const elsewhere = Object.keys(models).filter((id) => isTaken(parametersOf(models[id], path)?.[name]));
    return { subject: model, values: [], words: `no ${name}`, sent: null, elsewhere };
  }
  const values = (schema.enum ?? []).map(text);
  const elsewhere = isWord && sent !== undefined
    ? Object.keys(models).filter((id) => id !== model && lists(parametersOf(models[id], path)?.[name], sent))
    : [];
  const isListed = values.length > 0 && values.length <= MAX_VALUES;
  const words = isListed ? null : phrase(schema);
  if (!isListed && words === null) return null;
  return {
    subject: model,
    values: isListed ? values : [],
    words,
    sent: shortened(sent),
    // A value that the model takes is not the fault, such as one that another parameter forbids.
    elsewhere: values.includes(text(sent ?? "")) ? [] : elsewhere,
  };
}

/**
 * Words as a sentence lists them: "a", "a and b", "a, b and c".
 * @param {string[]} words
 */
export function listed(words) {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/**
 * Models by their shortest list: dated names go where the undated one is there.
 * @param {string[]} names
 * @param {number} [limit]
 */
export function fewModels(names, limit = 3) {
  const short = names.filter((name) => !/-\d{4}-\d{2}-\d{2}$/.test(name));
  const shown = short.slice(0, limit);
  const others = short.length - shown.length;
  return others > 0 ? `${shown.join(", ")} and ${others} more` : listed(shown);
}

/**
 * The explanation as one sentence without an end: "gpt-image-1.5 takes low, medium, high and auto".
 * @param {Explanation} explanation
 */
export function sentence({ subject, values, words, elsewhere }) {
  const takes = values.length ? listed(values) : words;
  const hint = words?.startsWith("no ") && elsewhere.length ? `; ${fewModels(elsewhere)} ${elsewhere.length > 1 ? "have" : "has"} it` : "";
  return `${subject} ${words?.startsWith("no ") ? "has" : "takes"} ${takes}${hint}`;
}
