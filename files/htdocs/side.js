// The list of this device's chats, and the dialog in which the open one is named, instructed, saved or deleted.

import { fileName, toJson, toMarkdown } from "./chats.js";
import { announce, button, byId, element, on } from "./dom.js";

const [side, settings, deleted] = ["side", "settings", "deleted"].map(byId);
const narrow = matchMedia("(max-width: 60rem)");

/** Opens the panel, or closes it. Where it lies over the page, what is under it can't be reached meanwhile. */
function toggleSide(open = side.hidden) {
  side.hidden = !open;
  byId("log").inert = byId("composer").inert = open && narrow.matches;
  byId("open-chats").setAttribute("aria-expanded", open);
}

/** Closes it if it lies over the page; whether it did. */
export function leaveSide() {
  const over = narrow.matches && !side.hidden;
  if (over) toggleSide(false);
  return over;
}

/** Shows the list; `open(id)` is called with the chat that is picked. */
export async function listChats(store, current, open) {
  const heads = await store.heads();
  byId("chats").replaceChildren(...heads.map(({ id, title }) => {
    const item = button(title || "New chat", () => open(id), "chat");
    if (id === current.id) item.setAttribute("aria-current", "true");
    return element("li", "", item);
  }));
}

function download(name, text, type) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Wires it. `page` has chat() (the open one), changed(), remove() and putBack(chat). */
export function listenSide(page) {
  on("open-chats", () => toggleSide());
  narrow.onchange = () => toggleSide(!narrow.matches);
  narrow.onchange();
  on("open-settings", () => {
    const chat = page.chat();
    byId("title").value = chat.title;
    byId("system").value = chat.system;
    byId("temperature").value = chat.temperature ?? "";
    settings.showModal();
  });
  on("settings", () => {
    const { value, valueAsNumber, validity } = byId("temperature");
    Object.assign(page.chat(), { title: byId("title").value.trim(), system: byId("system").value });
    if (validity.valid) page.chat().temperature = value === "" ? null : valueAsNumber;
    page.changed();
  }, "change");
  on("to-markdown", () => download(fileName(page.chat(), "md"), toMarkdown(page.chat()), "text/markdown"));
  on("to-json", () => download(fileName(page.chat(), "json"), toJson(page.chat()), "application/json"));
  on("delete", async () => {
    const gone = page.chat();
    settings.close();
    await page.remove();
    deleted.replaceChildren(`Deleted “${gone.title || "New chat"}”. `, button("Undo", () => {
      deleted.replaceChildren();
      page.putBack(gone);
    }));
    announce(deleted.firstChild.data);
  });
}
