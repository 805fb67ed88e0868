// Reads a streamed answer, and formats its figures and progress. Independent of the page.

import { ChatError, CUT_OFF, fromLine, NOT_OLLAMA } from "./words.js";

/** Splits text that arrives in chunks into lines: `push` returns the complete ones, `rest` the remainder. */
export function lineSplitter() {
  let rest = "";
  return {
    push(chunk) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      return lines;
    },
    rest: () => rest,
  };
}

/** Parses an NDJSON line to an object, or null if it is blank; throws a ChatError otherwise. */
export function parseLine(line, model = "") {
  if (!line.trim()) return null;
  let event = null;
  try {
    event = JSON.parse(line);
  } catch {}
  if (event === null || typeof event !== "object") throw new ChatError(NOT_OLLAMA, { detail: line.slice(0, 200) });
  if (event.error) throw fromLine(String(event.error), model);
  return event;
}

/**
 * Reads an NDJSON byte stream, calls `onEvent` with each object, and returns the last one, which has `done`.
 * Throws a ChatError if the stream ends or fails without it, and AbortError after an abort.
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
          // An incomplete last line means that the answer was cut off.
          if (done && error.message === NOT_OLLAMA) break;
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

/** Reads what follows the last line, to let the browser reuse the connection; errors don't matter. */
async function drain(reader) {
  try {
    while (!(await reader.read()).done);
  } catch {}
}

/** Formats the last line: tokens and their rate, and in seconds the `total` time and the part spent `loading`. */
export function summary({ eval_count: tokens, eval_duration: spent, done_reason: reason }, total = 0, loading = 0) {
  const parts = [];
  if (tokens > 0 && spent > 0) {
    const seconds = spent / 1e9; // Ollama counts nanoseconds
    const rate = tokens / seconds;
    parts.push(`${tokens} token${tokens === 1 ? "" : "s"} in ${seconds.toFixed(1)} s`, `${rate.toFixed(rate < 10 ? 1 : 0)} tokens per second`);
  }
  if (total) parts.push(`${total.toFixed(1)} s in total${loading >= 1 ? `, including ${loading.toFixed(1)} s to load the model` : ""}`);
  if (reason === "length") parts.push("stopped at the length limit");
  return parts.join(" · ") || "Done";
}

const DURING_SILENCE = {
  up: "The model server responds; the model may be busy with other prompts, or still reading a long one.",
  down: "The model server is not responding; it may be restarting.",
  away: "Can't reach the server right now.",
};
const STUCK =
  "No output for two minutes. If the model server is stuck, Hearth restarts it about now and this page reports that, unless “ollama_heal_stuck” is off. If there is still no output after three minutes, deploy again. You can also stop and try a smaller model.";
export const SILENCE = 20; // seconds without output until the page checks the server

/** The explanation of `seconds` without output, or "". `server`: the result of `serverState`, or "". */
export function silenceMessage(seconds, server = "") {
  if (seconds < SILENCE || !server) return "";
  return seconds >= 120 && server === "up" ? STUCK : DURING_SILENCE[server];
}

/** The status while there is no output; `loading`: the name of the model if it is still being loaded. */
export function waitingMessage(seconds, loading = "") {
  if (!loading) return `Thinking… ${seconds} s`;
  return `Loading ${loading} into memory… ${seconds} s${seconds >= 10 ? " (can take minutes on a small machine)" : ""}`;
}
