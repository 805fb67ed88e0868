// The list of chats on this device, and the settings dialog of the open one: name, instructions, export, delete.

import { fileName, toJson, toMarkdown } from "./chats.js";
import { announce, button, byId, element, on } from "./dom.js";

const [side, settings, deleted] = ["side", "settings", "deleted"].map(byId);
const narrow = matchMedia("(max-width: 60rem)");

/** Opens or closes the panel. While it covers the page, what is below it is inert. */
function toggleSide(open = side.hidden) {
  side.hidden = !open;
  byId("log").inert = byId("composer").inert = open && narrow.matches;
  byId("open-chats").setAttribute("aria-expanded", open);
}

/** Closes the panel if it covers the page; returns whether it did. */
export function closeOverlay() {
  const covers = narrow.matches && !side.hidden;
  if (covers) toggleSide(false);
  return covers;
}

let shown = "";

/** Shows the list; `open(id)` is called with the selected chat. */
export async function showChats(store, current, open) {
  const heads = await store.heads();
  const now = JSON.stringify([current.id, ...heads.map(({ id, title }) => [id, title])]);
  if (now === shown) return;
  shown = now;
  byId("chats").replaceChildren(...heads.map(({ id, title }) => {
    const item = button(title || "New chat", () => open(id), "chat");
    item.dir = "auto";
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

/** Whether the temperature is valid; otherwise the dialog says so. The steps, of the arrow keys, are no limit. */
function checkTemperature() {
  const { badInput, rangeUnderflow, rangeOverflow } = byId("temperature").validity;
  const valid = !(badInput || rangeUnderflow || rangeOverflow);
  byId("temperature-note").hidden = valid;
  return valid;
}

/** Adds the event listeners. `page` has chat() (the open one), canThink(), changed(), remove(), which returns whether it did, and restore(chat). */
export function listenSidebar(page) {
  on("open-chats", () => toggleSide());
  narrow.onchange = () => toggleSide(!narrow.matches);
  narrow.onchange();
  on("open-settings", () => {
    const chat = page.chat();
    byId("title").value = chat.title;
    byId("system").value = chat.system;
    byId("temperature").value = chat.temperature ?? "";
    checkTemperature();
    byId("think").checked = chat.think !== false;
    byId("thinking").hidden = !page.canThink();
    settings.showModal();
  });
  // Already while it is typed: the dialog may be closed next.
  on("temperature", checkTemperature, "input");
  on("settings", () => {
    const { value, valueAsNumber } = byId("temperature");
    Object.assign(page.chat(), { title: byId("title").value.trim(), system: byId("system").value });
    if (checkTemperature()) page.chat().temperature = value === "" ? null : valueAsNumber;
    page.chat().think = byId("think").checked ? null : false;
    page.changed();
  }, "change");
  on("to-markdown", () => download(fileName(page.chat(), "md"), toMarkdown(page.chat()), "text/markdown"));
  on("to-json", () => download(fileName(page.chat(), "json"), toJson(page.chat()), "application/json"));
  on("delete", async () => {
    const removed = page.chat();
    settings.close();
    if (!(await page.remove())) return;
    deleted.replaceChildren(`Deleted “${removed.title || "New chat"}”. `, button("Undo", () => {
      deleted.replaceChildren();
      page.restore(removed);
    }));
    announce(deleted.firstChild.data);
  });
}
