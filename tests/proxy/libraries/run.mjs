// Calls a server with one client library, unmodified: run.mjs LIBRARY. As run.py, for the libraries of package.json;
// LIBRARIES is the directory that has them. An error is what Node prints for an uncaught one, without its stack.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.LIBRARIES}/package.json`);
const load = async (name) => import(pathToFileURL(require.resolve(name)));

const CHAT = "tinyllama";
const EMBEDDING = "tinyembed";
const WORDS = "Who are you?";
const messages = [{ role: "user", content: WORDS }];

const libraries = {
  async openai({ url, key, headers }) {
    const { default: OpenAI } = await load("openai");
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, defaultHeaders: headers, maxRetries: 0 });
    return {
      async chat() {
        let text = "";
        for await (const part of await client.chat.completions.create({ model: CHAT, messages, stream: true })) {
          text += part.choices[0]?.delta?.content ?? "";
        }
        return text;
      },
      models: async () => (await client.models.list()).data.map((model) => model.id).join(" "),
      model: async () => (await client.models.retrieve(CHAT)).id,
      embed: async () =>
        String((await client.embeddings.create({ model: EMBEDDING, input: [WORDS] })).data[0].embedding.length),
    };
  },
  async ollama({ url, key, headers }) {
    const { Ollama } = await load("ollama");
    const client = new Ollama({ host: url, headers: { Authorization: `Bearer ${key}`, ...headers } });
    return {
      async chat() {
        let text = "";
        for await (const part of await client.chat({ model: CHAT, messages, stream: true })) text += part.message.content;
        return text;
      },
      list: async () => (await client.list()).models.map((model) => model.model).join(" "),
      show: async () => (await client.show({ model: CHAT })).template,
      generate: async () => (await client.generate({ model: CHAT, prompt: WORDS })).response,
      embed: async () => String((await client.embed({ model: EMBEDDING, input: WORDS })).embeddings[0].length),
      ps: async () => JSON.stringify((await client.ps()).models),
    };
  },
  async langchain_ollama({ url, key, headers }) {
    const { ChatOllama, OllamaEmbeddings } = await load("@langchain/ollama");
    const options = { baseUrl: url, headers: { Authorization: `Bearer ${key}`, ...headers }, maxRetries: 0 };
    return {
      chat: async () => (await new ChatOllama({ model: CHAT, ...options }).invoke(WORDS)).content,
      embed: async () =>
        String((await new OllamaEmbeddings({ model: EMBEDDING, ...options }).embedQuery(WORDS)).length),
    };
  },
  async langchain_openai({ url, key, headers }) {
    const { ChatOpenAI, OpenAIEmbeddings } = await load("@langchain/openai");
    const options = {
      apiKey: key,
      maxRetries: 0,
      configuration: { baseURL: `${url}/v1`, defaultHeaders: headers },
    };
    return {
      chat: async () => (await new ChatOpenAI({ model: CHAT, ...options }).invoke(WORDS)).content,
      embed: async () =>
        String((await new OpenAIEmbeddings({ model: EMBEDDING, ...options }).embedQuery(WORDS)).length),
    };
  },
  async ai_sdk({ url, key, headers }) {
    const { generateText, embed } = await load("ai");
    const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
    const hearth = createOpenAICompatible({ name: "hearth", baseURL: `${url}/v1`, apiKey: key, headers });
    return {
      chat: async () => (await generateText({ model: hearth(CHAT), prompt: WORDS, maxRetries: 0 })).text,
      embed: async () =>
        String(
          (await embed({ model: hearth.textEmbeddingModel(EMBEDDING), value: WORDS, maxRetries: 0 })).embedding.length,
        ),
    };
  },
  async anthropic({ url, key, headers }) {
    const { default: Anthropic } = await load("@anthropic-ai/sdk");
    const client = new Anthropic({ baseURL: url, apiKey: key, defaultHeaders: headers, maxRetries: 0 });
    return {
      messages: async () =>
        (await client.messages.create({ model: CHAT, max_tokens: 50, messages })).content.map((one) => one.text).join(""),
    };
  },
};

let input = "";
for await (const piece of process.stdin) input += piece;
const results = [];
for (const call of JSON.parse(input)) {
  try {
    results.push({ text: await (await libraries[process.argv[2]](call))[call.action]() });
  } catch (error) {
    results.push({ error: String(error) });
  }
}
process.stdout.write(JSON.stringify(results));
