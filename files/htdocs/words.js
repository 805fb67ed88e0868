// Error messages: what went wrong and what to do about it. Independent of the page.

const CONTAINERS = "on the server, “cd /opt/hearth && sudo docker compose ps” shows what is running";
const LOGS = "on the server, “cd /opt/hearth && sudo docker compose logs ollama” shows why";
const DEPLOY = "in the inventory and deploy again.";
// The first deploy shows the page before it has pulled the models.
const DOWNLOADING = "A running deploy may still be downloading models: retry when it has finished.";

/**
 * A failure with a message for the user. `detail`: the server's message. `cure`: "again" (retry), "wait" (temporary;
 * retry, after `after` seconds if the server sent a time), "other" (use another model) or "shorten" (send less of the chat).
 */
export class ChatError extends Error {
  constructor(message, { detail = "", cure = "again", after = 0 } = {}) {
    super(message);
    Object.assign(this, { name: "ChatError", detail, cure, after });
  }
}

export const UNREACHABLE =
  `Can't reach the server. Check that it is on and that this device is on its network; if so, ${CONTAINERS}.`;
export const CUT_OFF = `The answer was cut off. Continue it or retry; if this happens often, ${LOGS}.`;
export const CONNECTION_LOST = "The connection was lost before a response arrived. Try again.";
export const RESTARTED =
  `The model server lost your prompt and is being restarted. It may have been stuck or out of memory. Try again in a moment; if this happens often, ${LOGS}.`;
export const NO_MODELS = `This server has no models yet. ${DOWNLOADING} Otherwise, add one to “ollama_models” ${DEPLOY}`;
export const NOT_OLLAMA =
  "Unexpected response, not from Ollama. Another program may be running at this address: check the address, or deploy again.";
export const STORAGE_FULL = "Storage is full, so this chat won't be saved. Export it, or delete old chats.";
export const STORAGE_FAILED = "This chat could not be saved. Reload the page; export the chat first if you need it.";
export const CHANGED_ELSEWHERE = "This chat was also changed in another tab. This tab's version is now a chat of its own.";
export const DELETED_ELSEWHERE = "This chat was deleted outside this tab. This tab's version is now a chat of its own.";
export const NOT_DELETED = "This chat could not be deleted. Reload the page and try again.";
export const UNREADABLE = "This browser could not read the stored chats. Reload the page; export this chat first if you need it.";
export const STORAGE_LATE =
  "This browser has not opened its storage yet, so your chats are not shown and new ones are not saved. Close other tabs of this page and reload.";
export const damaged = (title) =>
  `“${title || "New chat"}” can't be shown, because what this browser stored of it is damaged. Your other chats are not affected.`;
export const STORAGE_BLOCKED =
  "This browser blocks storage, so chats are lost when you close this page. Export what you need.";

const BY_STATUS = {
  400: "The server rejected the request as invalid. Reload the page and try again; if the problem persists, pick another model.",
  401: "A password is required. Reload the page and sign in.",
  404: "This route is missing on the server. Deploy again to repair it, or add it to “proxy_extra_routes” in the inventory.",
  405: "The server does not allow this request method. Reload the page; if the problem persists, deploy again.",
  408: "The request took too long to reach the server. Check the connection and try again.",
  411: "Something between this page and the server removed the request's Content-Length. Try without a VPN or web proxy.",
  413: `The chat is too large for this server. Remove pictures, start a new chat, or raise “proxy_max_body” ${DEPLOY}`,
  421: `The server does not accept the host name in the address bar. Open the page by its IP address, or add the name to “proxy_host_names” ${DEPLOY}`,
  500: `The model server is missing or has failed. Try again in a minute; if the problem persists, ${CONTAINERS}.`,
  502: `The model server did not respond in time. It may still be loading: try again, or pick a smaller model; ${LOGS}.`,
};

/** Messages of Ollama's that mean the same with any status: [pattern, cure, message for the user]. */
const BY_DETAIL = [
  [/model.*not found/i, "other", (name, installed) =>
    `${name} is not installed on this server${installed}. Pick another one, or add it to “ollama_models” ${DEPLOY}`],
  [/more system memory|out of memory|not enough memory|(unable|failed) to allocate/i, "other", (name) =>
    `${name} needs more memory than the server has free. Pick a smaller model.`],
  [/does not support (generate|chat)/i, "other", (name) => `${name} does not support chat. Pick another model.`],
  [/image|vision|multimodal/i, "other", (name) => `${name} can't process this picture. Pick a model with vision, or remove the picture.`],
  [/context (length|window|size)/i, "shorten", () =>
    `This chat no longer fits into the model's context, which is all that it can read at a time. Leave out the oldest messages, start a new chat, or raise “ollama_context_length” ${DEPLOY}`],
  [/timed out waiting/i, "again", () => BY_STATUS[502]],
  [/server busy|maximum pending/i, "wait", () => "The model's queue is full. Wait a moment and try again."],
];

/** “a”, “b” and “c”. */
export const joinNames = (names) => names.map((name) => `“${name}”`).join(", ").replace(/, (?=[^,]*$)/, " and ");

export const onlyEmbeddings = (names) =>
  `This server has only embedding models (${joinNames(names)}), which can't answer prompts. ${DOWNLOADING} Otherwise, add a chat model to “ollama_models” ${DEPLOY}`;

/** The ChatError for a message of Ollama's, or null. `models`: the names of the installed ones. */
export function fromDetail(detail, model = "", models = [], after = 0) {
  const [, cure, sentence] = BY_DETAIL.find(([pattern]) => pattern.test(detail)) ?? [];
  if (!sentence) return null;
  const installed = models.length ? ` (installed: ${joinNames(models)})` : "";
  return new ChatError(sentence(model ? `The model “${model}”` : "The model", installed), { detail, cure, after });
}

/**
 * The ChatError for an HTTP status. `up`: whether Ollama responds to other requests (null: unknown); `waited`: seconds
 * until the response arrived.
 */
export function fromStatus(status, { detail = "", model = "", origin = "", up = null, models = [], after = 0, waited = 0 } = {}) {
  const known = fromDetail(detail, model, models, after);
  if (known) return known;
  // Ollama's message; httpd's says that the name does not resolve.
  if (status === 500 && detail && !/resolve/.test(detail)) return fromLine(detail);
  let sentence = BY_STATUS[status] ?? `The server returned an error (${status}). Try again; if the problem persists, ${CONTAINERS}.`;
  if (status === 403) {
    sentence = detail.startsWith("address")
      ? `This device's network is not allowed to use the model. Add it to “proxy_allowed_networks” ${DEPLOY}`
      : detail
      ? `This page's origin is not allowed to use the model. Open the page at the server's own address, or add “${origin}” to “allowed_origins” ${DEPLOY}`
      : "Ollama itself rejected this page's origin. Deploy again to repair the proxy.";
  }
  if (status === 504) sentence = BY_STATUS[502];
  if (status === 503) {
    sentence = up
      ? "The model is busy with other prompts. Wait a moment and try again."
      : `The model server is ${up === null ? "busy, " : ""}down or still starting. Wait a moment and try again; if the problem persists, ${CONTAINERS}.`;
  }
  // A browser may resend a prompt whose connection was closed by a restart, and gets a 503 or 500 for that.
  const restarted = status === 502 ? up === false : waited > 20 && (status === 500 || (status === 503 && up === false));
  if (restarted) sentence = RESTARTED;
  const temporary = [500, 503].includes(status) || restarted;
  return new ChatError(sentence, { detail, after, cure: temporary ? "wait" : "again" });
}

/** The ChatError for an error line in mid-stream. */
export const fromLine = (detail, model) =>
  fromDetail(detail, model) ?? new ChatError(`The model server failed while answering. Try again, or pick a smaller model; if the problem persists, ${LOGS}.`, { detail });
