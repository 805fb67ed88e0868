"""The step that asks the model, and the judgement of what came."""

from __future__ import annotations

import http.client
import time
from dataclasses import replace

from hearth.doctor.causes import ollama as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.api import failed
from hearth.doctor.checks.error_response import cause_of_error
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.stream import Streamed, ask, measure_pace
from hearth.doctor.checks.waiting import Silence, comes_back, explain_silence
from hearth.doctor.http_client import Endpoint

_SLOW = 15.0
# A 503 asks to come back after so many seconds; longer ones are not waited for.
_LONGEST_WAIT = 10.0


def check_prompt(way: Endpoint, path: str, model: str, patience: float, name: str = "prompt", size: int = 0) -> Step:
    """Ask; once more if the host was busy, as it says when to come back, or if Ollama was restarted meanwhile.

    Args:
        size: of the model in bytes, 0 if unknown.
    """
    dropped = 0.0
    try:
        streamed = ask(way, path, model, patience)
        if streamed.answer.status == 503:
            time.sleep(wait_for(streamed.answer.header("retry-after")))
            streamed = ask(way, path, model, patience)
        elif streamed.answer.status == 502 and streamed.answer.error and comes_back(way):
            dropped = streamed.answer.seconds
            streamed = ask(way, path, model, patience)
    except (OSError, http.client.HTTPException) as error:
        return failed(name, path, error, way, model=model)
    if streamed.answer.status not in (0, 200):
        return failed(name, path, streamed.answer, way, was_up=True, model=model, models="ask `ollama list`")
    if streamed.waiting:
        return judge(streamed, model, patience, name, explain_silence(way, path, model, size))
    step = judge(streamed, model, patience, name)
    if dropped and step.state != "problem":
        words = {"seconds": f"{dropped:.0f}"}
        seen = f"{step.seen}; a first question was dropped after {words['seconds']} s"
        return replace(step, seen=seen, findings=(Finding(causes.MODEL_SERVER_RESTARTED, seen, words), *step.findings))
    return step


def wait_for(retry_after: str) -> float:
    """Seconds to wait before asking again."""
    return min(float(retry_after), _LONGEST_WAIT) if retry_after.isdecimal() else 5.0


def judge(
    streamed: Streamed, model: str, patience: float, name: str = "prompt", silence: Silence | None = None
) -> Step:
    """What an answer, or its lack, says. Pure."""
    if streamed.waiting:
        evidence = (silence or Silence()).evidence(patience)
        seen = f"{model}: nothing came within {patience:g} s{'; ' if evidence else ''}{evidence}"
        cause = causes.MODEL_DOES_NOT_ANSWER if evidence else causes.FIRST_TOKEN_NEVER
        return Step(name, seen, (Finding(cause, seen, {"patience": f"{patience:g}", "evidence": evidence}),))
    if streamed.error:
        seen = f'{model}: after {len(streamed.pieces)} pieces Ollama said "{streamed.error}"'
        words = {"what": f'"{streamed.error}"', "path": "the answer", "status": 200, "model": model}
        return Step(name, seen, (Finding(cause_of_error(streamed.error) or causes.SERVER_FAILED, seen, words),))
    if streamed.cut:
        seen = f"{model}: {len(streamed.pieces)} pieces, then: {streamed.cut}"
        words = {"pieces": len(streamed.pieces), "error": streamed.cut, "path": "the question", "what": streamed.cut}
        cause = causes.STREAM_CUT if streamed.pieces or not streamed.answer.body else causes.NOT_OLLAMA
        return Step(name, seen, (Finding(cause, seen, words),))
    return _complete(streamed, model, name)


def _complete(streamed: Streamed, model: str, name: str) -> Step:
    first = streamed.pieces[0].arrived
    took = streamed.pieces[-1].arrived
    load = _seconds(streamed, "load_duration")
    count = streamed.last.get("eval_count")
    tokens, making = count if isinstance(count, int) else 0, _seconds(streamed, "eval_duration")
    rate = f", {tokens / making:.1f} tokens per second" if tokens and making else ""
    seen = f"{model}: first word after {first:.1f} s, {len(streamed.pieces)} pieces in {took:.1f} s{rate}"
    findings = []
    pace = measure_pace(streamed.pieces)
    if pace and pace.is_buffered:
        via = streamed.answer.header("via")
        words = {
            "made": f"{pace.made:.1f}",
            "held": f"{pace.held:.1f}",
            "opt_via": f' It names itself: "{via}".' if via else "",
        }
        findings.append(Finding(causes.STREAM_BUFFERED, seen, words))
    elif pace and pace.can_be_told:
        seen += ", each when it was made"
    elif pace:
        seen += ", too quick to tell a stream from a buffer"
    if first > _SLOW and not (pace and pace.is_buffered):
        words = {"first": f"{first:.0f}", "load": f"{load:.0f}"}
        findings.append(Finding(causes.FIRST_TOKEN_SLOW, seen, words))
    data = {
        "model": model,
        "first_word_s": round(first, 3),
        "load_s": round(load, 3),
        "arrived_s": [round(piece.arrived, 3) for piece in streamed.pieces],
        "made_over_s": round(pace.made, 3) if pace else None,
        "held_s": round(pace.held, 3) if pace else None,
        "tokens": tokens,
        "tokens_per_s": round(tokens / making, 2) if making else None,
    }
    return Step(name, seen, tuple(findings), data)


def _seconds(streamed: Streamed, name: str) -> float:
    """One of Ollama's durations, which it gives in nanoseconds."""
    nanoseconds = streamed.last.get(name)
    return nanoseconds / 1e9 if isinstance(nanoseconds, int) else 0.0
