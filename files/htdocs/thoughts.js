// Separates a model's thoughts from its answer. Independent of the page.

const NAMES = "think|thinking|thought|thoughts|reasoning|reflection";
const OPENING = new RegExp(`^\\s*<(${NAMES})>`);
const TAG_BEGINS = /^\s*<[a-z]*$/;
const CLOSING = new RegExp(`</(?:${NAMES})>\\s*`);

/**
 * Splits what a model wrote into {answer, thinking}. Ollama does this itself for the models whose form it knows; others
 * write <think>…</think> at the beginning, or only the closing tag, if their template has the opening one.
 */
export function separate(text) {
  const opening = OPENING.exec(text);
  // It may become a tag.
  if (!opening && TAG_BEGINS.test(text) && NAMES.split("|").some((name) => `<${name}>`.startsWith(text.trim()))) return { answer: "", thinking: "" };
  const from = opening ? opening[0].length : 0;
  const closing = opening || text.includes("</") ? CLOSING.exec(text) : null;
  if (closing && (opening || !/```/.test(text.slice(0, closing.index)))) {
    return { answer: text.slice(closing.index + closing[0].length), thinking: text.slice(from, closing.index).trim() };
  }
  return opening ? { answer: "", thinking: text.slice(from).trimStart() } : { answer: text, thinking: "" };
}
