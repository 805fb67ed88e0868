"""The step that sends a prompt, and the evaluation of the answer."""

from __future__ import annotations

import http.client
import time
from dataclasses import replace

from hearth.doctor.causes import ollama as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.api import failed_step
from hearth.doctor.checks.error_response import cause_of_error
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.stream import PromptResult, measure_pace, send_prompt
from hearth.doctor.checks.waiting import Silence, probe_load, wait_until_back
from hearth.doctor.http_client import Endpoint

# Seconds until the first word after which it counts as slow.
_SLOW = 15.0
# The longest Retry-After of a 503, in seconds, that the doctor waits in full.
_LONGEST_WAIT = 10.0


def check_prompt(
    endpoint: Endpoint, path: str, model: str, patience: float, name: str = "prompt", size: int = 0
) -> Step:
    """Send a prompt; once more if the host was busy (after its Retry-After), or if Ollama was restarted meanwhile.

    Args:
        size: of the model in bytes, 0 if unknown.
    """
    dropped = 0.0
    try:
        result = send_prompt(endpoint, path, model, patience)
        if result.response.status == 503:
            time.sleep(retry_delay(result.response.header("retry-after")))
            result = send_prompt(endpoint, path, model, patience)
        elif result.response.status == 502 and result.response.error and wait_until_back(endpoint):
            dropped = result.response.seconds
            result = send_prompt(endpoint, path, model, patience)
    except (OSError, http.client.HTTPException) as error:
        return failed_step(name, path, error, endpoint, model=model)
    if result.response.status not in (0, 200):
        return failed_step(name, path, result.response, endpoint, was_up=True, model=model, models="see `ollama list`")
    if result.timed_out:
        return judge(result, model, patience, name, probe_load(endpoint, path, model, size))
    step = judge(result, model, patience, name)
    if dropped and step.state != "problem":
        values = {"seconds": f"{dropped:.0f}"}
        observed = f"{step.observed}; the first attempt was dropped after {values['seconds']} s"
        return replace(
            step, observed=observed, findings=(Finding(causes.MODEL_SERVER_RESTARTED, observed, values), *step.findings)
        )
    return step


def retry_delay(retry_after: str) -> float:
    """Seconds to wait before the next attempt."""
    return min(float(retry_after), _LONGEST_WAIT) if retry_after.isdecimal() else 5.0


def judge(
    result: PromptResult, model: str, patience: float, name: str = "prompt", silence: Silence | None = None
) -> Step:
    """Evaluate an answer, or the lack of one. Pure."""
    if result.timed_out:
        evidence = (silence or Silence()).evidence(patience)
        observed = f"{model}: no answer within {patience:g} s{'; ' if evidence else ''}{evidence}"
        cause = causes.MODEL_DOES_NOT_ANSWER if evidence else causes.FIRST_TOKEN_NEVER
        return Step(name, observed, (Finding(cause, observed, {"patience": f"{patience:g}", "evidence": evidence}),))
    if result.error:
        observed = f'{model}: after {len(result.chunks)} chunks Ollama reported "{result.error}"'
        values = {"what": f'"{result.error}"', "path": "the prompt", "status": 200, "model": model}
        return Step(name, observed, (Finding(cause_of_error(result.error) or causes.SERVER_FAILED, observed, values),))
    if result.cut:
        observed = f"{model}: {len(result.chunks)} chunks, then: {result.cut}"
        values = {"chunks": len(result.chunks), "error": result.cut, "path": "the prompt", "what": result.cut}
        cause = causes.STREAM_CUT if result.chunks or not result.response.body else causes.NOT_OLLAMA
        return Step(name, observed, (Finding(cause, observed, values),))
    return _complete(result, model, name)


def _complete(result: PromptResult, model: str, name: str) -> Step:
    first = result.chunks[0].arrived
    total = result.chunks[-1].arrived
    load = _seconds(result, "load_duration")
    count = result.last.get("eval_count")
    tokens, generating = count if isinstance(count, int) else 0, _seconds(result, "eval_duration")
    rate = f", {tokens / generating:.1f} tokens per second" if tokens and generating else ""
    observed = f"{model}: first word after {first:.1f} s, {len(result.chunks)} chunks in {total:.1f} s{rate}"
    findings = []
    pace = measure_pace(result.chunks)
    if pace and pace.is_buffered:
        via = result.response.header("via")
        values = {
            "duration": f"{pace.duration:.1f}",
            "delay": f"{pace.delay:.1f}",
            "opt_via": f' Its `Via` header: "{via}".' if via else "",
        }
        findings.append(Finding(causes.STREAM_BUFFERED, observed, values))
    elif pace and pace.is_conclusive:
        observed += ", each as soon as it was generated"
    elif pace:
        observed += ", too fast to tell whether it was buffered"
    if first > _SLOW and not (pace and pace.is_buffered):
        values = {"first": f"{first:.0f}", "load": f"{load:.0f}"}
        findings.append(Finding(causes.FIRST_TOKEN_SLOW, observed, values))
    data = {
        "model": model,
        "first_word_s": round(first, 3),
        "load_s": round(load, 3),
        "arrived_s": [round(chunk.arrived, 3) for chunk in result.chunks],
        "made_over_s": round(pace.duration, 3) if pace else None,
        "held_s": round(pace.delay, 3) if pace else None,
        "tokens": tokens,
        "tokens_per_s": round(tokens / generating, 2) if generating else None,
    }
    return Step(name, observed, tuple(findings), data)


def _seconds(result: PromptResult, name: str) -> float:
    """One of Ollama's durations, which are in nanoseconds."""
    nanoseconds = result.last.get(name)
    return nanoseconds / 1e9 if isinstance(nanoseconds, int) else 0.0
