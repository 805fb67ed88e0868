// Calls to the server, all of them to paths beside the page.

import { readAnswer } from "./stream.js";
import { ChatError, fromStatus, ODD_ANSWER, UNREACHABLE } from "./words.js";

const VERSION = "api/version";
const CHAT = "api/chat";

/** `fetch`, with every failure but an abort turned into a ChatError. */
export async function request(path, options = {}, model = "") {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ChatError(UNREACHABLE, { cure: "wait" });
  }
  if (response.ok) return response;
  const { status } = response;
  const text = await response.text().catch(() => "");
  let detail = "";
  try {
    detail = String(JSON.parse(text).error ?? "");
  } catch {
    // Not JSON: an error page of something between, whose words would not help.
  }
  // The proxy's 503 has two causes. Version has a place of its own, and so tells which it is.
  const up = status === 503 && path !== VERSION ? await version().then(() => true, () => false) : null;
  const models = status === 404 && model ? await listModels().catch(() => []) : [];
  const after = Number(response.headers.get("Retry-After")) || 0;
  throw fromStatus(status, { detail, model, origin: location.origin, up, models: models.map((each) => each.name), after });
}

const post = (path, body, signal) =>
  request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal }, body.model);

async function json(asked) {
  const response = await asked;
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ChatError(ODD_ANSWER);
  }
}

/** The models on the server: {name, size (bytes), details, …}, as Ollama's /api/tags gives them. */
export async function listModels(signal) {
  return (await json(request("api/tags", { signal }))).models ?? [];
}

export async function version(signal) {
  return String((await json(request(VERSION, { signal }))).version ?? "");
}

/** Loads a model into memory, which is all that a chat without messages does. */
export const load = (model, signal) => json(post(CHAT, { model, messages: [], stream: false }, signal));

/** One turn of a chat; `onEvent` gets each line of the answer. Returns the last line. */
export async function ask({ model, messages, options, signal, onEvent }) {
  const response = await post(CHAT, { model, messages, options, stream: true }, signal);
  return readAnswer(response.body, onEvent, model);
}

/** One word for a single prompt, over the route that other programs use. */
export async function firstWord(model, signal) {
  const response = await post("api/ollama", { model, prompt: "Hi", stream: true, options: { num_predict: 1 } }, signal);
  return readAnswer(response.body, () => {}, model);
}
