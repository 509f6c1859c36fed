// Numbers, times and the like as people read them. A number is never cut.

const NUMBER = new Intl.NumberFormat("en-US");

/**
 * 7024 → `7,024`.
 * @param {number} value
 */
export function count(value) {
  return NUMBER.format(value);
}

/**
 * A number and its noun: `1 call`, `2 calls`.
 * @param {number} value
 * @param {string} noun
 * @param {string} [plural] where it is not the noun and an s
 */
export function counted(value, noun, plural = `${noun}s`) {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/**
 * Bytes as a person says them: `812 B`, `6.8 KB`, `81 KB`, `1.3 MB`; a KB has 1,024 bytes.
 * @param {number} value
 */
export function bytes(value) {
  let unit = "B", amount = value;
  for (const next of ["KB", "MB", "GB"]) {
    // What would be rounded to 1,024 is one of the next unit.
    if (Math.round(amount) < 1024) break;
    amount /= 1024;
    unit = next;
  }
  return `${unit === "B" || amount >= 9.95 ? count(Math.round(amount)) : amount.toFixed(1)} ${unit}`;
}

/**
 * Dollars, to a tenth of a cent below ten cents and to a cent above: `$0.006`, `$0.041`, `$2.68`.
 * What is less than a tenth of a cent has the digit that counts.
 * @param {number} value
 */
export function price(value) {
  if (value === 0) return "$0";
  if (value < 0.00005) return "<$0.0001";
  const digits = value < 0.001 ? 4 : value < 0.0995 ? 3 : 2;
  return value < 1000 ? `$${value.toFixed(digits)}` : `$${count(Math.round(value))}`;
}

/**
 * A duration of milliseconds: `<1 ms`, `37 ms`, `7.06 s`, `28.2 s`, `4 min 12 s`, `2 h 5 min`.
 * @param {number} ms
 */
export function duration(ms) {
  if (ms < 1) return "<1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return span(seconds);
}

/**
 * A span of whole units, the two largest: `4 min 12 s`, `3 days 2 h`. Its sign is left out.
 * @param {number} seconds
 */
export function span(seconds) {
  const whole = Math.round(Math.abs(seconds));
  const days = Math.floor(whole / 86400), hours = Math.floor((whole % 86400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60), rest = whole % 60;
  const parts = [
    days && counted(days, "day"), hours && `${hours} h`, minutes && `${minutes} min`, rest && `${rest} s`,
  ].filter(Boolean);
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, "0");
}

/**
 * HH:MM:SS in this browser's zone, as the terminal has it.
 * @param {string | Date} moment ISO 8601, or a date
 */
export function time(moment) {
  const date = new Date(moment);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/**
 * `25 Nov 2026`, in this browser's zone.
 * @param {string | Date} moment
 */
export function day(moment) {
  return DAY.format(new Date(moment));
}

/**
 * `1024×1536`.
 * @param {number} width
 * @param {number} height
 */
export function pixels(width, height) {
  return `${width}×${height}`;
}

/**
 * A name of a fault or a code as words: `rate_limit_exceeded` → `rate limit exceeded`.
 * @param {string} name
 */
export function words(name) {
  return name.replaceAll("_", " ");
}

/**
 * The two ends of an id: `req_80f8f4c1…5b9b`.
 * @param {string} id
 */
export function shortId(id) {
  return id.length > 20 ? `${id.slice(0, 12)}…${id.slice(-4)}` : id;
}

/**
 * What a call is called: its prompt, else its upload, else its path.
 * @param {{prompt: string | null, path: string, method: string, uploads: {name: string | null}[]}} call
 */
export function title(call) {
  const prompt = call.prompt?.trim();
  if (prompt) return prompt;
  const name = call.uploads.find((each) => each.name)?.name;
  if (name) return `${call.path.endsWith("/variations") ? "Variation" : "Edit"} of ${name}`;
  return `${call.method} ${call.path}`;
}
