// What went wrong, in words that say what to do. Knows nothing of the page.

const LOOK = "on the server, “cd /opt/hearth && sudo docker compose ps” shows what is running";
const LOGS = "on the server, “cd /opt/hearth && sudo docker compose logs ollama” says why";
const DEPLOY = "in the inventory and deploy again.";

/**
 * A failure as a person should read it. `detail`: the server's own words. `cure`, what helps: "again", "wait" (it passes
 * by itself, in `after` seconds perhaps) or "other" (another model).
 */
export class ChatError extends Error {
  constructor(message, { detail = "", cure = "again", after = 0 } = {}) {
    super(message);
    Object.assign(this, { name: "ChatError", detail, cure, after });
  }
}

export const UNREACHABLE =
  `The server can't be reached. Check that it is on and that this device is on its network; if both are so, ${LOOK}.`;
export const CUT_OFF =
  `The answer was cut off before its end. Continue or ask again; if it happens often, ${LOGS}.`;
export const BROKEN_OFF = "The connection broke off before an answer came. Ask again.";
export const RESTARTED =
  `The model server went away with your question and is being restarted. It may have been stuck, or out of memory. Ask again in a moment; if it happens often, ${LOGS}.`;
export const NO_MODELS = `There is no model on this server yet. Add one to “ollama_models” ${DEPLOY}`;
export const ODD_ANSWER =
  "What came back is not from Ollama. Something else may answer at this address: check it, or deploy again.";
export const NO_ROOM =
  "This device has no room for more chats, so this one ends with the page. Export or delete old ones.";
export const NO_STORE = "This browser keeps nothing for this page: chats end with it. Export what you need.";

const BY_STATUS = {
  400: "The server did not understand the request. Reload the page and ask again; if it stays, pick another model.",
  401: "Something before the model asks for a password. Reload the page and log in.",
  404: "The server has no such route. Deploy again to repair it, or add it to “proxy_extra_routes” in the inventory.",
  405: "The server does not take this kind of request. Reload the page; if it stays, deploy again.",
  408: "The question took too long to reach the server. Check the connection and ask again.",
  411: "Something between this page and the server took away the request's length. Try without a VPN or web proxy.",
  413: `The chat is too large for this server. Take pictures out or start a new one, or raise “proxy_max_body” ${DEPLOY}`,
  421: `The server does not answer to the name in the address bar. Open the page by its IP address, or add the name to “proxy_host_names” ${DEPLOY}`,
  500: `The model server's name could not be found, or it failed. Ask again in a minute; if it stays, ${LOOK}.`,
  502: `The model server gave no answer in time. It may still be loading: ask again, or pick a smaller model; ${LOGS}.`,
};

/** Words of Ollama's that mean the same whatever the status: [pattern, cure, sentence]. */
const BY_WORDS = [
  [/model.*not found/i, "other", (name, there) =>
    `${name} is not on this server${there}. Pick another one, or add it to “ollama_models” ${DEPLOY}`],
  [/more system memory|out of memory|not enough memory|(unable|failed) to allocate/i, "other", (name) =>
    `${name} needs more memory than the server has free. Pick a smaller model.`],
  [/does not support (generate|chat)/i, "other", (name) => `${name} is not made for answering questions. Pick another model.`],
  [/image|vision|multimodal/i, "other", (name) => `${name} can't look at this picture. Pick a model that can, or ask without it.`],
  [/timed out waiting/i, "again", () => BY_STATUS[502]],
  [/server busy|maximum pending/i, "wait", () => "Too many questions are waiting for the model. Wait a moment and ask again."],
];

/** “a” and “b”. */
export const listed = (names) => names.map((name) => `“${name}”`).join(", ").replace(/, (?=[^,]*$)/, " and ");

export const onlyEmbeddings = (names) =>
  `What this server has (${listed(names)}) makes embeddings and does not answer questions. Add a model that does to “ollama_models” ${DEPLOY}`;

/** The ChatError for words of Ollama's, or null. `models` are the names there are. */
export function fromWords(detail, model = "", models = [], after = 0) {
  const [, cure, sentence] = BY_WORDS.find(([pattern]) => pattern.test(detail)) ?? [];
  if (!sentence) return null;
  const there = models.length ? `, which has ${listed(models)}` : "";
  return new ChatError(sentence(model ? `The model “${model}”` : "The model", there), { detail, cure, after });
}

/**
 * The ChatError for an HTTP status. `up`: whether Ollama answers quick questions meanwhile (null: not known); `waited`:
 * seconds until the answer came.
 */
export function fromStatus(status, { detail = "", model = "", origin = "", up = null, models = [], after = 0, waited = 0 } = {}) {
  const known = fromWords(detail, model, models, after);
  if (known) return known;
  // Ollama's own words; httpd's are that it does not resolve.
  if (status === 500 && detail && !/resolve/.test(detail)) return fromLine(detail);
  let sentence = BY_STATUS[status] ?? `The server answered with an error (${status}). Ask again; if it stays, ${LOOK}.`;
  if (status === 403) {
    sentence = detail.startsWith("address")
      ? `This device's network may not use the model. Add it to “proxy_allowed_networks” ${DEPLOY}`
      : detail
      ? `This page's address may not use the model. Open the page at the server's own address, or add “${origin}” to “allowed_origins” ${DEPLOY}`
      : "Ollama itself refused this page's address. Deploy again to repair the proxy.";
  }
  if (status === 504) sentence = BY_STATUS[502];
  if (status === 503) {
    sentence = up
      ? "The model is busy with other questions. Wait a moment and ask again."
      : `The model server is ${up === null ? "busy, " : ""}down or just starting. Wait a moment and ask again; if it stays, ${LOOK}.`;
  }
  // When the server goes away with a question, browsers may send it once more, and are told that nobody is there.
  const wentAway = status === 502 ? up === false : waited > 20 && (status === 500 || (status === 503 && up === false));
  if (wentAway) sentence = RESTARTED;
  const passes = [500, 503].includes(status) || sentence === RESTARTED;
  return new ChatError(sentence, { detail, after, cure: passes ? "wait" : "again" });
}

/** The ChatError for an error line in the midst of an answer. */
export const fromLine = (detail, model) =>
  fromWords(detail, model) ?? new ChatError(`The model server failed while answering. Ask again, or pick a smaller model; if it stays, ${LOGS}.`, { detail });
