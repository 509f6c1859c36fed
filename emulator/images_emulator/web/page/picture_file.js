// A picture from the disk of the person at the page.

import * as format from "./format.js";

/** The largest picture that is taken, as the API's own limit of an image. */
const MAX_BYTES = 50 * 2 ** 20;

/** What the files begin with; a dot stands for any byte. The rows are those of `FILE_TYPES` in `file_types.py`. @type {readonly [string, RegExp][]} */
const FORMATS = [
  ["image/png", /^\x89PNG\r\n\x1a\n/s],
  ["image/jpeg", /^\xff\xd8\xff/s],
  ["image/webp", /^RIFF....WEBP/s],
  ["image/gif", /^GIF8[79]a/s],
];

/** The media types of pictures that are taken. */
export const MEDIA_TYPES = FORMATS.map(([type]) => type);

/**
 * A picture that was chosen. *url* is a data URL of the file, in which its name is.
 * @typedef {{name: string, bytes: number, url: string}} PictureFile
 */

/**
 * What is wrong with *files* that were dropped or chosen; empty where they are one picture.
 * @param {readonly File[]} files
 * @param {number} limit bytes of the largest body that the emulator takes
 */
export async function mistakeOf(files, limit) {
  const [file] = files;
  if (!file) return "There is no file in what was dropped.";
  if (files.length > 1) return `These are ${files.length} files. One picture at a time, please.`;
  // Base64 takes four bytes for three, and the rest of the body some more.
  const most = Math.min(MAX_BYTES, Math.floor((limit - 4096) * 0.75));
  if (file.size > most) return `${file.name} has ${format.bytes(file.size)}; a picture may have ${format.bytes(most)}.`;
  if (!(await mediaType(file))) return `${file.name} is no picture. It has to be a PNG, a JPEG, a WebP or a GIF.`;
  return "";
}

/**
 * @param {File} file
 * @returns {Promise<string | undefined>} undefined for what is no picture
 */
async function mediaType(file) {
  // A folder cannot be read.
  const head = await file.slice(0, 12).arrayBuffer().catch(() => new ArrayBuffer(0));
  const text = String.fromCharCode(...new Uint8Array(head));
  return FORMATS.find(([, start]) => start.test(text))?.[0];
}

/**
 * @param {File} file
 * @returns {Promise<PictureFile>}
 */
export async function readPicture(file) {
  const type = await mediaType(file);
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
  const data = url.slice(url.indexOf(",") + 1);
  return { name: file.name, bytes: file.size, url: `data:${type};name=${encodeURIComponent(file.name)};base64,${data}` };
}
