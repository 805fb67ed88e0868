"""The parts of chat.js that know nothing of the page, imported in Chromium from where the lab serves them."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent.parent
STATUSES = [400, 403, 404, 405, 408, 411, 413, 421, 500, 502, 503, 418]

# Feeds `bytes` to readAnswer in pieces of `size`, and tells what came out.
READ = """
  const { bytes, size, breaks } = argument;
  const all = new Uint8Array(bytes);
  const stream = new ReadableStream({
    start(controller) {
      for (let at = 0; at < all.length; at += size) controller.enqueue(all.slice(at, at + size));
      if (breaks) setTimeout(() => controller.error(new TypeError("network error")));
      else controller.close();
    },
  });
  let text = "";
  try {
    const last = await chat.readAnswer(stream, (event) => { text += event.response ?? ""; }, "tiny");
    return { text, last };
  } catch (error) {
    return { text, name: error.name, message: error.message, detail: error.detail };
  }
"""


class Call(Protocol):
    def __call__(self, body: str, argument: object = None) -> Any: ...


@pytest.fixture(scope="module")
def call(chromium: Browser, hearth_url: str) -> Iterator[Call]:
    """Runs a function body with `chat`, the module, and `argument`, on a page that has nothing of the chat page."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{hearth_url}/chat.css")

    def run(body: str, argument: object = None) -> Any:
        program = f"async ([url, argument]) => {{ const chat = await import(url); {body} }}"
        return page.evaluate(program, [f"{hearth_url}/chat.js", argument])

    yield run
    context.close()


def read(call: Call, content: str, size: int = 1, breaks: bool = False) -> dict[str, Any]:
    argument = {"bytes": list(content.encode()), "size": size, "breaks": breaks}
    told: dict[str, Any] = call(READ, argument)
    return told


def test_every_status_has_its_own_sentence(call: Call) -> None:
    body = "return argument.map((status) => chat.statusSentence(status, { detail: 'x', origin: 'http://pi:85' }))"
    sentences = call(body, STATUSES)
    assert len(set(sentences)) == len(STATUSES)
    assert all(sentence.endswith(".") and len(sentence) > 40 for sentence in sentences), sentences
    assert "http://pi:85" in sentences[STATUSES.index(403)]


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("model 'tiny' not found", "“tiny” is not on this server"),
        ('model "tiny" not found, try pulling it first', "“tiny” is not on this server"),
        ("model requires more system memory (5.6 GiB) than is available (3.1 GiB)", "needs more memory"),
        ("server busy, please try again. maximum pending requests exceeded", "Too many questions"),
        ('"tiny" does not support generate', "not made for answering"),
    ],
)
def test_words_of_ollamas_count_more_than_the_status(call: Call, detail: str, said: str) -> None:
    body = "return chat.statusSentence(500, { detail: argument, model: 'tiny' })"
    assert said in call(body, detail)


def test_ollamas_own_403_is_told_from_the_proxys(call: Call) -> None:
    assert "Ollama itself" in call("return chat.statusSentence(403)")


def test_lines_are_the_same_however_they_are_cut(call: Call) -> None:
    text = "one\n\n  two\r\nthree"
    body = """
      return [1, 2, 3, 5, 100].map((size) => {
        const splitter = chat.lineSplitter();
        const lines = [];
        for (let at = 0; at < argument.length; at += size) lines.push(...splitter.push(argument.slice(at, at + size)));
        return [...lines, splitter.rest(), splitter.rest()];
      });
    """
    assert call(body, text) == [["one", "", "  two\r", "three", ""]] * 5


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64, 4096])
@pytest.mark.parametrize("end", ["\n", "", "\r\n\n", '\n{"response":"after the end"}\n'])
def test_an_answer_is_the_same_however_it_is_cut(call: Call, size: int, end: str) -> None:
    lines = '{"response":"Grüße "}\n\n  \r\n{"response":"🏠\\n€"}\n{"response":"","done":true,"eval_count":2}'
    told = read(call, lines + end, size)
    assert told == {"text": "Grüße 🏠\n€", "last": {"response": "", "done": True, "eval_count": 2}}


@pytest.mark.parametrize("breaks", [False, True], ids=["orderly", "abrupt"])
@pytest.mark.parametrize("tail", ["", "\n", '\n{"resp', '\n{"response":"x","done":fal'])
def test_an_answer_without_done_is_cut_off(call: Call, tail: str, breaks: bool) -> None:
    told = read(call, '{"response":"so far"}' + tail, size=3, breaks=breaks)
    assert told["name"] == "ChatError"
    assert told["message"].startswith("The answer was cut off")
    if tail or not breaks:
        assert told["text"] == "so far"


def test_an_error_line_is_an_error(call: Call) -> None:
    told = read(call, '{"response":"so far"}\n{"error":"it broke"}\n')
    assert (told["text"], told["name"], told["detail"]) == ("so far", "ChatError", "it broke")


@pytest.mark.parametrize("odd", ["<html>router login</html>\n", "null\n", '"text"\n'])
def test_what_is_not_from_ollama_is_said(call: Call, odd: str) -> None:
    assert "not from Ollama" in read(call, odd, size=9)["message"]


def test_an_empty_answer_is_cut_off(call: Call) -> None:
    assert read(call, "")["message"].startswith("The answer was cut off")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ({"eval_count": 24, "eval_duration": 2_000_000_000}, "24 tokens in 2.0 s · 12 tokens per second"),
        ({"eval_count": 1, "eval_duration": 500_000_000}, "1 token in 0.5 s · 2.0 tokens per second"),
        (
            {"eval_count": 9, "eval_duration": 1_000_000_000, "done_reason": "length"},
            "9 tokens in 1.0 s · 9.0 tokens per second · ended at the length limit",
        ),
        ({"eval_count": 3, "eval_duration": 0}, "Done"),
        ({}, "Done"),
    ],
)
def test_summary(call: Call, last: dict[str, Any], said: str) -> None:
    assert call("return chat.summary(argument)", last) == said


def test_waiting_counts_seconds(call: Call) -> None:
    assert call("return chat.waitingSentence(12)") == "Loading the model or reading the prompt… 12 s"
    assert "minutes" in call("return chat.waitingSentence(15)")


def test_settings_that_sentences_name_exist() -> None:
    named = set(re.findall(r"“([a-z]+_[a-z_]+)”", (ROOT / "files/htdocs/chat.js").read_text()))
    assert named >= {"ollama_models", "allowed_origins"}
    assert named - set(runpy.run_path(str(ROOT / "group_data/all.py"))) == set()
