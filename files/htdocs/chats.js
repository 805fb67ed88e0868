// A chat as data: its turns, what of it goes to the model, and how it leaves the page as a file.

/** A chat. `changed` is in milliseconds; `temperature` null is the model's own. */
export function newChat(model = "") {
  const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
  return { id, title: "", changed: Date.now(), model, system: "", temperature: null, turns: [] };
}

/** A turn. `images` are base64; states: waiting, answering, done, stopped, error. */
export const newTurn = (question, images, model) =>
  ({ question, images, answer: "", thinking: "", model, state: "waiting", note: "", error: null });

/** The first words of a question, as a chat's name. */
export function titleOf(question) {
  const line = question.trim().split("\n")[0];
  return line.length > 48 ? `${line.slice(0, 48).replace(/\s+\S*$/, "")}…` : line || "A picture";
}

/** What the model is sent for `turn`: its question, and the turns before it that have an answer. */
export function messages(chat, turn) {
  const sent = chat.system.trim() ? [{ role: "system", content: chat.system.trim() }] : [];
  for (const each of chat.turns) {
    if (each !== turn && !each.answer) continue;
    const question = { role: "user", content: each.question };
    sent.push(each.images.length ? { ...question, images: each.images } : question);
    // An answer at the very end is one that the model is to go on with.
    if (each.answer) sent.push({ role: "assistant", content: each.answer });
    if (each === turn) break;
  }
  return sent;
}

/** As Markdown. Pictures are told of only; the JSON has them. */
export function toMarkdown(chat) {
  const parts = [`# ${chat.title || "Chat"}`];
  if (chat.system.trim()) parts.push(`> ${chat.system.trim().replaceAll("\n", "\n> ")}`);
  for (const { question, images, answer, model, state } of chat.turns) {
    parts.push("## You", ...images.map((_, index) => `*(picture ${index + 1})*`), question);
    parts.push(`## ${model}`, answer);
    if (state !== "done") parts.push("*(not complete)*");
  }
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

export const toJson = (chat) => `${JSON.stringify({ format: "hearth-chat-1", ...chat }, null, 2)}\n`;

/** A file name that every system takes. */
export const fileName = (chat, ending) =>
  `${(chat.title || "chat").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "chat"}.${ending}`;
