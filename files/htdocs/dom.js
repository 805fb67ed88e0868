// Helpers for the page's elements. Text is inserted as text, never as HTML.

export const byId = (id) => document.getElementById(id);
export const on = (id, action, event = "click") => byId(id).addEventListener(event, action);

export function element(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function button(label, onClick, className = "small") {
  const node = element("button", className, label);
  node.type = "button";
  node.addEventListener("click", () => onClick(node));
  return node;
}

/** Announces a message to screen readers, politely. */
export const announce = (message) => {
  byId("announcer").textContent = message;
};

/** Copies text. `navigator.clipboard` exists on https and localhost only, and most hosts use neither. */
export async function copy(text, pressed) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = element("textarea", "visually-hidden");
    field.value = text;
    pressed.after(field);
    field.select();
    done = document.execCommand("copy");
    field.remove();
    pressed.focus();
  }
  pressed.dataset.label ??= pressed.textContent;
  pressed.textContent = done ? "Copied" : "Copy failed";
  announce(pressed.textContent);
  setTimeout(() => { pressed.textContent = pressed.dataset.label; }, 2000);
}

/** Waits `seconds`, and reports those left to `onSecond`; ends early when the network is back, or with AbortError. */
export function countdown(seconds, onSecond, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const ending = new AbortController();
    const end = (settle) => {
      clearInterval(timer);
      ending.abort();
      settle();
    };
    const timer = setInterval(() => (--seconds > 0 ? onSecond(seconds) : end(resolve)), 1000);
    addEventListener("online", () => end(resolve), { signal: ending.signal });
    signal?.addEventListener("abort", () => end(() => reject(signal.reason)), { signal: ending.signal });
    onSecond(seconds);
  });
}

/**
 * Calls `draw(all)` in the next frame after any number of `request()`, and again while it returns true: there is more. With
 * `all` it draws everything. `finish()` waits until nothing is left, or throws what `draw` threw; `now()` draws it immediately.
 */
export function everyFrame(draw) {
  let frame = 0;
  let later = 0;
  let failure = null;
  let ended = () => {};
  const next = (all) => {
    if (!frame) return;
    cancelAnimationFrame(frame);
    clearTimeout(later);
    frame = 0;
    try {
      failure = null;
      if (draw(all)) request();
      else ended();
    } catch (error) {
      failure = error;
      ended();
      throw error; // to the browser's console
    }
  };
  function request() {
    if (frame) return;
    frame = requestAnimationFrame(() => next(false));
    later = setTimeout(() => next(true), 1000); // a hidden page has no frames, but it is saved
  }
  return {
    request,
    finish: () => new Promise((resolve, reject) => {
      ended = () => (failure ? reject(failure) : resolve());
      if (!frame) ended();
    }),
    now: () => next(true),
  };
}

/** Changes the log and keeps its end visible, unless the user has scrolled up. */
export function follow(change) {
  const log = byId("log");
  const stay = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  change();
  if (stay) log.scrollTop = log.scrollHeight;
}
