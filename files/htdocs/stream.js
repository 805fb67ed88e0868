// Reading an answer as it comes, and how its numbers read. Knows nothing of the page.

import { ChatError, CUT_OFF, fromLine, ODD_ANSWER } from "./words.js";

/** Cuts text that comes in pieces into lines: `push` gives those completed, `rest` what is left. */
export function lineSplitter() {
  let rest = "";
  return {
    push(piece) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop();
      return lines;
    },
    rest: () => rest,
  };
}

/** One NDJSON line as an object, or null for a blank one; a ChatError for anything else. */
export function parseLine(line, model = "") {
  if (!line.trim()) return null;
  let event = null;
  try {
    event = JSON.parse(line);
  } catch {}
  if (event === null || typeof event !== "object") throw new ChatError(ODD_ANSWER, { detail: line.slice(0, 200) });
  if (event.error) throw fromLine(String(event.error), model);
  return event;
}

/**
 * Reads an NDJSON byte stream, calls `onEvent` with each object, and returns the last one, which says `done`.
 * A stream that ends or breaks without it is a ChatError; an abort passes through as AbortError.
 */
export async function readAnswer(stream, onEvent, model = "") {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const splitter = lineSplitter();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const lines = splitter.push(done ? decoder.decode() : decoder.decode(value, { stream: true }));
      if (done) lines.push(splitter.rest());
      for (const line of lines) {
        let event;
        try {
          event = parseLine(line, model);
        } catch (error) {
          // Half a line at the very end is a cut, not nonsense.
          if (done && error.message === ODD_ANSWER) break;
          throw error;
        }
        if (!event) continue;
        onEvent(event);
        if (event.done) {
          drain(reader);
          return event;
        }
      }
      if (done) throw new ChatError(CUT_OFF);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof ChatError || error.name === "AbortError") throw error;
    throw new ChatError(CUT_OFF);
  }
}

/** Reads what follows the last line, so that the connection can be used again; how it ends does not matter. */
async function drain(reader) {
  try {
    while (!(await reader.read()).done);
  } catch {}
}

/** The last line in words: tokens and their rate, `all` the time it took, and how much was loading (seconds). */
export function summary({ eval_count: tokens, eval_duration: spent, done_reason: reason }, all = 0, loading = 0) {
  const parts = [];
  if (tokens > 0 && spent > 0) {
    const seconds = spent / 1e9; // Ollama counts nanoseconds
    const rate = tokens / seconds;
    parts.push(`${tokens} token${tokens === 1 ? "" : "s"} in ${seconds.toFixed(1)} s`, `${rate.toFixed(rate < 10 ? 1 : 0)} tokens per second`);
  }
  if (all) parts.push(`${all.toFixed(1)} s in all${loading >= 1 ? `, ${loading.toFixed(1)} s of it loading the model` : ""}`);
  if (reason === "length") parts.push("ended at the length limit");
  return parts.join(" · ") || "Done";
}

const WHILE_QUIET = {
  up: "The model server answers; the model may be busy with other questions, or with reading a long one.",
  down: "The model server does not answer now; it may be restarting.",
  away: "The server can't be reached now.",
};
const STUCK =
  "Nothing for two minutes. If the model server is stuck, Hearth restarts it about now, unless “ollama_heal_stuck” is off; this page then says so. If nothing comes after three minutes, deploy again. You can also stop, and ask a smaller model.";
export const QUIET = 20; // seconds without a word, after which the page asks how the server is

/** What is known when nothing was heard for so many `seconds`, or "". `server`: as `serverState` says, or "". */
export function quietSentence(seconds, server = "") {
  if (seconds < QUIET || !server) return "";
  return seconds >= 120 && server === "up" ? STUCK : WHILE_QUIET[server];
}

/** What to say while nothing is heard; `loading` names the model that is being loaded, else it is thinking. */
export function waitingSentence(seconds, loading = "") {
  if (!loading) return `Thinking… ${seconds} s`;
  return `Loading ${loading} into memory… ${seconds} s${seconds >= 10 ? " (on a small machine, a minute or more)" : ""}`;
}
