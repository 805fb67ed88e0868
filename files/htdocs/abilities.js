// What models can do: which answer questions, which see pictures. Knows nothing of the page.

const EMBEDS = /bert|embed/i; // as hearth/doctor/checks/capabilities.py has it
const SEES = /clip|mllama|vl$|vl[:-]|llama4|mistral3|vision|minicpm-?v|llava|moondream/i;

const named = ({ name = "", details }, pattern) =>
  [name, details?.family, ...(details?.families ?? [])].some((word) => pattern.test(word));

/** Whether a model answers questions. Where the server does not say what it can do, its architecture and name do. */
export const talks = (model) =>
  model.capabilities?.length ? model.capabilities.includes("completion") : !named(model, EMBEDS);

/** Whether a model takes pictures: true, false, or null when the server does not tell. */
export const sees = (model = {}) =>
  model.capabilities ? model.capabilities.includes("vision") : named(model, SEES) || null;
