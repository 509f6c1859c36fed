// What a program in JavaScript prints: one line of JSON for each operation.

/**
 * Runs each operation, and prints what it gives: a list of pictures (base64), or an object. A text
 * in place of a function is the reason why the client has no such operation. What an operation
 * throws is printed, and the others go on.
 */
export async function run(operations) {
  for (const [operation, make] of Object.entries(operations)) {
    let result;
    try {
      result = typeof make === "string" ? { cannot: make } : await make();
      if (Array.isArray(result)) result = { images: result };
    } catch (error) {
      result = { raised: String(error).slice(0, 2000), traceback: String(error?.stack) };
    }
    console.log(JSON.stringify({ operation, ...result }));
  }
}
