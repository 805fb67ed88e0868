// Generates the answer of a turn: loads the model, shows the stream as it arrives, and retries on request.

import { messages } from "./chats.js";
import { announce, countdown, everyFrame, follow } from "./dom.js";
import { shortName } from "./exchange.js";
import { loadModel, sendPrompt, unlessStopped } from "./server.js";
import { summary, waitingMessage } from "./stream.js";
import { separate } from "./thoughts.js";
import { watchSilence } from "./watch.js";

let preload = true; // false once a model was unloaded before its prompt arrived

/** Copies into the turn that is being answered what has arrived of its answer, drawn or not: a hidden page seldom draws. */
export let updateTurn = () => {};

/** Fills `turn`, and shows it in `view`. `patient`: retry temporary errors, with growing pauses. */
export async function answer(chat, turn, view, { signal, patient }) {
  for (let pause = 2; ; pause = Math.min(pause * 2, 60)) {
    try {
      return await attempt(chat, turn, view, signal);
    } catch (error) {
      if (!patient || error.cure !== "wait" || turn.answer) throw error;
      const onSecond = (left) => view.show("waiting", `No response yet. Retrying in ${left} s`);
      await countdown(Math.max(pause, error.after), onSecond, signal);
    }
  }
}

async function attempt(chat, turn, view, signal) {
  const started = performance.now();
  const seconds = (from) => (performance.now() - from) / 1000;
  let since = started;
  let loading = preload ? shortName(turn.model) : "";
  let known = "";
  const tick = () => {
    const progress = turn.state === "answering" ? "Answering…" : waitingMessage(Math.floor(seconds(since)), loading);
    const note = known ? `${progress} · ${known}` : progress;
    if (note !== turn.note) view.show(turn.state === "answering" ? "answering" : "waiting", note);
  };
  // The stream may be faster than the screen: what arrived is drawn once a frame.
  const before = { answer: turn.answer, thinking: turn.thinking };
  const received = { answer: "", thinking: "" };
  const update = () => {
    const { answer: text, thinking } = separate(received.answer);
    turn.answer = before.answer + text;
    turn.thinking = before.thinking + received.thinking + thinking;
    return text;
  };
  updateTurn = update;
  const drawing = everyFrame((all) => {
    const text = update();
    let more = false;
    follow(() => {
      more = view.write(all);
      if (!text || (turn.state === "answering" && !known)) return;
      known = "";
      view.show("answering", "Answering…");
    });
    return more;
  });
  const watch = watchSilence((_, message) => {
    if (message && message !== known) announce(message);
    known = message;
    tick();
  });
  try {
    // A separate request, to tell loading from thinking.
    if (preload) await loadModel(turn.model, signal);
    let loaded = seconds(started);
    since = performance.now();
    loading = "";
    watch.reset();
    known = "";
    tick();
    const onEvent = ({ message = {} }) => {
      watch.reset();
      received.thinking += message.thinking ?? "";
      received.answer += message.content ?? "";
      drawing.request();
    };
    const options = chat.temperature === null ? undefined : { temperature: chat.temperature };
    const think = chat.think ?? undefined;
    const last = await sendPrompt({ model: turn.model, messages: messages(chat, turn), options, think, signal, onEvent });
    await unlessStopped(drawing.finish(), signal);
    turn.from = chat.from ?? 0;
    turn.tokens = (last.prompt_eval_count ?? 0) + (last.eval_count ?? 0);
    const reloaded = (last.load_duration ?? 0) / 1e9;
    // Where models are not kept in memory, preloading would load them twice.
    if (reloaded > 2) preload = false;
    loaded = Math.max(loaded, reloaded);
    follow(() => view.show("done", turn.answer ? summary(last, seconds(started), loaded) : "The model returned an empty response."));
  } finally {
    if (updateTurn === update) updateTurn = () => {};
    watch.end();
    drawing.now();
  }
}
