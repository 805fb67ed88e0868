// “Troubleshoot”: checks each component between this page and the model.

import { byId, element } from "./dom.js";
import { canChat } from "./abilities.js";
import { describeModels, request, testPrompt, version } from "./server.js";
import { watchSilence } from "./watch.js";
import { ChatError, joinNames, NO_MODELS, onlyEmbeddings, UNREACHABLE } from "./words.js";

/** [name, check, which resolves with its result or throws]. `model` is the selected one, or "". */
function checks(model, signal) {
  let models = [];
  return [
    ["Web server", async () => {
      await request("chat.js", { signal });
      return `${location.host} responds`;
    }],
    ["List of models", async () => {
      models = await describeModels(signal);
      const names = models.map(({ name }) => name);
      if (!names.length) throw new ChatError(NO_MODELS);
      return names.length > 5 ? `${names.length} models` : joinNames(names);
    }],
    ["Model server", async () => `Ollama ${await version(signal)}`],
    ["Test prompt", async () => {
      const names = models.filter(canChat).map(({ name }) => name);
      const tested = names.includes(model) ? model : names[0];
      if (!tested) throw new ChatError(models.length ? onlyEmbeddings(models.map(({ name }) => name)) : "There is no model to test.");
      await testPrompt(tested, signal);
      return `“${tested}” responds`;
    }],
  ];
}

let running = new AbortController();

/** Runs the checks in their dialog, until it is closed. `model` gets the test prompt. */
export async function diagnose(model) {
  const [dialog, list, verdict] = ["diagnosis", "steps", "verdict"].map(byId);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  dialog.onclose = () => running.abort();
  list.replaceChildren();
  verdict.textContent = "Checking…";
  if (!dialog.open) dialog.showModal();

  let problem = "";
  for (const [name, check] of checks(model, signal)) {
    const result = element("span", "", "checking…");
    const row = element("li", "", element("strong", "", name), element("br"), result);
    list.append(row);
    const started = performance.now();
    const watch = watchSilence((seconds, message) => {
      result.textContent = `checking…${seconds >= 5 ? ` ${seconds} s` : ""}`;
      if (verdict.textContent !== (message || "Checking…")) verdict.textContent = message || "Checking…";
    });
    try {
      const text = await check().finally(watch.end);
      result.textContent = `✓ ${text} (${((performance.now() - started) / 1000).toFixed(1)} s)`;
    } catch (error) {
      if (signal.aborted) return;
      problem ||= error.message;
      row.dataset.state = "bad";
      result.textContent = `✗ ${error.message}${error.detail ? ` Server message: ${error.detail}` : ""}`;
      // An unreachable server would fail the other checks as well.
      if (error.message === UNREACHABLE) break;
    }
  }
  verdict.textContent = problem
    ? `Fix this first: ${problem}`
    : "All checks passed. If a prompt still fails, the cause is the prompt itself, the model's size, or the time it takes.";
}
