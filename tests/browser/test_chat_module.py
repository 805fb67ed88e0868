"""The modules that are independent of the page, imported in Chromium from the server of the page."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "files" / "htdocs"
MODULES = ("abilities", "chats", "dom", "markdown", "pictures", "stream", "thoughts", "words")
STATUSES = [400, 401, 403, 404, 405, 408, 411, 413, 421, 500, 502, 503, 418]

# Passes `bytes` to readAnswer in chunks of `size`, and returns the result.
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
def call(chromium: Browser, page_url: str) -> Iterator[Call]:
    """Run a function body with `chat` (the exports of MODULES) and `argument`, without loading the page itself."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{page_url}/chat.css")
    page.evaluate(
        "async (urls) => { window.chat = Object.assign({}, ...(await Promise.all(urls.map((url) => import(url))))); }",
        [f"{page_url}/{module}.js" for module in MODULES],
    )

    def run(body: str, argument: object = None) -> Any:
        return page.evaluate(f"async (argument) => {{ {body} }}", argument)

    yield run
    context.close()


def read(call: Call, content: str, size: int = 1, breaks: bool = False) -> dict[str, Any]:
    argument = {"bytes": list(content.encode()), "size": size, "breaks": breaks}
    result: dict[str, Any] = call(READ, argument)
    return result


def test_every_status_has_a_distinct_message(call: Call) -> None:
    body = "return argument.map((status) => chat.fromStatus(status, { detail: 'x', origin: 'http://pi:85' }).message)"
    sentences = call(body, STATUSES)
    assert len(set(sentences)) == len(STATUSES)
    assert all(sentence.endswith(".") and len(sentence) > 40 for sentence in sentences), sentences
    assert "http://pi:85" in sentences[STATUSES.index(403)]


@pytest.mark.parametrize(
    ("detail", "message", "cure"),
    [
        ("model 'tiny' not found", "“tiny” is not installed on this server (installed: “a”, “b” and “c”).", "other"),
        ('model "tiny" not found, try pulling it first', "“tiny” is not installed on this server", "other"),
        ("model requires more system memory (5.6 GiB) than is available (3.1 GiB)", "needs more memory", "other"),
        ("server busy, please try again.  maximum pending requests exceeded", "queue is full", "wait"),
        ('"tiny" does not support generate', "does not support chat", "other"),
        ("this model is missing data required for image input", "can't process this picture", "other"),
        # Messages of Ollama 0.17.4.
        ("llama runner process has terminated: signal: killed", "pick a smaller model", "again"),
        ("model failed to load, this may be due to resource limitations or an internal error", "failed while", "again"),
        ("timed out waiting for llama runner to start - progress 0.50 - ", "It may still be loading", "again"),
        ("model server name does not resolve", "is missing or has failed", "wait"),
    ],
)
def test_ollamas_message_takes_precedence_over_the_status(call: Call, detail: str, message: str, cure: str) -> None:
    body = "return chat.fromStatus(500, { detail: argument, model: 'tiny', models: ['a', 'b', 'c'] })"
    error = call(f"const error = (() => {{ {body} }})(); return [error.message, error.cure]", detail)
    assert message in error[0]
    assert error[1] == cure


def test_an_unlisted_network_is_distinguished_from_an_origin(call: Call) -> None:
    sentence = call('return chat.fromStatus(403, { detail: "address not allowed", origin: "http://pi:85" }).message')
    assert "This device's network" in sentence
    assert "proxy_allowed_networks" in sentence
    assert "allowed_origins" not in sentence


def test_ollamas_403_is_distinguished_from_the_proxys(call: Call) -> None:
    assert "Ollama itself" in call("return chat.fromStatus(403).message")


def test_lines_do_not_depend_on_the_chunks(call: Call) -> None:
    text = "one\n\n  two\r\nthree"
    body = """
      return [1, 2, 3, 5, 100].map((size) => {
        const splitter = chat.lineSplitter();
        const lines = [];
        for (let at = 0; at < argument.length; at += size) lines.push(...splitter.push(argument.slice(at, at + size)));
        return [...lines, splitter.rest()];
      });
    """
    assert call(body, text) == [["one", "", "  two\r", "three"]] * 5


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64, 4096])
@pytest.mark.parametrize("end", ["\n", "", "\r\n\n", '\n{"response":"after the end"}\n'])
def test_an_answer_does_not_depend_on_the_chunks(call: Call, size: int, end: str) -> None:
    lines = '{"response":"Grüße "}\n\n  \r\n{"response":"🏠\\n€"}\n{"response":"","done":true,"eval_count":2}'
    result = read(call, lines + end, size)
    assert result == {"text": "Grüße 🏠\n€", "last": {"response": "", "done": True, "eval_count": 2}}


@pytest.mark.parametrize("breaks", [False, True], ids=["orderly", "abrupt"])
@pytest.mark.parametrize("tail", ["", "\n", '\n{"resp', '\n{"response":"x","done":fal'])
def test_an_answer_without_done_is_cut_off(call: Call, tail: str, breaks: bool) -> None:
    result = read(call, '{"response":"so far"}' + tail, size=3, breaks=breaks)
    assert result["name"] == "ChatError"
    assert result["message"].startswith("The answer was cut off")
    if tail or not breaks:
        assert result["text"] == "so far"


def test_an_error_line_is_an_error(call: Call) -> None:
    result = read(call, '{"response":"so far"}\n{"error":"it broke"}\n')
    assert (result["text"], result["name"], result["detail"]) == ("so far", "ChatError", "it broke")


@pytest.mark.parametrize("odd", ["<html>router login</html>\n", "null\n", '"text"\n'])
def test_responses_of_other_programs_are_reported(call: Call, odd: str) -> None:
    assert "not from Ollama" in read(call, odd, size=9)["message"]


def test_an_empty_answer_is_cut_off(call: Call) -> None:
    assert read(call, "")["message"].startswith("The answer was cut off")


@pytest.mark.parametrize(
    ("last", "text"),
    [
        ({"eval_count": 24, "eval_duration": 2_000_000_000}, "24 tokens in 2.0 s · 12 tokens per second"),
        ({"eval_count": 1, "eval_duration": 500_000_000}, "1 token in 0.5 s · 2.0 tokens per second"),
        (
            {"eval_count": 9, "eval_duration": 1_000_000_000, "done_reason": "length"},
            "9 tokens in 1.0 s · 9.0 tokens per second · stopped at the length limit",
        ),
        ({"eval_count": 3, "eval_duration": 0}, "Done"),
        ({}, "Done"),
    ],
)
def test_summary(call: Call, last: dict[str, Any], text: str) -> None:
    assert call("return chat.summary(argument)", last) == text


def test_summary_has_total_and_loading_time(call: Call) -> None:
    assert call("return chat.summary({}, 14.24, 12.0)") == "14.2 s in total, including 12.0 s to load the model"
    assert call("return chat.summary({}, 2.04, 0.9)") == "2.0 s in total"


def test_status_distinguishes_loading_from_thinking(call: Call) -> None:
    assert call("return chat.waitingMessage(3)") == "Thinking… 3 s"
    assert call("return chat.waitingMessage(9, 'tiny')") == "Loading tiny into memory… 9 s"
    assert "minute" in call("return chat.waitingMessage(10, 'tiny')")


def test_silence_is_explained(call: Call) -> None:
    messages = call(
        "return argument.map(([seconds, server]) => chat.silenceMessage(seconds, server))",
        [
            *([seconds, "up"] for seconds in (0, 19, 20, 119, 120, 900)),
            [30, "down"],
            [500, "away"],
            [30, ""],
        ],
    )
    assert messages[:2] == ["", ""]
    assert messages[2] == messages[3]
    assert "responds; the model may be busy" in messages[2]
    assert messages[4] == messages[5]
    assert "Hearth restarts it about now and this page reports that, unless “ollama_heal_stuck” is off." in messages[4]
    assert "may be restarting" in messages[6]
    assert "Can't reach the server" in messages[7]
    assert messages[8] == "", "the server was not checked yet"


def test_a_timeout_is_distinguished_from_a_restart(call: Call) -> None:
    body = "return argument.map((up) => { const e = chat.fromStatus(502, { up }); return [e.message, e.cure]; })"
    (slow, slow_cure), (restarted, cure), unknown = call(body, [True, False, None])
    assert "did not respond in time" in slow
    assert (slow_cure, cure) == ("again", "wait")
    assert "is being restarted" in restarted
    assert unknown == [slow, slow_cure]


@pytest.mark.parametrize(
    ("status", "up", "detail"),
    [(503, False, "busy, or model server down"), (500, None, "model server name does not resolve")],
)
def test_a_server_that_lost_a_prompt_is_distinguished_from_one_that_was_down(
    call: Call, status: int, up: bool | None, detail: str
) -> None:
    """Chromium resends a prompt whose connection was closed; the second time, the server is down."""
    body = (
        "return [0, 30].map((waited) => chat.fromStatus(argument[0], { up: argument[1], detail: argument[2], waited }))"
    )
    immediate, late = call(f"{body}.map(({{ message, cure }}) => [message, cure])", [status, up, detail])
    assert "restarted" not in immediate[0]
    assert "is being restarted" in late[0]
    assert immediate[1] == late[1] == "wait"


def test_a_long_queue_is_not_reported_as_a_restart(call: Call) -> None:
    sentence = call("return chat.fromStatus(503, { up: true, waited: 600 }).message")
    assert "busy with other prompts" in sentence


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"name": "llama3.2:1b", "capabilities": ["completion", "tools"]}, True),
        ({"name": "all-minilm:latest", "capabilities": ["embedding"]}, False),
        ({"name": "vectors:1b", "capabilities": ["embedding"], "details": {"family": "gemma3"}}, False),
        ({"name": "embedded-rust-helper:7b", "capabilities": ["completion"]}, True),
        # Without capabilities: by architecture and name.
        ({"name": "all-minilm:latest", "details": {"family": "bert", "families": ["bert"]}}, False),
        ({"name": "nomic:latest", "details": {"family": "nomic-bert", "families": ["nomic-bert"]}}, False),
        ({"name": "qwen3-embedding:0.6b", "details": {"family": "qwen3", "families": None}}, False),
        ({"name": "llama3.2:1b", "details": {"family": "llama", "families": ["llama"]}}, True),
        ({"name": "x", "capabilities": []}, True),
        ({}, True),
    ],
)
def test_which_models_can_chat(call: Call, model: dict[str, Any], expected: bool) -> None:
    assert call("return chat.canChat(argument)", model) is expected


# Markdown and the resulting elements, without buttons.
MARKDOWN = [
    ("two\nlines\n\nand more", "<p>two\nlines</p><p>and more</p>"),
    ("# One\n### Three #", "<h3>One</h3><h5>Three</h5>"),
    ("**bold**, *slanted* _so_ ~~gone~~", "<p><strong>bold</strong>, <em>slanted</em> <em>so</em> <del>gone</del></p>"),
    ("**bold *and* slanted**", "<p><strong>bold <em>and</em> slanted</strong></p>"),
    ("2 * 3 * 4, a_b_c, 5*6*7, __init__", "<p>2 * 3 * 4, a_b_c, 5*6*7, <strong>init</strong></p>"),
    ("`<b>` and ``a ` b``", "<p><code>&lt;b&gt;</code> and <code>a ` b</code></p>"),
    (r"\*not\* so", "<p>*not* so</p>"),
    ("```sh\nls *x*\n\n# no\n```\nafter", "<div><div>sh</div><pre><code>ls *x*\n\n# no</code></pre></div><p>after</p>"),
    ("~~~\nstill coming\n``", "<div><div>text</div><pre><code>still coming\n``</code></pre></div>"),
    (
        "- one\n- two\n  - in\n\n    more\n- three",
        "<ul><li><p>one</p></li><li><p>two</p><ul><li><p>in</p><p>more</p></li></ul></li><li><p>three</p></li></ul>",
    ),
    ("3. c\n4. d\n\ntext", '<ol start="3"><li><p>c</p></li><li><p>d</p></li></ol><p>text</p>'),
    ("Say:\n* a\n* b", "<p>Say:</p><ul><li><p>a</p></li><li><p>b</p></li></ul>"),
    (
        "1. x\n   ```\n   code\n     in\n   ```",
        "<ol><li><p>x</p><div><div>text</div><pre><code>code\n  in</code></pre></div></li></ol>",
    ),
    ("> said\n> - so", "<blockquote><p>said</p><ul><li><p>so</p></li></ul></blockquote>"),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("- ", "<ul><li></li></ul>"),
    # As people mean it.
    ("**bold**text, 2**3**4", "<p><strong>bold</strong>text, 2**3**4</p>"),
    ("Title\n---\ntext", "<h4>Title</h4><p>text</p>"),
    ("Top\n===\ntext", "<h3>Top</h3><p>text</p>"),
    ("A sentence.\n---\nmore", "<p>A sentence.</p><hr><p>more</p>"),
    # Literally.
    (
        r"\(a_1 + b_1\), \[x\], $$y^2$$, \$5",
        r"<p><code>\(a_1 + b_1\)</code>, <code>\[x\]</code>, <code>$$y^2$$</code>, $5</p>",
    ),
    ("$$\nx *y*\n$$\nso", "<div><div>math</div><pre><code>x *y*</code></pre></div><p>so</p>"),
    (r"C:\Users\_new\*.txt, \d+\.\d+ and snake\_case", r"<p>C:\Users\_new\*.txt, \d+\.\d+ and snake_case</p>"),
    (
        "a:\n| x | y |\n|---|--:|\n| 1 | `b` \\| c |\n| 2 |\n\nend",
        "<p>a:</p><div><table><thead><tr><th>x</th><th>y</th></tr></thead><tbody><tr><td>1</td>"
        "<td><code>b</code> | c</td></tr>"
        "<tr><td>2</td><td></td></tr></tbody></table></div><p>end</p>",
    ),
    ("a | b\nno table", "<p>a | b\nno table</p>"),
    (
        "| a \\| | `\\|` |\n|---|---|\nx \\| | y\\|",
        "<div><table><thead><tr><th>a |</th><th><code>|</code></th></tr></thead>"
        "<tbody><tr><td>x |</td><td>y|</td></tr></tbody></table></div>",
    ),
    (
        "a*b* _c_d_ `x`**y** ~*z* (**w**)",
        "<p>a*b* <em>c_d</em> <code>x</code><strong>y</strong> ~*z* (<strong>w</strong>)</p>",
    ),
    (r"see (C:\x\*y) \*", r"<p>see (C:\x\*y) *</p>"),
    (r"is \(\alpha\_1\), \**x", r"<p>is <code>\(\alpha\_1\)</code>, **x</p>"),
    (
        "- [x] done\n- [ ] open",
        '<ul><li><input type="checkbox" disabled=""><p>done</p></li>'
        '<li><input type="checkbox" disabled=""><p>open</p></li></ul>',
    ),
    ("", ""),
]
LINK = '<a href="{0}" target="_blank" rel="noopener noreferrer">{1}</a>'
LINKS = [
    (
        "[docs](https://example.com/a_(b))",
        LINK.format("https://example.com/a_(b)", "docs") + "<span> (example.com)</span>",
    ),
    ("See http://a.example/x?y=1.", "See " + LINK.format("http://a.example/x?y=1", "http://a.example/x?y=1") + "."),
    ("[http://bank.example](http://thief.example/)", LINK.format("http://thief.example/", "http://bank.example")),
]
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "[a](//evil.example)",
    "[a](https://)",
    "[a](https://exa mple.com)",
    '[a](https://e.example/"onmouseover="alert(1))',
    "![x](https://evil.example/pixel.png)",
    "```<img src=x onerror=alert(1)>\n</code></pre><script>alert(1)</script>\n```",
    "- <iframe src=javascript:alert(1)>\n  > <b onclick=alert(1)>",
    "https://e.example/<script>alert(1)</script>",
    "&lt;script&gt;&#x3c;",
]
SHOW = """
  const box = document.createElement("div");
  box.append(...chat.render(argument));
  for (const each of box.querySelectorAll("button")) each.remove();
  for (const each of box.querySelectorAll("*")) {
    for (const name of ["class", "tabindex", "dir"]) each.removeAttribute(name);
  }
  return box.innerHTML;
"""


@pytest.mark.parametrize(("text", "shown"), MARKDOWN)
def test_markdown(call: Call, text: str, shown: str) -> None:
    assert call(SHOW, text) == shown


@pytest.mark.parametrize(("text", "shown"), LINKS)
def test_links_show_their_target(call: Call, text: str, shown: str) -> None:
    assert call(SHOW, text).startswith(f"<p>{shown}")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_answer_becomes_markup(call: Call, text: str) -> None:
    result = call(
        """
          const box = document.createElement("div");
          box.append(...chat.render(argument));
          const all = [...box.querySelectorAll("*")];
          return {
            tags: all.map((each) => each.tagName.toLowerCase()),
            attributes: all.flatMap((each) => each.getAttributeNames()),
            links: [...box.querySelectorAll("a")].map((each) => each.protocol),
          };
        """,
        text,
    )
    assert set(result["tags"]) <= {"p", "a", "span", "div", "pre", "code", "button", "ul", "li", "blockquote"}
    assert set(result["attributes"]) <= {"class", "tabindex", "href", "target", "rel", "type", "dir"}
    assert set(result["links"]) <= {"http:", "https:"}


# Long enough for groups, with what could end a list or table too early.
_NUMBERS = range(40)
LONG = {
    "list": "".join(f"- item {number} of **many**\n{'  - inner' * (number % 3)}\n" for number in _NUMBERS) + "* * *\n",
    "numbers": "Say:\n7. " + "8. ".join(f"item {number}\nmore\n\n" for number in _NUMBERS) + "- other\n",
    "indented": "".join(f" - item {number}\n" for number in _NUMBERS) + "- outer\n  - inner\n",
    "nested": "- top\n\n" + "".join(f"  1) item `{number}`\n     > said\n" for number in _NUMBERS),
    "tasks": "".join(f"- [{'x' * (number % 2) or ' '}] task {number}\n" for number in _NUMBERS),
    "table": "a | b\n--|:-:\n" + "".join(f"row {number} | **b**\n" for number in _NUMBERS) + "\n\n\nafter | it\n",
    "paragraphs": "".join(f"paragraph {number}\n\n### head\n\n" for number in _NUMBERS),
    "lines": "".join(f"line {number} of *one* paragraph\n" for number in _NUMBERS) + "---\n",
    "quote": "".join(f"> - item {number}\n" for number in _NUMBERS),
}


@pytest.mark.parametrize("text", ["\n\n".join(text for text, _ in MARKDOWN), *LONG.values()], ids=["short", *LONG])
def test_growing_markdown_gives_the_same_elements(call: Call, text: str) -> None:
    body = """
      const whole = document.createElement("div");
      whole.append(...chat.render(argument));
      const box = document.createElement("div");
      const grow = chat.growing(box);
      for (let end = 1; end <= argument.length; end++) grow(argument.slice(0, end));
      return [box.innerHTML, whole.innerHTML];
    """
    grown, whole = call(body, text)
    assert grown == whole


def test_groups_keep_the_numbers_of_a_list(call: Call) -> None:
    body = """
      const box = document.createElement("div");
      box.append(...chat.render(argument));
      return [...box.querySelectorAll(":scope > ol > div.part > li:first-child")].map((each) => each.value);
    """
    assert call(body, "".join(f"{number}. item\n" for number in range(3, 60))) == [19, 35, 51]


def test_a_changed_text_is_shown_as_a_whole(call: Call) -> None:
    body = """
      const box = document.createElement("div");
      const grow = chat.growing(box);
      for (const text of argument) grow(text);
      return box.textContent;
    """
    long = "\n\n".join(f"paragraph {number}" for number in range(9))
    assert call(body, [long, "other", ""]) == ""
    assert call(body, [long, "other"]) == "other"


def test_complete_blocks_are_not_touched(call: Call) -> None:
    body = """
      const box = document.createElement("div");
      const grow = chat.growing(box);
      const lines = [...Array(500).keys()].map((n) => `- item ${n} of **many**`).join("\\n");
      grow(`# Title\\n\\n${lines}`);
      const touched = new Set();
      const options = { subtree: true, childList: true, characterData: true };
      new MutationObserver((all) => all.forEach(({ target }) => touched.add(target))).observe(box, options);
      grow(`# Title\\n\\n${lines} and`);
      await new Promise((resolve) => setTimeout(resolve));
      return touched.size;
    """
    assert call(body) == 1


def test_text_has_its_own_direction(call: Call) -> None:
    body = """
      const box = document.createElement("div");
      box.append(...chat.render(argument));
      document.body.append(box);
      const shown = [...box.querySelectorAll("h3, p, li, blockquote, th, td")];
      const directions = shown.map((each) => [each.textContent, getComputedStyle(each).direction]);
      box.remove();
      return directions;
    """
    directions = call(body, "# שלום\n\nText\n\n- לום\n- a\n\n> שום\n\n| a | ב |\n|---|---|\n| c | ד |")
    assert len(directions) == 12
    assert [text for text, direction in directions if (direction == "rtl") != (text[0] > "\u0590")] == []


@pytest.mark.parametrize(
    ("text", "answer", "thinking"),
    [
        ("<think>a\nb</think>\n\nc", "c", "a\nb"),
        ("\n<thinking>a", "", "a"),
        ("<reaso", "", ""),
        ("a</think>b", "b", "a"),
        ("<reasoning>a</reasoning>b", "b", "a"),
        ("plain <think>", "plain <think>", ""),
        ("<b>x</b>", "<b>x</b>", ""),
        ("Write:\n```\n</think>\n```", "Write:\n```\n</think>\n```", ""),
        ("", "", ""),
    ],
)
def test_thoughts_are_separated(call: Call, text: str, answer: str, thinking: str) -> None:
    assert call("return chat.separate(argument)", text) == {"answer": answer, "thinking": thinking}


def test_a_chat_that_outgrows_the_context_is_shortened(call: Call) -> None:
    result = call("""
      const talk = chat.newChat("tiny");
      for (const n of [1, 2, 3, 4]) {
        talk.turns.push({ ...chat.newTurn(`${n}?`, [], "tiny"), answer: `${n}`, tokens: n * 100, from: 0 });
      }
      const before = chat.tokensWith(talk, "x".repeat(30));
      const could = chat.leaveOut(talk);
      const sent = chat.messages(talk).map(({ content }) => content);
      const after = chat.tokensWith(talk, "");
      while (chat.leaveOut(talk));
      return [before, could, sent, after, talk.from];
    """)
    assert result == [410, True, ["3?", "3", "4?", "4"], 2, 3]


def test_a_full_context_has_a_cure(call: Call) -> None:
    body = "const e = chat.fromStatus(400, { detail: argument }); return [e.message, e.cure]"
    message, cure = call(body, "the input length exceeds the context length")
    assert "Leave out the oldest messages" in message
    assert cure == "shorten"


@pytest.mark.parametrize("part", ["> ", "- ", "*a ", "**", "[", "`", "[x](https://a", "  - a\n", "_", "1. "])
def test_deep_nesting_is_fast(call: Call, part: str) -> None:
    body = "const started = performance.now(); chat.render(argument); return performance.now() - started"
    assert call(body, part * 3000) < 3000


def test_messages_to_the_model(call: Call) -> None:
    result = call("""
      const talk = chat.newChat("tiny");
      talk.system = " Be brief. ";
      talk.turns.push({ ...chat.newTurn("One?", ["cGlj"], "tiny"), answer: "1", state: "done" });
      talk.turns.push({ ...chat.newTurn("Failed?", [], "tiny"), state: "error" });
      talk.turns.push(chat.newTurn("Two?", [], "tiny"));
      return [chat.messages(talk, talk.turns[2]), chat.toMarkdown({ ...talk, title: "T" })];
    """)
    assert result[0] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?", "images": ["cGlj"]},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two?"},
    ]
    assert result[1].startswith("# T\n\n> Be brief.\n\n## You\n\n*(picture 1)*\n\nOne?\n\n## tiny\n\n1\n")


@pytest.mark.parametrize(
    ("prompt", "title"), [("Why?\nSo.", "Why?"), ("word " * 20, "word " * 8 + "word…"), ("  ", "A picture")]
)
def test_titles(call: Call, prompt: str, title: str) -> None:
    assert call("return chat.titleOf(argument)", prompt) == title


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ({"name": "llava:7b", "details": {"family": "llama", "families": ["llama", "clip"]}}, True),
        ({"name": "qwen2.5vl:3b", "details": {"family": "qwen25vl", "families": ["qwen25vl"]}}, True),
        ({"name": "gemma3:1b", "details": {"family": "gemma3", "families": ["gemma3"]}}, None),
        ({"name": "x", "details": {"family": "llama", "families": None}}, None),
        ({"name": "llava", "capabilities": ["completion"]}, False),
    ],
)
def test_which_models_can_see(call: Call, model: dict[str, Any], known: bool | None) -> None:
    assert call("return chat.canSee(argument)", model) is known


def test_settings_named_in_messages_exist() -> None:
    text = "".join(path.read_text() for path in PAGE.glob("*.js"))
    named = set(re.findall(r"“([a-z]+_[a-z_]+)”", text))
    assert named >= {"ollama_models", "allowed_origins"}
    assert named - set(runpy.run_path(str(ROOT / "group_data/all.py"))) == set()


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in PAGE.iterdir()) < 100_000


def test_the_oldest_supported_browsers_can_run_it() -> None:
    """Those of docs/chat-page.md. Lookbehind is a syntax error in Safari before 16.4, which ends the whole page."""
    younger = r"\(\?<[=!]|AbortSignal\."
    assert [path.name for path in PAGE.glob("*.js") if re.search(younger, path.read_text())] == []


def test_text_never_becomes_html() -> None:
    unsafe = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\("
    assert [path.name for path in PAGE.glob("*.js") if re.search(unsafe, path.read_text())] == []


def test_a_countdown_that_begins_after_the_stop_ends_at_once(call: Call) -> None:
    body = "return chat.countdown(60, () => {}, AbortSignal.abort()).catch(({ name }) => name)"
    assert call(body) == "AbortError"


def test_an_answer_that_cannot_be_drawn_is_an_error(call: Call) -> None:
    body = """
      const drawing = chat.everyFrame(() => { throw new Error("no"); });
      const ended = async () => {
        drawing.request();
        const late = new Promise((resolve) => setTimeout(() => resolve("never ended"), 5000));
        return Promise.race([drawing.finish().catch(({ message }) => message), late]);
      };
      const first = await ended();
      return [first, await drawing.finish().catch(({ message }) => message), await ended()];
    """
    assert call(body) == ["no", "no", "no"]
