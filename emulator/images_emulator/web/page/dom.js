// Elements made from text. Nothing here, nor anywhere on the page, parses HTML.

import { ICONS } from "./icons.js";

/**
 * What an element can have as a child; null, undefined and false leave it out.
 * @typedef {Node | string | number | null | undefined | false | Child[]} Child
 */

/**
 * Attributes and properties of an element by name. A function is a listener of the event in its
 * name (`onclick`); `class`, `dataset` and `style` (an object) are as their names say; `true` sets
 * an empty attribute, and null, undefined and `false` leave it out. Other names are attributes.
 * @typedef {Record<string, any>} Props
 */

/** Attributes that would run a text or parse it, in lower case. */
const FORBIDDEN = new Set(["srcdoc", "innerhtml", "outerhtml"]);

/**
 * A new element. Children that are text become text nodes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  if (props) setProps(element, props);
  append(element, children);
  return element;
}

/**
 * Set attributes and listeners, as `h` does.
 * @param {HTMLElement | SVGElement} element
 * @param {Props} props
 */
export function setProps(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (FORBIDDEN.has(name.toLowerCase())) throw new TypeError(`${name} is no text`);
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, String(text));
    else if (name === "dataset") for (const [key, text] of Object.entries(value)) element.dataset[key] = String(text);
    else if (name === "value" && "value" in element) element.value = value;
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (/^on/i.test(name)) throw new TypeError(`${name} takes a function`);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * Add *children* at the end of *parent*.
 * @param {Element} parent
 * @param {Child[]} children
 */
export function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(typeof child === "number" ? String(child) : child);
  }
}

/**
 * Put *children* in place of all that *parent* has.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * Set the text of *node*, if it is another one.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * An icon of `icons.js`, 16 by 16, in the colour of the text. It is for the eye alone: the control
 * around it has the words.
 * @param {keyof typeof ICONS} name
 * @param {string} [className] `small` is 12 by 12
 * @returns {SVGSVGElement}
 */
export function icon(name, className = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", className ? `icon ${className}` : "icon");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
