// Getting a turn answered: loading the model, thinking, words as they come, and trying again when asked to.

import { messages } from "./chats.js";
import { announce, countdown, follow } from "./dom.js";
import { shortName } from "./exchange.js";
import { ask, load } from "./server.js";
import { summary, waitingSentence } from "./stream.js";
import { watchQuiet } from "./watch.js";

let preload = true; // false once a model did not stay in memory until its question came

/** Fills `turn`, and shows it in `view`. `patient`: what passes by itself is tried again, after ever longer pauses. */
export async function answer(chat, turn, view, { signal, patient }) {
  for (let pause = 2; ; pause = Math.min(pause * 2, 60)) {
    try {
      return await attempt(chat, turn, view, signal);
    } catch (error) {
      if (!patient || error.cure !== "wait" || turn.answer) throw error;
      const tell = (left) => view.show("waiting", `No answer yet. Trying again in ${left} s`);
      await countdown(Math.max(pause, error.after), tell, signal);
    }
  }
}

async function attempt(chat, turn, view, signal) {
  const began = performance.now();
  const seconds = (from) => (performance.now() - from) / 1000;
  let since = began;
  let loading = preload ? shortName(turn.model) : "";
  let known = "";
  const tick = () => {
    const begun = turn.state === "answering" ? "Answering…" : waitingSentence(Math.floor(seconds(since)), loading);
    const note = known ? `${begun} · ${known}` : begun;
    if (note !== turn.note) view.show(turn.state === "answering" ? "answering" : "waiting", note);
  };
  const watch = watchQuiet((_, sentence) => {
    if (sentence && sentence !== known) announce(sentence);
    known = sentence;
    tick();
  });
  try {
    // Loading is asked for by itself, so that it can be told from thinking.
    if (preload) await load(turn.model, signal);
    let loaded = seconds(began);
    since = performance.now();
    loading = "";
    watch.heard();
    known = "";
    tick();
    const onEvent = ({ message = {} }) => {
      watch.heard();
      turn.thinking += message.thinking ?? "";
      turn.answer += message.content ?? "";
      follow(() => {
        view.write();
        if (!message.content || (turn.state === "answering" && !known)) return;
        known = "";
        view.show("answering", "Answering…");
      });
    };
    const options = chat.temperature === null ? undefined : { temperature: chat.temperature };
    const last = await ask({ model: turn.model, messages: messages(chat, turn), options, signal, onEvent });
    const again = (last.load_duration ?? 0) / 1e9;
    // Where models are not kept in memory, asking for them first loads them twice.
    if (again > 2) preload = false;
    loaded = Math.max(loaded, again);
    follow(() => view.show("done", turn.answer ? summary(last, seconds(began), loaded) : "The model had nothing to say."));
  } finally {
    watch.end();
  }
}
