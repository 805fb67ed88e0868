// Calls to the server, all of them to paths beside the page.

import { talks } from "./abilities.js";
import { readAnswer } from "./stream.js";
import { BROKEN_OFF, ChatError, fromStatus, ODD_ANSWER, RESTARTED, UNREACHABLE } from "./words.js";

const VERSION = "api/version";
const CHAT = "api/chat";

/** `fetch`, with every failure but an abort turned into a ChatError. */
export async function request(path, options = {}, model = "") {
  const began = performance.now();
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    // The proxy closes a connection without an answer, too, when the model server goes away with the question.
    const now = path === VERSION || error.name === "TimeoutError" ? "away" : await serverState();
    const sentence = { up: BROKEN_OFF, down: RESTARTED, away: UNREACHABLE }[now];
    throw new ChatError(sentence, { cure: "wait" });
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
  // The proxy's 502 and 503 have two causes each. Version has a place of its own, and so tells which it is.
  const up = [502, 503].includes(status) && path !== VERSION ? (await serverState()) === "up" : null;
  const models = status === 404 && model ? (await listModels().catch(() => [])).filter(talks) : [];
  const after = Number(response.headers.get("Retry-After")) || 0;
  const waited = (performance.now() - began) / 1000;
  throw fromStatus(status, { detail, model, origin: location.origin, up, models: models.map((each) => each.name), after, waited });
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

const abilities = new Map(); // a model's digest → its capabilities

/** The same with `capabilities`, where the server says them: newer Ollamas in the list, others when asked for each. */
export async function describeModels(signal) {
  return Promise.all((await listModels(signal)).map(async (model) => {
    const { name, digest } = model;
    if (model.capabilities) return model;
    if (!abilities.has(digest)) {
      const asked = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ model: name }) };
      const { capabilities } = await json(request("api/show", { ...asked, signal: AbortSignal.timeout(5000) })).catch(() => ({}));
      if (!Array.isArray(capabilities)) return model;
      abilities.set(digest, capabilities);
    }
    return { ...model, capabilities: abilities.get(digest) };
  }));
}

export async function version(signal) {
  return String((await json(request(VERSION, { signal }))).version ?? "");
}

/** How the model server is now, apart from any answer: "up", "down" (the proxy says so), or "away" (nobody is reached). */
export const serverState = () =>
  version(AbortSignal.timeout(5000)).then(() => "up", ({ message }) => (message === UNREACHABLE ? "away" : "down"));

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
