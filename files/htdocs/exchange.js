// A question and its answer on the page.

import { button, copy, countdown, element } from "./dom.js";
import { growing } from "./markdown.js";
import { thumbnail } from "./pictures.js";

export const shortName = (model) => model.replace(/:latest$/, "");

/** The view of a turn. `act`: what its buttons do, and other(turn), which names the model to offer instead, or "". */
export function exchangeView(turn, act) {
  const asked = element("div", "asked", turn.question);
  const text = element("div", "text");
  const status = element("p", "status");
  const thought = element("p");
  const thoughts = element("details", "quiet", element("summary", "", "Thoughts"), thought);
  const after = element("div");
  const root = element("article", "exchange", asked, element("h2", "name", shortName(turn.model)), thoughts, text, status, after);
  const grow = growing(text);
  turn.images.forEach((image, at) => asked.append(thumbnail(image, `Picture ${at + 1} of the question`)));

  /** What can be done now. Only the last turn can be answered anew: those after it follow from it. */
  function actions(error, live) {
    const row = element("div", "row");
    const add = (label, does, style = "small for-last") => row.appendChild(button(label, does, error ? style : `${style} tool`));
    if (turn.answer) add("Copy", (it) => copy(turn.answer, it), "small");
    if (turn.answer && turn.state !== "done") add("Continue", () => act.again(turn, { goOn: true }));
    const other = error?.cure === "other" ? act.other(turn) : "";
    const label = other ? `Ask ${shortName(other)} instead` : "Ask again";
    const again = add(label, () => act.again(turn, other ? { model: other } : {}));
    if (error?.cure === "wait") {
      add("Keep trying", () => act.again(turn, { patient: true }));
      if (live && error.after) {
        again.disabled = true;
        countdown(error.after, (left) => { again.textContent = `${label} in ${left} s`; }).then(() => {
          again.disabled = false;
          again.textContent = label;
        });
      }
    }
    add("Edit question", () => act.edit(turn));
    if (error) add("What is wrong?", act.diagnose, "link for-last");
    return row;
  }

  /** `live`: it happened just now, and a screen reader should say so. */
  function notice(error, live) {
    const box = element("div", "notice", element("p", "", error.message));
    if (live) box.setAttribute("role", "alert");
    if (error.detail) box.append(element("p", "quiet", `The server said: ${error.detail}`));
    box.append(actions(error, live));
    return box;
  }

  const view = {
    root,
    /** Shows the answer as far as it came. */
    write() {
      grow(turn.answer);
      thoughts.hidden = !turn.thinking;
      thought.textContent = turn.thinking;
    },
    /** Another state, with what to say about it. */
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
