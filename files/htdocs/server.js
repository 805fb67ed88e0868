// Requests to the server, all relative to the page.

import { canChat } from "./abilities.js";
import { readAnswer } from "./stream.js";
import { ChatError, CONNECTION_LOST, fromStatus, NOT_OLLAMA, RESTARTED, UNREACHABLE } from "./words.js";

const VERSION = "api/version";
const CHAT = "api/chat";

let pool = ""; // in front of the API's paths: "", or "big/"

/** Sends requests to a named pool of backends from now on, or with "" to the default one. */
export function usePool(name) {
  pool = name && `${name}/`;
}

/** A signal that aborts after some seconds, which only younger browsers have built in, or with its controller. */
export function within(seconds, controller = new AbortController()) {
  setTimeout(() => controller.abort(new DOMException("", "TimeoutError")), seconds * 1000);
  return controller.signal;
}

/** Waits for `pending`, but only until the user stops: a check of the server takes seconds. */
export const unlessStopped = (pending, signal) =>
  Promise.race([pending, new Promise((_, reject) => {
    const stop = () => signal.reason.name === "AbortError" && reject(signal.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
  })]);

/** `fetch` that throws a ChatError for every failure except an abort. */
export async function request(path, options = {}, model = "") {
  const started = performance.now();
  const { signal } = options;
  let response;
  try {
    response = await fetch(path.startsWith("api/") ? pool + path : path, { cache: "no-store", ...options });
  } catch (error) {
    // Not by the error: older browsers report a timeout as an abort.
    const isLate = signal?.reason?.name === "TimeoutError";
    if (error.name === "AbortError" && !isLate) throw error;
    // The proxy also closes the connection if the model server exits while it has the prompt.
    const state = path === VERSION || isLate ? "away" : await unlessStopped(serverState(), signal);
    const sentence = { up: CONNECTION_LOST, down: RESTARTED, away: UNREACHABLE }[state];
    throw new ChatError(sentence, { cure: "wait" });
  }
  if (response.ok) return response;
  const { status } = response;
  const text = await response.text().catch(() => "");
  let detail = "";
  try {
    detail = String(JSON.parse(text).error ?? "");
  } catch {
    // Not JSON: the error page of another proxy, whose text would not help.
  }
  // The proxy's 502 and 503 have two causes each; api/version, which has its own slot, tells them apart.
  const up = [502, 503].includes(status) && path !== VERSION ? (await unlessStopped(serverState(), signal)) === "up" : null;
  const models = status === 404 && model ? (await unlessStopped(listModels(within(5)).catch(() => []), signal)).filter(canChat) : [];
  const after = Number(response.headers.get("Retry-After")) || 0;
  const waited = (performance.now() - started) / 1000;
  throw fromStatus(status, { detail, model, origin: location.origin, up, models: models.map((each) => each.name), after, waited });
}

const post = (path, body, signal) =>
  request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal }, body.model);

async function json(pending) {
  const response = await pending;
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error.name === "SyntaxError") throw new ChatError(NOT_OLLAMA);
    throw new ChatError(error.name === "TimeoutError" ? UNREACHABLE : CONNECTION_LOST, { cure: "wait" });
  }
}

/** The models on the server: {name, size (bytes), details, …}, as in Ollama's /api/tags. */
export async function listModels(signal) {
  return (await json(request("api/tags", { signal }))).models ?? [];
}

const cache = new Map(); // a model's digest → its capabilities

/** The same with `capabilities`, if available: from the list (newer Ollama), or from /api/show for each model. */
export async function describeModels(signal) {
  return Promise.all((await listModels(signal)).map(async (model) => {
    const { name, digest } = model;
    if (model.capabilities) return model;
    if (!cache.has(digest)) {
      const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ model: name }) };
      const { capabilities } = await json(request("api/show", { ...options, signal: within(5) })).catch(() => ({}));
      if (!Array.isArray(capabilities)) return model;
      cache.set(digest, capabilities);
    }
    return { ...model, capabilities: cache.get(digest) };
  }));
}

export async function version(signal) {
  return String((await json(request(VERSION, { signal }))).version ?? "");
}

/** The state of the model server: "up", "down" (according to the proxy), or "away" (nothing responds). */
export const serverState = () =>
  version(within(5)).then(() => "up", ({ message }) => (message === UNREACHABLE ? "away" : "down"));

/** Loads a model into memory: a chat without messages does only that. */
export const loadModel = (model, signal) => json(post(CHAT, { model, messages: [], stream: false }, signal));

/** One turn of a chat. A chat that is too long is an error: Ollama would leave out its beginning silently. `onEvent` gets each line of the answer. Returns the last line. */
export async function sendPrompt({ model, messages, options, think, signal, onEvent }) {
  const response = await post(CHAT, { model, messages, options, think, truncate: false, stream: true }, signal);
  return readAnswer(response.body, onEvent, model);
}

/** Requests a single token, over the route of API clients. */
export async function testPrompt(model, signal) {
  const response = await post("api/ollama", { model, prompt: "Hi", stream: true, options: { num_predict: 1 } }, signal);
  return readAnswer(response.body, () => {}, model);
}
