// A chat as data: its turns, the messages to the model, and the exported files.

export const newId = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;

/**
 * A chat. `changed` is when it was stored, in milliseconds, or 0; a `temperature` or `think` of null means the model's default; turns before `from`
 * are no longer sent to the model.
 */
export function newChat(model = "") {
  return { id: newId(), title: "", changed: 0, model, system: "", temperature: null, think: null, from: 0, turns: [] };
}

/** A turn. `question`: the prompt; `images`: base64; states: waiting, answering, done, stopped, error. */
export const newTurn = (question, images, model) =>
  ({ question, images, answer: "", thinking: "", model, state: "waiting", note: "", error: null });

/** A chat's name: the first words of its prompt. */
export function titleOf(prompt) {
  const line = prompt.trim().split("\n")[0];
  return line.length > 48 ? `${line.slice(0, 48).replace(/\s+\S*$/, "")}…` : line || "A picture";
}

/** The messages to the model for `turn`: its prompt, and the earlier turns that have an answer and were not left out. */
export function messages(chat, turn = null) {
  const sent = chat.system.trim() ? [{ role: "system", content: chat.system.trim() }] : [];
  for (const each of chat.turns.slice(chat.from ?? 0)) {
    if (each !== turn && !each.answer) continue;
    const prompt = { role: "user", content: each.question };
    sent.push(each.images.length ? { ...prompt, images: each.images } : prompt);
    // The model continues an answer that is the last message.
    if (each.answer) sent.push({ role: "assistant", content: each.answer });
    if (each === turn) break;
  }
  return sent;
}

/** About how many tokens the chat has with another prompt: Ollama's count, or a third of the characters. */
export function tokensWith(chat, prompt) {
  const last = chat.turns.at(-1);
  const counted = last?.tokens && last.from === (chat.from ?? 0);
  const known = counted ? last.tokens : messages(chat).reduce((sum, { content }) => sum + content.length / 3, 0);
  return Math.round(known + prompt.length / 3);
}

/** Leaves out the older half of the turns that are sent, but never the last one. Returns whether there were any. */
export function leaveOut(chat) {
  const from = chat.from ?? 0;
  const count = Math.ceil((chat.turns.length - 1 - from) / 2);
  if (count > 0) chat.from = from + count;
  return count > 0;
}

/** Markdown, with placeholders for pictures; the JSON contains them. */
export function toMarkdown(chat) {
  const parts = [`# ${chat.title || "Chat"}`];
  if (chat.system.trim()) parts.push(`> ${chat.system.trim().replaceAll("\n", "\n> ")}`);
  for (const { question, images, answer, model, state } of chat.turns) {
    parts.push("## You", ...images.map((_, index) => `*(picture ${index + 1})*`), question);
    parts.push(`## ${model}`, answer);
    if (state !== "done") parts.push("*(incomplete)*");
  }
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

export const toJson = (chat) => `${JSON.stringify({ format: "hearth-chat-1", ...chat }, null, 2)}\n`;

/** A file name that is valid on every system. */
export const fileName = (chat, ending) =>
  `${(chat.title || "chat").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "chat"}.${ending}`;
