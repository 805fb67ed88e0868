"""The last result of each scenario. Each is stored when its scenario ends, so a run of hours can be resumed.

`python -m tests.lab.record` prints the table of docs/reliability.md from it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from tests.lab.machine import ROOT
from tests.support.checks import repository_files

FILE = ROOT / ".scenarios.jsonl"
# The code that a deploy uses. A resumed run skips scenarios that have passed with the same code.
_DEPLOYED = ("deploy.py", "hearth", "files", "group_data")


@dataclass(frozen=True)
class Ran:
    """One run of one scenario.

    Attributes:
        test: pytest's node ID.
        passed: whether it passed.
        seconds: its duration, with setup and teardown.
        ended: its end, as ISO 8601 in UTC, to the minute.
        product: hash of the deployed code, see `product`.
    """

    test: str
    passed: bool
    seconds: float
    ended: str
    product: str

    @property
    def file(self) -> str:
        return self.test.partition("::")[0].removeprefix("tests/lab/")


def product() -> str:
    """A hash of the code that a deploy uses, from the working tree; twelve hexadecimal digits."""
    digest = hashlib.sha256()
    for name in repository_files(ROOT, *_DEPLOYED):
        digest.update(f"{name}\0".encode() + hashlib.sha256((ROOT / name).read_bytes()).digest())
    return digest.hexdigest()[:12]


def add(test: str, passed: bool, seconds: float, at: str) -> None:
    """Append a run to the file immediately, so an interrupted run loses no results."""
    ran = Ran(test, passed, round(seconds, 1), f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", at)
    with FILE.open("a") as lines:
        lines.write(json.dumps(asdict(ran)) + "\n")


def last() -> dict[str, Ran]:
    """The last run of each scenario, by test; empty without the file."""
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return {ran.test: ran for ran in (Ran(**json.loads(line)) for line in lines)}


def table(runs: Iterable[Ran]) -> Iterator[str]:
    """Lines of a Markdown table: a row for each file of scenarios, and a total."""
    files: dict[str, list[Ran]] = defaultdict(list)
    for ran in sorted(runs, key=lambda ran: ran.test):
        files[ran.file].append(ran)
    yield "| Scenarios | Passed | Took | Last run |"
    yield "|---|---|---|---|"
    for file, of_it in files.items():
        yield f"| `{file}` | {_passed(of_it)} | {_minutes(of_it)} | {max(ran.ended for ran in of_it)[:10]} |"
    everything = [ran for of_it in files.values() for ran in of_it]
    yield f"| all | {_passed(everything)} | {_minutes(everything)} | |"


def _passed(runs: list[Ran]) -> str:
    return f"{sum(ran.passed for ran in runs)} of {len(runs)}"


def _minutes(runs: list[Ran]) -> str:
    return f"{sum(ran.seconds for ran in runs) / 60:.0f} min"


if __name__ == "__main__":
    from tests.support.named import missing

    # Without results of tests that have been renamed or removed.
    runs = [ran for ran in last().values() if not missing(ROOT, [ran.test.partition("[")[0]])]
    print("\n".join(table(runs)))
