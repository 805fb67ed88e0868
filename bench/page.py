"""The chat page in Chromium, with a model as fast as a bench wants: `python -m bench.page`.

A frame waits for whatever else the machine does, the processor time of a task does not: both are measured.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, sync_playwright

from bench.machine import description
from hearth.render.chat_page import render_page
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import CHROMIUM_FLAGS
from tests.browser.long_answer import PIECE, FastModel, fast_model
from tests.browser.test_long_answers import FRAMES, LIST, OPENED, STOP, STORE
from tests.support.shipped import shipped_settings

RESULTS = Path(__file__).resolve().parent / "results"
CHATS, TURNS = 500, 1000  # a turn is two messages
THROTTLES = (1, 6)
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# A locator of the tests looks at each element of the page, which takes longer than anything that is measured here.
SEND = """() => {
  const prompt = document.getElementById("prompt");
  prompt.value = "A long list, please.";
  prompt.dispatchEvent(new Event("input"));
  document.getElementById("send").click();
}"""
DRAWN = "() => document.querySelector('.exchange:last-child .text').textContent.length"
Figures = dict[str, float]


@contextmanager
def opened(browser: Browser, model: FastModel, throttle: int = 1) -> Iterator[tuple[ChatPage, CDPSession]]:
    """The page in a context of its own."""
    context = browser.new_context()
    # The tests' recorder copies the answer at each change, which takes longer than to draw it.
    chat = ChatPage(context.new_page(), model.url, is_recorded=False)
    session = context.new_cdp_session(chat.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    try:
        yield chat.open(), session
    finally:
        context.close()


def size() -> Figures:
    """Of the page's files."""
    files = render_page(shipped_settings())
    packed = sum(len(gzip.compress(content)) for content in files.values())
    return {"files": len(files), "bytes": sum(map(len, files.values())), "gzip_bytes": packed}


def opening(browser: Browser, model: FastModel) -> Figures:
    """ms to the first paint, empty and with stored chats, and to the last message of a long one; with warm caches."""
    with opened(browser, model) as (chat, _):
        chat.open()  # again, since the first one fills the browser's caches
        chat.page.wait_for_function(PAINTED)
        figures: Figures = {"first_paint_empty_ms": chat.page.evaluate(PAINTED)}
        chat.page.evaluate(STORE, [CHATS, TURNS])
        chat.page.add_init_script(f"addEventListener('DOMContentLoaded', {OPENED})")
        chat.open()
        chat.page.wait_for_function("() => window.opened")
        figures["last_message_ms"] = chat.page.evaluate("() => window.opened")
        figures["first_paint_ms"] = chat.page.evaluate(PAINTED)
    return figures


def stream(browser: Browser, model: FastModel, throttle: int, rate: int, characters: int, turns: int = 0) -> Figures:
    """Frames and tasks in ms while `characters` of a list arrive in `rate` pieces per second, and Stop at their end.

    `turns`: of the chat in which they arrive.
    """
    model.answer, model.rate = LIST[: characters + 4 * rate * PIECE], rate
    with opened(browser, model, throttle) as (chat, _):
        if turns:
            chat.page.evaluate(STORE, [1, turns])
            chat.open()
            count = "(turns) => document.querySelectorAll('.exchange').length === turns"
            chat.page.wait_for_function(count, arg=turns)
        browser.start_tracing(page=chat.page, categories=["toplevel"])
        chat.page.evaluate(FRAMES)
        chat.page.evaluate(SEND)
        chat.page.wait_for_timeout(characters / PIECE / rate * 1000)
        frames = sorted(chat.page.evaluate("() => window.frames_"))
        drawn = chat.page.evaluate(DRAWN)
        stopped = chat.page.evaluate(STOP)
        tasks = main_thread_tasks(json.loads(browser.stop_tracing())["traceEvents"])
    return {
        "longest_frame_ms": frames[-1],
        "p99_frame_ms": frames[int(len(frames) * 0.99)],
        "median_frame_ms": statistics.median(frames),
        "longest_task_ms": max(one.get("dur", 0) for one in tasks) / 1000,
        "longest_task_cpu_ms": max(one.get("tdur", 0) for one in tasks) / 1000,
        "cpu_share": sum(one.get("tdur", 0) for one in tasks) / 1000 / sum(frames),
        "stop_ms": stopped,
        "characters": drawn,
    }


def main_thread_tasks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The page's outermost tasks in a trace; `dur` and `tdur` (processor time) in µs."""
    threads = {(one["pid"], one["tid"]) for one in events if one.get("args", {}).get("name") == "CrRendererMain"}
    return [
        one for one in events if one["name"] == "ThreadControllerImpl::RunTask" and (one["pid"], one["tid"]) in threads
    ]


def median_of(runs: list[Figures]) -> Figures:
    """Of each figure."""
    return {name: statistics.median([run[name] for run in runs]) for name in runs[0]}


def table(medians: dict[str, Figures], runs: dict[str, list[Figures]]) -> str:
    """Two Markdown tables; the longest frame is also given for each run."""
    page, start = medians["size"], medians["opening"]
    lines = [
        "| Files; bytes; packed | First paint, no chats | First paint, 500 chats | Last message of 2,000 shown |",
        "|---|---|---|---|",
        f"| {page['files']:.0f}; {page['bytes']:.0f}; {page['gzip_bytes']:.0f} "
        f"| {start['first_paint_empty_ms']:.0f} ms | {start['first_paint_ms']:.0f} ms "
        f"| {start['last_message_ms']:.0f} ms |",
        "",
        "| | Longest frame (each run) | Frame, p99; median | Longest task, processor time | Processor | Stop |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in medians.items():
        if "longest_frame_ms" not in one:
            continue
        each = ", ".join(f"{run['longest_frame_ms']:.0f}" for run in runs[name])
        lines.append(
            f"| {name} | {one['longest_frame_ms']:.0f} ms ({each}) "
            f"| {one['p99_frame_ms']:.0f} ms; {one['median_frame_ms']:.0f} ms | "
            f"{one['longest_task_cpu_ms']:.0f} ms | {one['cpu_share']:.0%} | {one['stop_ms']:.0f} ms |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, write `results/page.json`, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run, not written to results/")
    options = parser.parse_args()
    count = 1 if options.quick else options.runs
    path = os.environ.get("HEARTH_CHROMIUM") or shutil.which("chromium")
    if not path:
        raise SystemExit("Chromium is missing: `apt-get install chromium`, or set HEARTH_CHROMIUM to its path")
    runs: dict[str, list[Figures]] = {"size": [size()]}
    loads = []
    with sync_playwright() as playwright, fast_model() as model:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        version = browser.version
        for number in range(count):
            loads.append(round(os.getloadavg()[0], 1))
            print(f"run {number + 1} of {count}, load {loads[-1]}", flush=True)
            runs.setdefault("opening", []).append(opening(browser, model))
            for throttle in THROTTLES:
                slow = "" if throttle == 1 else f", processor throttled to 1/{throttle}"
                runs.setdefault(f"48 kB of list, 60 tokens/s{slow}", []).append(
                    stream(browser, model, throttle, 60, 48 * 1024)
                )
                runs.setdefault(f"200 tokens/s into {2 * TURNS} messages{slow}", []).append(
                    stream(browser, model, throttle, 200, 48 * 1024, TURNS)
                )
        browser.close()
    medians = {name: median_of(found) for name, found in runs.items()}
    document = {
        "date": date.today().isoformat(),
        "machine": description(),
        "programs": f"Chromium {version}, headless, without GPU",
        "load": f"load before each round: {', '.join(map(str, loads))}",
        "rounds": count,
        "table": table(medians, runs),
        "median": medians,
        "all": runs,
    }
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "page.json").write_text(json.dumps(document, indent=1) + "\n")
    print(document["table"])


if __name__ == "__main__":
    main()
