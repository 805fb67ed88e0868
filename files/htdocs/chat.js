// Hearth's chat page, in four parts: what the server says, reading an answer as it comes, what is seen,
// and the page itself. The first two know nothing of the page, so that tests can import and call them.

const GENERATE = "api/ollama";
const TAGS = "api/tags";
const REMEMBERED = "hearth.model";

// --- What the server says, in words that say what to do ---------------------------------------------------

const LOOK = "on the server, “cd /opt/hearth && sudo docker compose ps” shows what is running";
const LOGS = "on the server, “cd /opt/hearth && sudo docker compose logs ollama” says why";

/** A failure as a person should read it: `message` is the sentence, `detail` the server's own words, `status` the HTTP status if there was one. */
export class ChatError extends Error {
  constructor(message, detail = "", status = 0) {
    super(message);
    Object.assign(this, { name: "ChatError", detail, status });
  }
}

/** The sentence for an HTTP status. `detail` is the `error` of a JSON answer, `model` and `origin` what was asked, and from where. */
export function statusSentence(status, { detail = "", model = "", origin = "" } = {}) {
  const known = detailSentence(detail, model);
  if (known) return known;
  switch (status) {
    case 400:
      return "The server did not understand the request. Reload the page and ask again; if it stays, pick another model.";
    case 403:
      return detail
        ? `This page's address may not use the model. Open the page at the server's own address, or add “${origin}” to “allowed_origins” in the inventory and deploy again.`
        : "Ollama itself refused this page's address, which the proxy should have settled. Deploy again to repair the proxy.";
    case 404:
      return "The server has no such route. Deploy again to repair it, or add it to “proxy_extra_routes” in the inventory.";
    case 405:
      return "The server does not take this kind of request here. Reload the page; if it stays, deploy again to repair the proxy.";
    case 408:
      return "The question took too long to reach the server. Check the connection and ask again.";
    case 411:
      return "Something between this page and the server took away the request's length. Try without a VPN or web proxy.";
    case 413:
      return "The question is too long for this server. Shorten it, or raise “proxy_max_body” in the inventory and deploy again.";
    case 421:
      return "The server does not answer to the name in the address bar. Open the page by its IP address, or add the name to “proxy_host_names” in the inventory and deploy again.";
    case 500:
      return `The model server's name could not be found, or it failed. Ask again in a minute; if it stays, ${LOOK}.`;
    case 502:
    case 504:
      return `The model server gave no answer in time. It may still be loading: ask again, or pick a smaller model; ${LOGS}.`;
    case 503:
      return `The model server is busy or down. Wait a moment and ask again; if it stays, ${LOOK}.`;
    default:
      return `The server answered with an error (${status}). Ask again; if it stays, ${LOOK}.`;
  }
}

/** The sentence for words of Ollama's that mean the same whatever the status; "" for others. */
export function detailSentence(detail, model = "") {
  const name = model ? `“${model}”` : "The model";
  if (/model.*not found/i.test(detail)) {
    return `The model ${model ? `${name} ` : ""}is not on this server. Pick another one, or add it to “ollama_models” in the inventory and deploy again.`;
  }
  if (/more system memory|out of memory|not enough memory|unable to allocate|failed to allocate/i.test(detail)) {
    return `${name} needs more memory than the server has free. Pick a smaller model.`;
  }
  if (/does not support (generate|chat)/i.test(detail)) {
    return `${name} is not made for answering questions. Pick another model.`;
  }
  if (/server busy|maximum pending/i.test(detail)) {
    return "Too many questions are waiting for the model. Wait a moment and ask again.";
  }
  return "";
}

const UNREACHABLE =
  `The server can't be reached. Check that it is on and that this device is on its network; if both are so, ${LOOK}.`;
const CUT_OFF =
  `The answer was cut off before its end. What came so far is kept; ask again, and if it happens often, ${LOGS}.`;
const NO_MODELS = "There is no model on this server yet. Add one to “ollama_models” in the inventory and deploy again.";
const ODD_ANSWER = "What came back is not from Ollama. Something else may be answering at this address: check it, or deploy again.";

/** fetch, with every failure but an abort turned into a ChatError. */
async function request(path, options, model) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ChatError(UNREACHABLE);
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  let detail = "";
  try {
    detail = String(JSON.parse(text).error ?? "");
  } catch {
    // Not JSON: an error page of something between, whose words would not help.
  }
  throw new ChatError(statusSentence(response.status, { detail, model, origin: location.origin }), detail, response.status);
}

/** The names of the models on the server, in its order (newest first). */
async function listModels() {
  const response = await request(TAGS);
  try {
    return ((await response.json()).models ?? []).map((model) => model.name);
  } catch {
    throw new ChatError(ODD_ANSWER);
  }
}

// --- Reading an answer as it comes ------------------------------------------------------------------------

/** Cuts text that comes in pieces of any size into lines: `push` gives the lines completed, `rest` what is left. */
export function lineSplitter() {
  let rest = "";
  return {
    push(piece) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop();
      return lines;
    },
    rest() {
      const last = rest;
      rest = "";
      return last;
    },
  };
}

/** One NDJSON line as an object, or null for a blank one. Throws ChatError for an error line and for anything else. */
export function parseLine(line, model = "") {
  if (!line.trim()) return null;
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    throw new ChatError(ODD_ANSWER, line.slice(0, 200));
  }
  if (event === null || typeof event !== "object") throw new ChatError(ODD_ANSWER, line.slice(0, 200));
  if (event.error) {
    const detail = String(event.error);
    throw new ChatError(
      detailSentence(detail, model) || `The model server failed while answering. Ask again; if it stays, ${LOGS}.`,
      detail,
    );
  }
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
          if (done && error.message === ODD_ANSWER) throw new ChatError(CUT_OFF);
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

/** Reads what follows the last line, so that the connection ends in order and can be used again. */
async function drain(reader) {
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer is complete: how its connection ends does not matter.
  }
}

/** How the last line of an answer reads: tokens, seconds, tokens per second. Durations come in nanoseconds. */
export function summary({ eval_count: tokens, eval_duration: nanoseconds, done_reason: reason }) {
  const parts = [];
  if (tokens > 0 && nanoseconds > 0) {
    const seconds = nanoseconds / 1e9;
    const rate = tokens / seconds;
    parts.push(
      `${tokens} ${tokens === 1 ? "token" : "tokens"} in ${seconds.toFixed(1)} s`,
      `${rate.toFixed(rate < 10 ? 1 : 0)} tokens per second`,
    );
  }
  if (reason === "length") parts.push("ended at the length limit");
  return parts.join(" · ") || "Done";
}

/** What to say while nothing has been heard, after so many seconds. */
export function waitingSentence(seconds) {
  const slow = seconds >= 15 ? " (on a small machine the first answer can take minutes)" : "";
  return `Loading the model or reading the prompt… ${seconds} s${slow}`;
}

/** Asks one question; `onEvent` gets each line of the answer. Returns the last line. */
async function ask({ model, prompt, signal, onEvent }) {
  const body = JSON.stringify({ model, prompt, stream: true });
  const headers = { "Content-Type": "application/json" };
  const response = await request(GENERATE, { method: "POST", headers, body, signal }, model);
  return readAnswer(response.body, onEvent, model);
}

// --- What is seen -----------------------------------------------------------------------------------------

function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

const shortName = (model) => model.replace(/:latest$/, "");

/** A question and its answer on the page. States: waiting, answering, done, stopped, error. */
function exchangeView(model, prompt) {
  const root = element("article", "exchange");
  const name = element("h2", "name", shortName(model));
  const text = element("div", "text");
  const status = element("p", "status");
  const words = text.appendChild(document.createTextNode(""));
  root.append(element("div", "asked", prompt), name, text, status);
  const show = (state, sentence) => {
    root.dataset.state = state;
    status.textContent = sentence;
  };
  return {
    root,
    show,
    add: (piece) => words.appendData(piece),
    text: () => words.data,
    fail(error, retry) {
      show("error", "");
      status.hidden = true;
      const notice = element("div", "notice");
      notice.setAttribute("role", "alert");
      const again = element("button", "small", "Ask again");
      again.type = "button";
      again.addEventListener("click", () => retry(again));
      root.append(notice);
      notice.append(element("p", "", error.message));
      if (error.detail) notice.append(element("p", "detail", `The server said: ${error.detail}`));
      notice.append(again);
    },
  };
}

/** Keeps the newest words in sight, unless the reader has scrolled up. */
function follower(scroller) {
  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  return {
    toEnd: () => scroller.scrollTo(0, scroller.scrollHeight),
    around(change) {
      const stay = atEnd();
      change();
      if (stay) scroller.scrollTo(0, scroller.scrollHeight);
    },
  };
}

/** localStorage may be switched off; then the choice lasts as long as the page. */
const memory = {
  get() {
    try {
      return localStorage.getItem(REMEMBERED);
    } catch {
      return null;
    }
  },
  set(model) {
    try {
      localStorage.setItem(REMEMBERED, model);
    } catch {
      // Nothing to do.
    }
  },
};

// --- The page ---------------------------------------------------------------------------------------------

function start() {
  const byId = (id) => document.getElementById(id);
  const [picker, log, exchanges, composer, prompt] = ["model", "log", "exchanges", "composer", "prompt"].map(byId);
  const [send, stop, notice, announcer] = ["send", "stop", "notice", "announcer"].map(byId);
  const follow = follower(log);
  let running = null; // the AbortController of the answer under way

  const announce = (sentence) => {
    announcer.textContent = sentence;
  };

  function refresh() {
    send.hidden = Boolean(running);
    stop.hidden = !running;
    send.disabled = !picker.value || !prompt.value.trim();
  }

  function showNotice(message, detail = "") {
    notice.hidden = !message;
    byId("notice-text").textContent = message;
    byId("notice-detail").textContent = detail && `The server said: ${detail}`;
  }

  async function fillPicker() {
    try {
      const names = await listModels();
      const wanted = picker.value || memory.get();
      picker.replaceChildren(...names.map((name) => new Option(shortName(name), name)));
      if (names.includes(wanted)) picker.value = wanted;
      if (!names.length) picker.append(new Option("No model", ""));
      picker.disabled = !names.length;
      showNotice(names.length ? "" : NO_MODELS);
    } catch (error) {
      if (picker.disabled) picker.replaceChildren(new Option("No answer", ""));
      showNotice(error.message, error.detail);
    }
    refresh();
  }

  async function answer(model, question) {
    const controller = new AbortController();
    const began = performance.now();
    const view = exchangeView(model, question);
    let thinking = false;
    const tick = () => {
      const seconds = Math.floor((performance.now() - began) / 1000);
      view.show("waiting", thinking ? `Thinking… ${seconds} s` : waitingSentence(seconds));
    };
    const timer = setInterval(tick, 1000);

    running = controller;
    refresh();
    byId("welcome").hidden = true;
    tick();
    exchanges.append(view.root);
    follow.toEnd();
    announce("Waiting for the model.");

    const onEvent = (event) => {
      thinking = Boolean(event.thinking);
      if (!event.response) return;
      clearInterval(timer);
      follow.around(() => {
        view.add(event.response);
        view.show("answering", "Answering…");
      });
    };
    try {
      const last = await ask({ model, prompt: question, signal: controller.signal, onEvent });
      follow.around(() => view.show("done", view.text() ? summary(last) : "The model had nothing to say."));
      announce(`${shortName(model)} says: ${view.text() || "nothing"}`);
    } catch (error) {
      if (error.name === "AbortError") {
        follow.around(() => view.show("stopped", view.text() ? "Stopped" : "Stopped before the first word"));
        announce("Stopped.");
      } else {
        announce("");
        follow.around(() => view.fail(error, (button) => askAgain(view, button, question)));
        // A model that is gone must leave the picker too.
        if (error.status === 404) fillPicker();
      }
    } finally {
      clearInterval(timer);
      running = null;
      const leaving = document.activeElement === stop;
      refresh();
      if (leaving) prompt.focus();
    }
  }

  /** Asks a failed question again, of the model that is picked now; a failure without words gives way to it. */
  function askAgain(failed, button, question) {
    if (running || !picker.value) return;
    if (failed.text()) button.remove();
    else failed.root.remove();
    answer(picker.value, question);
    stop.focus();
  }

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    const question = prompt.value.trim();
    if (running || !picker.value || !question) return;
    const clicked = document.activeElement === send;
    prompt.value = "";
    answer(picker.value, question);
    // The button that was pressed is gone: its place is taken by Stop, and so is its focus.
    if (clicked) stop.focus();
  });
  prompt.addEventListener("keydown", (event) => {
    // Enter that ends the choice of a character (Chinese, Japanese, …) belongs to the keyboard, not to us.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    composer.requestSubmit();
  });
  prompt.addEventListener("input", refresh);
  picker.addEventListener("change", () => {
    memory.set(picker.value);
    refresh();
  });
  stop.addEventListener("click", () => running?.abort());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) running?.abort();
  });
  byId("notice-retry").addEventListener("click", fillPicker);
  window.addEventListener("online", () => notice.hidden || fillPicker());

  fillPicker();
}

if (globalThis.document?.getElementById("composer")) start();
