// “What is wrong?”: asks each thing between this page and the model.

import { byId, element } from "./dom.js";
import { talks } from "./abilities.js";
import { describeModels, firstWord, request, version } from "./server.js";
import { watchQuiet } from "./watch.js";
import { ChatError, listed, NO_MODELS, onlyEmbeddings, UNREACHABLE } from "./words.js";

/** [what is asked, how: resolves with what was found, or throws]. `model` is the one picked, or "". */
function steps(model, signal) {
  let models = [];
  return [
    ["This page's own server", async () => {
      await request("chat.js", { signal });
      return `${location.host} answers`;
    }],
    ["The list of models", async () => {
      models = await describeModels(signal);
      const names = models.map(({ name }) => name);
      if (!names.length) throw new ChatError(NO_MODELS);
      return names.length > 5 ? `${names.length} models` : listed(names);
    }],
    ["The model server", async () => `Ollama ${await version(signal)}`],
    ["One word from the model", async () => {
      const names = models.filter(talks).map(({ name }) => name);
      const asked = names.includes(model) ? model : names[0];
      if (!asked) throw new ChatError(models.length ? onlyEmbeddings(models.map(({ name }) => name)) : "There is no model to ask.");
      await firstWord(asked, signal);
      return `“${asked}” answers`;
    }],
  ];
}

let running = new AbortController();

/** Runs the diagnosis in its dialog, until that is closed. `model` is the one to ask. */
export async function diagnose(model) {
  const [dialog, list, verdict] = ["diagnosis", "steps", "verdict"].map(byId);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  dialog.onclose = () => running.abort();
  list.replaceChildren();
  verdict.textContent = "Looking…";
  if (!dialog.open) dialog.showModal();

  let trouble = "";
  for (const [what, look] of steps(model, signal)) {
    const found = element("span", "", "asking…");
    const row = element("li", "", element("strong", "", what), element("br"), found);
    list.append(row);
    const began = performance.now();
    const watch = watchQuiet((seconds, sentence) => {
      found.textContent = `asking…${seconds >= 5 ? ` ${seconds} s` : ""}`;
      if (verdict.textContent !== (sentence || "Looking…")) verdict.textContent = sentence || "Looking…";
    });
    try {
      const sentence = await look().finally(watch.end);
      found.textContent = `✓ ${sentence}, after ${((performance.now() - began) / 1000).toFixed(1)} s`;
    } catch (error) {
      if (signal.aborted) return;
      trouble ||= error.message;
      row.dataset.state = "bad";
      found.textContent = `✗ ${error.message}${error.detail ? ` The server said: ${error.detail}` : ""}`;
      // What can't be reached need not be asked three times more.
      if (error.message === UNREACHABLE) break;
    }
  }
  verdict.textContent = trouble
    ? `Put this right first: ${trouble}`
    : "Everything answers. If a question still fails, it is the question, the model's size or the time it needs.";
}
