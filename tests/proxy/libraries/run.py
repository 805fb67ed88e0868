"""Calls a server with one client library, unmodified: run.py LIBRARY, in the environment of `lab.client_libraries`.

Reads a JSON list of calls `{"action": …, "url": …, "key": …, "headers": {…}}` from standard input, and prints the list
of results: `{"text": …}`, or `{"error": what an uncaught exception prints}`.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

CHAT, EMBEDDING, WORDS = "tinyllama", "tinyembed", "Who are you?"
MESSAGES: list[Any] = [{"role": "user", "content": WORDS}]
Actions = dict[str, Callable[[], str]]


def openai(url: str, key: str, headers: dict[str, str]) -> Actions:
    from openai import OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key=key, default_headers=headers, max_retries=0)

    def stream() -> str:
        parts = client.chat.completions.create(model=CHAT, messages=MESSAGES, stream=True)
        return "".join(part.choices[0].delta.content or "" for part in parts if part.choices)

    return {
        "chat": stream,
        "models": lambda: " ".join(model.id for model in client.models.list()),
        "model": lambda: client.models.retrieve(CHAT).id,
        "embed": lambda: str(len(client.embeddings.create(model=EMBEDDING, input=[WORDS]).data[0].embedding)),
    }


def ollama(url: str, key: str, headers: dict[str, str]) -> Actions:
    from ollama import Client

    client = Client(host=url, headers={"Authorization": f"Bearer {key}", **headers})
    return {
        "chat": lambda: "".join(part.message.content or "" for part in client.chat(CHAT, MESSAGES, stream=True)),
        "list": lambda: " ".join(model.model or "" for model in client.list().models),
        "show": lambda: client.show(CHAT).template or "",
        "generate": lambda: client.generate(CHAT, WORDS).response or "",
        "embed": lambda: str(len(client.embed(EMBEDDING, WORDS).embeddings[0])),
        "ps": lambda: str(client.ps().models),
    }


def langchain_ollama(url: str, key: str, headers: dict[str, str]) -> Actions:
    from langchain_ollama import ChatOllama, OllamaEmbeddings

    options: Any = {"base_url": url, "client_kwargs": {"headers": {"Authorization": f"Bearer {key}", **headers}}}
    return {
        "chat": lambda: str(ChatOllama(model=CHAT, **options).invoke(WORDS).content),
        "embed": lambda: str(len(OllamaEmbeddings(model=EMBEDDING, **options).embed_query(WORDS))),
    }


def langchain_openai(url: str, key: str, headers: dict[str, str]) -> Actions:
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    options: Any = {"base_url": f"{url}/v1", "api_key": key, "default_headers": headers, "max_retries": 0}
    # Its default would count tokens with a file that it downloads.
    embeddings = {"check_embedding_ctx_length": False, **options}
    return {
        "chat": lambda: str(ChatOpenAI(model=CHAT, **options).invoke(WORDS).content),
        "embed": lambda: str(len(OpenAIEmbeddings(model=EMBEDDING, **embeddings).embed_query(WORDS))),
    }


def llama_index(url: str, key: str, headers: dict[str, str]) -> Actions:
    from llama_index.core.llms import ChatMessage
    from llama_index.embeddings.ollama import OllamaEmbedding
    from llama_index.llms.ollama import Ollama
    from ollama import Client

    headers = {"Authorization": f"Bearer {key}", **headers}
    # Without context_window, it asks for the model's.
    llm = Ollama(model=CHAT, base_url=url, client=Client(host=url, headers=headers))
    return {
        "chat": lambda: llm.chat([ChatMessage(WORDS)]).message.content or "",
        "complete": lambda: llm.complete(WORDS).text,
        "embed": lambda: str(
            len(OllamaEmbedding(EMBEDDING, base_url=url, client_kwargs={"headers": headers}).get_query_embedding(WORDS))
        ),
    }


def anthropic(url: str, key: str, headers: dict[str, str]) -> Actions:
    from anthropic import Anthropic

    client = Anthropic(base_url=url, api_key=key, default_headers=headers, max_retries=0)
    return {
        "messages": lambda: "".join(
            getattr(block, "text", "")
            for block in client.messages.create(model=CHAT, max_tokens=50, messages=MESSAGES).content
        )
    }


def main() -> None:
    make = globals()[sys.argv[1]]
    results = []
    for call in json.load(sys.stdin):
        try:
            results.append({"text": make(call["url"], call["key"], call["headers"])[call["action"]]()})
        except Exception as error:
            results.append({"error": "".join(traceback.format_exception_only(error))})
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
