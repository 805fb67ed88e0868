// The page: the open chat, the models, and the answer in progress.

import { canChat, canSee, canThink } from "./abilities.js";
import { answer, updateTurn } from "./answer.js";
import { leaveOut, newChat, newTurn, titleOf, tokensWith } from "./chats.js";
import { diagnose } from "./diagnosis.js";
import { announce, byId, follow, on } from "./dom.js";
import { exchangeView, shortName } from "./exchange.js";
import { showPictures, shrink } from "./pictures.js";
import { describeModels, usePool, within } from "./server.js";
import { closeOverlay, listenSidebar, showChats } from "./side.js";
import { NO_STORE, openStore, remembered } from "./store.js";
import { separate } from "./thoughts.js";
import { watchSilence } from "./watch.js";
import { ChatError, damaged, NO_MODELS, NOT_DELETED, onlyEmbeddings, STORAGE_BLOCKED, STORAGE_FAILED, STORAGE_FULL, STORAGE_LATE, UNREADABLE } from "./words.js";

const [picker, pools, exchanges, prompt, send, stop] = ["model", "pool", "exchanges", "prompt", "send", "stop"].map(byId);

let store = NO_STORE;
let chat = newChat();
let models = []; // those on the server that answer prompts
let listing = null; // the AbortController of the attempt to list them that is in progress
let pictures = []; // base64, for the next prompt
let preparing = 0; // choices of files that are still being scaled down
let edited = null; // the turn whose prompt is being edited
let kept = { text: "", images: [] }; // the draft whose place the edited prompt has taken
const deleted = new Set(); // chats whose last answer may still be streaming
let running = null; // the AbortController of the answer in progress

// Seconds until the page reports that there is no list of models yet, and until it gives up: httpd responds after 60.
const LIST_LATE = 10;
const LIST_LIMIT = 70;
// Seconds until it reports that the browser has not opened the storage yet.
const STORAGE_LIMIT = 8;
// Turns that are shown at once; the older ones of a long chat follow in pieces.
const PIECE = 20;
// Characters of an answer that are announced to screen readers.
const SPOKEN = 5000;
// The share of the context from which the page warns.
const NEARLY_FULL = 0.8;
const CONTEXT = Number(byId("log").dataset.context);
const PREPARING = "Preparing the picture. You can send it in a moment.";
const NO_VISION = "This model can't see pictures. It may answer as if there were none.";
const VISION_UNKNOWN = "The server does not report whether this model can see pictures. If it can't, it answers as if there were none.";
const touch = matchMedia("(pointer: coarse)");
const find = (name) => models.find((model) => model.name === name);

const canSend = () => picker.value && !preparing && (prompt.value.trim() || pictures.length);

function refresh() {
  send.hidden = Boolean(running);
  stop.hidden = !running;
  if (pools) pools.disabled = Boolean(running);
  send.disabled = !canSend();
  byId("welcome").hidden = chat.turns.length > 0;
  byId("chat-title").textContent = chat.title || "New chat";
  byId("editing").hidden = !edited;
  const vision = canSee(find(picker.value));
  byId("vision-note").hidden = !preparing && (!pictures.length || vision === true);
  byId("vision-note").textContent = preparing ? PREPARING : vision === false ? NO_VISION : VISION_UNKNOWN;
  const tokens = tokensWith(chat, prompt.value);
  byId("context-note").hidden = running || chat.turns.length < 2 || !(tokens > NEARLY_FULL * CONTEXT);
  byId("context-text").textContent =
    `This chat has about ${tokens} of the ${CONTEXT} tokens that the model can read at a time (“ollama_context_length”). When it no longer fits, start a new chat, or:`;
}

/** Shows a notice, or with "" none. Each subject has its own, so that none replaces another's. */
function showNotice(message, subject = "notice") {
  const text = byId(`${subject}-text`);
  if (text.textContent === message) return; // it would be announced again
  follow(() => {
    byId(subject).hidden = !message;
    text.textContent = message;
  });
}

const showModelsNotice = (message) => showNotice(message, "models-notice");

// Models.

function optionOf({ name, size }) {
  const [unit, shown] = size >= 1e8 ? ["GB", (size / 1e9).toFixed(1)] : ["MB", Math.ceil(size / 1e6)];
  return new Option(size ? `${shortName(name)} (${shown} ${unit})` : shortName(name), name);
}

/** Lists the models, in place of an attempt that is still waiting. */
async function fillPicker() {
  listing?.abort();
  const controller = new AbortController();
  listing = controller;
  if (picker.disabled) picker.replaceChildren(new Option("Loading…", ""));
  const watch = watchSilence((seconds, message) => {
    if (listing !== controller || seconds < LIST_LATE) return;
    showModelsNotice(`Still waiting for the list of models. ${message || "The server may be busy or starting."}`);
  });
  try {
    const all = await describeModels(within(LIST_LIMIT, controller));
    if (listing !== controller) return;
    models = all.filter(canChat);
    const selected = [picker.value, chat.model, remembered("model")].find(find);
    picker.replaceChildren(...(models.length ? models.map(optionOf) : [new Option("No models", "")]));
    if (selected) picker.value = selected;
    picker.disabled = !models.length;
    const problem = all.length ? onlyEmbeddings(all.map(({ name }) => shortName(name))) : NO_MODELS;
    showModelsNotice(models.length ? "" : problem);
  } catch (error) {
    if (listing !== controller) return;
    if (picker.disabled) picker.replaceChildren(new Option("Unavailable", ""));
    showModelsNotice(error.message);
  } finally {
    watch.end();
  }
  listing = null;
  refresh();
}

/** Sends prompts to a pool from now on, if it is in the menu; its models are not listed yet. */
function selectPool(name) {
  if (![...pools.options].some(({ value }) => value === name)) return;
  pools.value = name;
  usePool(name);
  models = [];
  picker.replaceChildren(new Option("Loading…", ""));
  picker.disabled = true;
  refresh();
}

/** The alternative to a model that failed: the largest smaller one, otherwise any other. */
function otherModel({ model }) {
  const others = models.filter(({ name }) => name !== model).sort((one, next) => next.size - one.size);
  return (others.find(({ size }) => size < (find(model)?.size ?? 0)) ?? others.at(-1))?.name ?? "";
}

/** Puts the focus on the prompt, except where a keyboard would then cover what there is to read. */
const focusPrompt = () => (touch.matches ? byId("log") : prompt).focus();

// Chats.

const troubleshoot = () => diagnose(picker.value);
const viewOf = (turn) =>
  exchangeView(turn, { retry, edit, diagnose: troubleshoot, other: otherModel, canShorten: () => chat.turns.length - 1 > (chat.from ?? 0), shorten });

/** Shows a turn, dimmed if it is no longer sent to the model. */
function rootOf(turn, at) {
  const { root } = viewOf(turn);
  root.classList.toggle("left-out", at < (chat.from ?? 0));
  return root;
}

/** Leaves out the oldest messages from now on, and retries a turn that did not fit. */
function shorten(turn = null) {
  if (running || !leaveOut(chat)) return;
  const first = chat.turns.length - exchanges.childElementCount;
  [...exchanges.children].forEach((root, at) => root.classList.toggle("left-out", first + at < chat.from));
  announce("The dimmed messages are no longer sent to the model.");
  save();
  refresh();
  if (turn) retry(turn, {});
}

/** Shows the turns before `end`, in pieces, so that a long chat opens at once. */
function showOlder(opened, end) {
  if (chat !== opened || end <= 0) return;
  const from = Math.max(0, end - PIECE);
  const log = byId("log");
  const below = log.scrollHeight - log.scrollTop;
  exchanges.prepend(...opened.turns.slice(from, end).map((turn, at) => rootOf(turn, from + at)));
  const top = log.scrollHeight - below;
  if (Math.abs(log.scrollTop - top) > 1) log.scrollTop = top;
  setTimeout(() => showOlder(opened, from));
}

function show(opened) {
  running?.abort();
  chat = opened;
  // What was typed comes along.
  if (edited) endEdit(prompt.value === edited.question ? "" : prompt.value, pictures.filter((each) => !edited.images.includes(each)));
  for (const turn of chat.turns) {
    if (turn.state.endsWith("ing")) Object.assign(turn, { state: "stopped", note: "Interrupted, or still being answered in another tab" });
  }
  for (const turn of chat.turns) {
    const { answer: rest, thinking } = separate(turn.answer); // stored by an earlier version of this page
    if (thinking) Object.assign(turn, { answer: rest, thinking: turn.thinking || thinking });
  }
  const recent = Math.max(0, chat.turns.length - PIECE);
  exchanges.replaceChildren(...chat.turns.slice(recent).map((turn, at) => rootOf(turn, recent + at)));
  if (pools && (chat.pool ?? pools.value) !== pools.value) {
    selectPool(chat.pool);
    fillPicker();
  } else if (find(chat.model)) picker.value = chat.model;
  remembered("chat", chat.id);
  byId("log").scrollTop = 1e9;
  setTimeout(() => showOlder(opened, recent));
  refresh();
  refreshList();
}

/** Shows a chat from the storage. A damaged one must not keep the page from working. */
function showStored(stored) {
  try {
    show(stored);
  } catch {
    show(newChat(picker.value));
    showNotice(damaged(stored.title));
  }
}

const refreshList = () => showChats(store, chat, openStored).catch(() => showNotice(UNREADABLE));

async function openStored(id) {
  closeOverlay();
  try {
    const found = id !== chat.id && (await store.get(id));
    if (found) showStored(found);
    else refreshList(); // it may have been deleted in another tab
  } catch {
    showNotice(UNREADABLE);
  }
  focusPrompt();
}

/** Shows what another tab has added to the chat while this one was in the background. */
async function catchUp() {
  if (document.hidden) return;
  refreshList();
  const opened = chat;
  const found = await store.get(opened.id).catch(() => null);
  const isBusy = running || edited || document.querySelector("dialog[open]");
  if (found && chat === opened && found.changed > opened.changed && !isBusy) showStored(found);
}

async function save(saved = chat, isClosing = false) {
  if (deleted.has(saved)) return;
  updateTurn();
  try {
    const message = await store.put(saved, isClosing);
    if (message) showNotice(message);
    else if ([STORAGE_FULL, STORAGE_FAILED].includes(byId("notice-text").textContent)) showNotice("");
    if (message && saved === chat) remembered("chat", chat.id);
    await refreshList();
  } catch (error) {
    showNotice(error?.name === "QuotaExceededError" ? STORAGE_FULL : STORAGE_FAILED);
  }
}

/** Stores the answer in progress, which ends with the page; the page may come back, though, so it stays as it is. */
function saveInterrupted() {
  if (!running || running.signal.aborted) return;
  const turn = chat.turns.at(-1);
  const { state, note } = turn;
  Object.assign(turn, { state: "stopped", note: "Interrupted: the page was closed" });
  save(chat, true);
  Object.assign(turn, { state, note });
}

function startNew() {
  closeOverlay();
  show(newChat(picker.value));
  prompt.focus();
}

// Prompts.

function setDraft(text, images, turn = null) {
  prompt.value = text;
  pictures = images;
  edited = turn;
  showPictures(pictures, () => setDraft(prompt.value, pictures, edited));
  rememberDraft();
  refresh();
}

/** The edited prompt is also in its chat, so the other draft comes first. */
const rememberDraft = () => remembered("draft", (edited && kept.text) || prompt.value);

function edit(turn) {
  if (running) return;
  if (!edited) {
    kept = { text: prompt.value, images: pictures };
    setDraft(turn.question, [...turn.images], turn);
  }
  prompt.focus();
}

/** Returns to the draft from before an edit, and adds to it. */
function endEdit(typed = "", added = []) {
  setDraft([kept.text, typed].filter(Boolean).join("\n\n"), [...kept.images, ...added]);
  kept = { text: "", images: [] };
}

/** Answers the last turn again, or continues its answer. */
function retry(turn, { model = picker.value, patient = false, resume = false }) {
  if (running || !model || turn !== chat.turns.at(-1)) return;
  if (!resume) Object.assign(turn, { model, answer: "", thinking: "" });
  Object.assign(turn, { error: null, state: "waiting", note: "" });
  const view = viewOf(turn);
  exchanges.lastChild.replaceWith(view.root);
  run(turn, view, patient);
  stop.focus();
}

function submit() {
  const text = prompt.value.trim();
  if (running || !canSend()) return;
  const clicked = document.activeElement === send;
  if (edited) {
    exchanges.lastChild.remove();
    chat.turns.pop();
  }
  const turn = newTurn(text, pictures, picker.value);
  chat.turns.push(turn);
  chat.title ||= titleOf(text);
  chat.model = picker.value;
  if (pools) chat.pool = pools.value;
  endEdit();
  const view = viewOf(turn);
  exchanges.append(view.root);
  byId("log").scrollTop = 1e9;
  run(turn, view);
  // Stop replaces the button that was pressed, so it gets the focus.
  if (clicked) stop.focus();
}

async function run(turn, view, patient = false) {
  const started = chat;
  const controller = new AbortController();
  running = controller;
  refresh();
  announce("Waiting for the model.");
  save();
  let saver;
  const saveLater = (pause = 3000) => {
    saver = setTimeout(async () => {
      const begun = performance.now();
      await save(started);
      // Storing a long chat takes time, which must not slow down the answer.
      if (running === controller) saveLater(Math.max(3000, 20 * (performance.now() - begun)));
    }, pause);
  };
  saveLater();
  let announcement;
  try {
    await answer(started, turn, view, { signal: controller.signal, patient });
    const spoken = turn.answer.length > SPOKEN ? `${turn.answer.slice(0, SPOKEN)}… The rest is in the conversation.` : turn.answer;
    announcement = `${shortName(turn.model)} replied: ${spoken || "(empty)"}`;
  } catch (error) {
    if (error.name === "AbortError") {
      follow(() => view.show("stopped", turn.answer ? "Stopped" : "Stopped before the first word"));
      announcement = "Stopped.";
    } else {
      const { message, detail, cure, after } = error instanceof ChatError ? error : new ChatError(String(error));
      turn.error = { message, detail, cure, after };
      follow(() => view.show("error"));
      announcement = "";
      // A model that was removed must leave the picker too.
      if (cure === "other") fillPicker();
    }
  }
  clearTimeout(saver);
  save(started);
  // Another chat may have been opened in the meantime, with an answer in progress.
  if (running !== controller) return;
  running = null;
  announce(announcement);
  if (document.activeElement === stop) focusPrompt();
  refresh();
}

async function attach(files) {
  showNotice("", "picture-notice");
  preparing++;
  refresh();
  for (const file of files) {
    try {
      const picture = await shrink(file);
      setDraft(prompt.value, [...pictures, picture], edited);
    } catch (error) {
      showNotice(error.message, "picture-notice");
    }
  }
  preparing--;
  refresh();
  prompt.focus();
}

// Events.

function listen() {
  if (touch.matches) prompt.removeAttribute("aria-describedby"); // the hint is about a keyboard
  on("composer", (event) => {
    event.preventDefault();
    submit();
  }, "submit");
  on("prompt", (event) => {
    // With an input method (Chinese, Japanese, …), Enter may only select a character.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    // A touch keyboard has no other key for a new line.
    if (touch.matches && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    submit();
  }, "keydown");
  on("prompt", () => {
    rememberDraft();
    refresh();
  }, "input");
  on("prompt", (event) => {
    const { files } = event.clipboardData;
    if (!files.length) return;
    event.preventDefault();
    attach([...files]);
  }, "paste");
  pools?.addEventListener("change", () => {
    remembered("pool", pools.value);
    selectPool(pools.value);
    fillPicker();
  });
  on("model", () => {
    remembered("model", picker.value);
    refresh();
  }, "change");
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.code === "KeyN" && event.altKey && !event.ctrlKey) {
      event.preventDefault();
      startNew();
    }
    if (event.key !== "Escape" || event.isComposing) return;
    if (closeOverlay()) byId("open-chats").focus();
    else if (running) running.abort();
    else if (edited) endEdit();
  });
  on("stop", () => running?.abort());
  on("models-retry", fillPicker);
  on("shorten", () => shorten());
  on("cancel-edit", () => endEdit());
  on("new-chat", startNew);
  on("attach", () => byId("files").click());
  on("files", ({ target }) => {
    attach([...target.files]);
    target.value = "";
  }, "change");
  for (const link of document.querySelectorAll(".troubleshoot")) link.addEventListener("click", troubleshoot);
  for (const close of document.querySelectorAll(".close")) close.addEventListener("click", () => close.closest("dialog").close());
  addEventListener("online", () => (listing || !byId("models-notice").hidden) && fillPicker());
  addEventListener("pagehide", saveInterrupted);
  document.addEventListener("visibilitychange", catchUp);
  listenSidebar({
    chat: () => chat,
    canThink: () => canThink(find(picker.value)),
    changed: () => {
      refresh();
      if (chat.turns.length) save();
    },
    remove: async () => {
      const removed = chat;
      deleted.add(removed);
      try {
        await store.remove(removed.id);
      } catch {
        deleted.delete(removed);
        await save(removed);
        showNotice(NOT_DELETED);
        return false;
      }
      removed.changed = 0;
      show(newChat(picker.value));
      focusPrompt();
      return true;
    },
    restore: (restored) => {
      deleted.delete(restored);
      show(restored);
      save();
      focusPrompt();
    },
  });
}

async function start() {
  const [first, id] = [chat, remembered("chat")];
  prompt.value ||= remembered("draft"); // it may have been typed while the page was starting
  // Without waiting for the storage, which can take long and is not needed to chat.
  if (pools) selectPool(remembered("pool"));
  fillPicker();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    showNotice(STORAGE_LATE);
  }, STORAGE_LIMIT * 1000);
  store = await openStore();
  const last = await store.get(id).catch(() => null);
  clearTimeout(timer);
  showNotice(store.persistent ? "" : STORAGE_BLOCKED);
  // What the user has begun in the meantime stays, and so does the chat whose settings are open.
  const { turns, system, title, temperature, think } = chat;
  const isUntouched = chat === first && !turns.length && !system && !title && temperature === null && think === null;
  if (!isLate && isUntouched && !document.querySelector("dialog[open]")) return showStored(last ?? chat);
  remembered("chat", chat.id);
  await (chat.turns.length ? save() : refreshList());
}

listen();
byId("not-started").remove();
start();
