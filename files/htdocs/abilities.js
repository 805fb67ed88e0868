// What models can do: answer prompts, process pictures. Independent of the page.

const EMBEDDING = /bert|embed/i; // same rule as in hearth/doctor/checks/capabilities.py
const VISION = /clip|mllama|vl$|vl[:-]|llama4|mistral3|vision|minicpm-?v|llava|moondream/i;

const matches = ({ name = "", details }, pattern) =>
  [name, details?.family, ...(details?.families ?? [])].some((text) => pattern.test(text));

/** Whether a model answers prompts. Without capabilities from the server, its architecture and name decide. */
export const canChat = (model) =>
  model.capabilities?.length ? model.capabilities.includes("completion") : !matches(model, EMBEDDING);

/** Whether a model can think before it answers, and also not. */
export const canThink = (model = {}) => Boolean(model.capabilities?.includes("thinking"));

/** Whether a model accepts pictures: true, false, or null if unknown. */
export const canSee = (model = {}) =>
  model.capabilities ? model.capabilities.includes("vision") : matches(model, VISION) || null;
