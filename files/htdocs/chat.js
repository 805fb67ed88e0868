// The page itself: the chat that is open, the models, and the answer under way.

import { sees, talks } from "./abilities.js";
import { answer } from "./answer.js";
import { newChat, newTurn, titleOf } from "./chats.js";
import { diagnose } from "./diagnosis.js";
import { announce, byId, follow, on } from "./dom.js";
import { exchangeView, shortName } from "./exchange.js";
import { showPictures, shrink } from "./pictures.js";
import { describeModels } from "./server.js";
import { leaveSide, listChats, listenSide } from "./side.js";
import { openStore, remembered } from "./store.js";
import { ChatError, NO_MODELS, NO_ROOM, NO_STORE, onlyEmbeddings } from "./words.js";

const [picker, exchanges, prompt, send, stop, notice] = ["model", "exchanges", "prompt", "send", "stop", "notice"].map(byId);

let store;
let chat = newChat();
let models = []; // those of the server that answer questions
let pictures = []; // base64, to go with the next question
let edited = null; // the turn whose question is being changed
const gone = new Set(); // chats deleted, of which an answer may still be coming
let running = null; // the AbortController of the answer under way

const BLIND = "This model can't look at pictures. It may answer as if there were none.";
const SIGHT_UNKNOWN = "The server does not say whether this model can see. If it can't, it answers without the picture.";
const find = (name) => models.find((model) => model.name === name);

function refresh() {
  send.hidden = Boolean(running);
  stop.hidden = !running;
  send.disabled = !picker.value || !(prompt.value.trim() || pictures.length);
  byId("welcome").hidden = chat.turns.length > 0;
  byId("chat-title").textContent = chat.title || "New chat";
  byId("editing").hidden = !edited;
  const sight = sees(find(picker.value));
  byId("blind").hidden = !pictures.length || sight === true;
  byId("blind").textContent = sight === false ? BLIND : SIGHT_UNKNOWN;
}

function showNotice(message, retry = false) {
  notice.hidden = !message;
  byId("notice-text").textContent = message;
  byId("notice-retry").hidden = !retry;
}

// Models.

function optionOf({ name, size }) {
  const [unit, shown] = size >= 1e8 ? ["GB", (size / 1e9).toFixed(1)] : ["MB", Math.ceil(size / 1e6)];
  return new Option(size ? `${shortName(name)} (${shown} ${unit})` : shortName(name), name);
}

async function fillPicker() {
  try {
    const all = await describeModels();
    models = all.filter(talks);
    const wanted = [picker.value, chat.model, remembered("model")].find(find);
    picker.replaceChildren(...(models.length ? models.map(optionOf) : [new Option("No model", "")]));
    if (wanted) picker.value = wanted;
    picker.disabled = !models.length;
    const lacking = all.length ? onlyEmbeddings(all.map(({ name }) => shortName(name))) : NO_MODELS;
    showNotice(models.length ? "" : lacking, true);
  } catch (error) {
    if (picker.disabled) picker.replaceChildren(new Option("No answer", ""));
    showNotice(error.message, true);
  }
  refresh();
}

/** The model to offer when one can't do it: the largest of those that are smaller, else any other. */
function otherModel({ model }) {
  const others = models.filter(({ name }) => name !== model).sort((one, next) => next.size - one.size);
  return (others.find(({ size }) => size < (find(model)?.size ?? 0)) ?? others.at(-1))?.name ?? "";
}

// Chats.

const wrong = () => diagnose(picker.value);
const viewOf = (turn) => exchangeView(turn, { again, edit, diagnose: wrong, other: otherModel });

function show(opened) {
  running?.abort();
  chat = opened;
  setDraft(edited ? "" : prompt.value, []);
  for (const turn of chat.turns) {
    if (turn.state.endsWith("ing")) Object.assign(turn, { state: "stopped", note: "The page was closed meanwhile" });
  }
  exchanges.replaceChildren(...chat.turns.map((turn) => viewOf(turn).root));
  if (find(chat.model)) picker.value = chat.model;
  remembered("chat", chat.id);
  byId("log").scrollTop = 1e9;
  refresh();
  listed();
}

const listed = () => listChats(store, chat, async (id) => {
  leaveSide();
  const found = id !== chat.id && (await store.get(id));
  if (found) show(found);
  prompt.focus();
});

async function save(kept = chat) {
  if (gone.has(kept)) return;
  kept.changed = Date.now();
  try {
    await store.put(kept);
    await listed();
  } catch {
    showNotice(NO_ROOM);
  }
}

function startNew() {
  leaveSide();
  show(newChat(picker.value));
  prompt.focus();
}

// Asking.

function setDraft(text, images, turn = null) {
  prompt.value = text;
  pictures = images;
  edited = turn;
  showPictures(pictures, () => setDraft(prompt.value, pictures, edited));
  remembered("draft", text);
  refresh();
}

function edit(turn) {
  if (running) return;
  setDraft(turn.question, [...turn.images], turn);
  prompt.focus();
}

/** Answers the last turn anew, or goes on with its answer. */
function again(turn, { model = picker.value, patient = false, goOn = false }) {
  if (running || !model || turn !== chat.turns.at(-1)) return;
  if (!goOn) Object.assign(turn, { model, answer: "", thinking: "" });
  Object.assign(turn, { error: null, state: "waiting", note: "" });
  const view = viewOf(turn);
  exchanges.lastChild.replaceWith(view.root);
  run(turn, view, patient);
  stop.focus();
}

function submit() {
  const question = prompt.value.trim();
  if (running || !picker.value || !(question || pictures.length)) return;
  const clicked = document.activeElement === send;
  if (edited) {
    exchanges.lastChild.remove();
    chat.turns.pop();
  }
  const turn = newTurn(question, pictures, picker.value);
  chat.turns.push(turn);
  chat.title ||= titleOf(question);
  chat.model = picker.value;
  setDraft("", []);
  const view = viewOf(turn);
  exchanges.append(view.root);
  byId("log").scrollTop = 1e9;
  run(turn, view);
  // The button that was pressed is gone: its place is taken by Stop, and so is its focus.
  if (clicked) stop.focus();
}

async function run(turn, view, patient = false) {
  const asked = chat;
  const controller = new AbortController();
  running = controller;
  refresh();
  announce("Waiting for the model.");
  save();
  const saver = setInterval(() => save(asked), 3000);
  let said;
  try {
    await answer(asked, turn, view, { signal: controller.signal, patient });
    said = `${shortName(turn.model)} says: ${turn.answer || "nothing"}`;
  } catch (error) {
    if (error.name === "AbortError") {
      follow(() => view.show("stopped", turn.answer ? "Stopped" : "Stopped before the first word"));
      said = "Stopped.";
    } else {
      // A model that is gone must leave the picker too.
      if (error.cure === "other") await fillPicker();
      const { message, detail, cure, after } = error instanceof ChatError ? error : new ChatError(String(error));
      turn.error = { message, detail, cure, after };
      follow(() => view.show("error"));
      said = "";
    }
  }
  clearInterval(saver);
  save(asked);
  // Another chat may have been opened meanwhile, and may be answering by now.
  if (running !== controller) return;
  running = null;
  announce(said);
  if (document.activeElement === stop) prompt.focus();
  refresh();
}

async function attach(files) {
  showNotice("");
  for (const file of files) {
    try {
      const picture = await shrink(file);
      setDraft(prompt.value, [...pictures, picture], edited);
    } catch (error) {
      showNotice(error.message);
    }
  }
  prompt.focus();
}

// What people do.

function listen() {
  on("composer", (event) => {
    event.preventDefault();
    submit();
  }, "submit");
  on("prompt", (event) => {
    // Enter may end the choice of a character (Chinese, Japanese, …).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  }, "keydown");
  on("prompt", () => {
    remembered("draft", prompt.value);
    refresh();
  }, "input");
  on("prompt", (event) => {
    const { files } = event.clipboardData;
    if (!files.length) return;
    event.preventDefault();
    attach([...files]);
  }, "paste");
  on("model", () => {
    remembered("model", picker.value);
    refresh();
  }, "change");
  document.addEventListener("keydown", (event) => {
    if (event.code === "KeyN" && event.altKey && !event.ctrlKey) {
      event.preventDefault();
      startNew();
    }
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
    if (leaveSide()) byId("open-chats").focus();
    else if (running) running.abort();
    else if (edited) setDraft("", []);
  });
  on("stop", () => running?.abort());
  on("notice-retry", fillPicker);
  on("cancel-edit", () => setDraft("", []));
  on("new-chat", startNew);
  on("attach", () => byId("files").click());
  on("files", ({ target }) => {
    attach([...target.files]);
    target.value = "";
  }, "change");
  for (const link of document.querySelectorAll(".wrong")) link.addEventListener("click", wrong);
  for (const close of document.querySelectorAll(".close")) close.addEventListener("click", () => close.closest("dialog").close());
  addEventListener("online", () => notice.hidden || fillPicker());
  addEventListener("pagehide", () => running && save());
  listenSide({
    chat: () => chat,
    changed: () => {
      refresh();
      if (chat.turns.length) save();
    },
    remove: async () => {
      gone.add(chat);
      await store.remove(chat.id);
      startNew();
    },
    putBack: (deleted) => {
      gone.delete(deleted);
      show(deleted);
      save();
      prompt.focus();
    },
  });
}

async function start() {
  store = await openStore();
  listen();
  prompt.value = remembered("draft");
  const last = await store.get(remembered("chat")).catch(() => null);
  show(last ?? chat);
  await fillPicker();
  if (find(chat.model)) picker.value = chat.model;
  if (!store.kept) showNotice(NO_STORE);
}

start();
