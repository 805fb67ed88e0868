// A prompt and its answer on the page.

import { button, copy, countdown, element } from "./dom.js";
import { extend, growing } from "./markdown.js";
import { thumbnail } from "./pictures.js";

const PIECE = 8000; // characters that are drawn in a frame at most

export const shortName = (model) => model.replace(/:latest$/, "");

/** The view of a turn. `act`: the actions of its buttons, and other(turn), which names an alternative model, or "". */
export function exchangeView(turn, act) {
  const prompt = element("div", "user-prompt", turn.question);
  prompt.dir = "auto";
  const text = element("div", "text");
  const status = element("p", "status");
  const thoughts = document.createTextNode("");
  const reasoning = element("p", "", thoughts);
  reasoning.dir = "auto";
  const details = element("details", "muted", element("summary", "", "Reasoning"), reasoning);
  const after = element("div");
  const root = element("article", "exchange", prompt, element("h2", "name", shortName(turn.model)), details, text, status, after);
  const grow = growing(text);
  let drawn = 0;
  turn.images.forEach((image, at) => prompt.append(thumbnail(image, `Picture ${at + 1} of the prompt`)));

  /** The possible actions. Only the last turn can be retried or edited: later ones depend on the earlier. */
  function actions(error, live) {
    const row = element("div", "row");
    const add = (label, action, style = "small last-only") => row.appendChild(button(label, action, error ? style : `${style} tool`));
    if (turn.answer) add("Copy", (pressed) => copy(turn.answer, pressed), "small");
    if (turn.answer && turn.state !== "done") add("Continue", () => act.retry(turn, { resume: true }));
    const other = error?.cure === "other" ? act.other(turn) : "";
    const label = other ? `Use ${shortName(other)} instead` : "Retry";
    const retry = add(label, () => act.retry(turn, other ? { model: other } : {}));
    if (error?.cure === "wait") {
      add("Keep trying", () => act.retry(turn, { patient: true }));
      if (live && error.after) {
        retry.disabled = true;
        countdown(error.after, (left) => { retry.textContent = `${label} in ${left} s`; }).then(() => {
          retry.disabled = false;
          retry.textContent = label;
        });
      }
    }
    if (error?.cure === "shorten" && act.canShorten()) add("Leave out the oldest messages", () => act.shorten(turn));
    add("Edit prompt", () => act.edit(turn));
    if (error) add("Troubleshoot", act.diagnose, "link last-only");
    return row;
  }

  /** `live`: it has just happened, so screen readers announce it. */
  function notice(error, live) {
    const box = element("div", "notice", element("p", "", error.message));
    if (live) box.setAttribute("role", "alert");
    if (error.detail) box.append(element("p", "muted", `Server message: ${error.detail}`));
    box.append(actions(error, live));
    return box;
  }

  const view = {
    root,
    /** Shows the part of the answer that has arrived, or the next piece of it; returns whether there is more. */
    write(all = true) {
      drawn = all || turn.answer.length < drawn ? turn.answer.length : Math.min(turn.answer.length, drawn + PIECE);
      grow(turn.answer.slice(0, drawn));
      details.hidden = !turn.thinking;
      extend(thoughts, turn.thinking);
      return drawn < turn.answer.length;
    },
    /** Changes the state, with a note for the status line. */
    show(state, note = "", live = true) {
      Object.assign(turn, { state, note });
      root.dataset.state = state;
      status.textContent = note;
      status.hidden = !note;
      after.replaceChildren();
      if (state === "error") after.append(notice(turn.error, live));
      else if (state === "done" || state === "stopped") after.append(actions());
    },
  };
  view.write();
  view.show(turn.state, turn.note, false);
  return view;
}
