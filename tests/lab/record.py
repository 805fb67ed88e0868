"""What became of each scenario when it last ran: kept as they end, so that a run of hours can be gone on with.

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
# What a deploy is made of. A scenario that passed with the same of it need not run again to go on with a run.
_DEPLOYED = ("deploy.py", "hearth", "files", "group_data")


@dataclass(frozen=True)
class Ran:
    """One run of one scenario.

    Attributes:
        test: pytest's name of it.
        passed: it did.
        seconds: how long it took, with what it prepared and cleared away.
        ended: when it ended, as ISO 8601 in UTC, to the minute.
        product: what was deployed with, as `product` gives it.
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
    """A word for all that a deploy is made of, as it stands in the working tree; twelve hexadecimal digits."""
    digest = hashlib.sha256()
    for name in repository_files(ROOT, *_DEPLOYED):
        digest.update(f"{name}\0".encode() + hashlib.sha256((ROOT / name).read_bytes()).digest())
    return digest.hexdigest()[:12]


def keep(test: str, passed: bool, seconds: float, at: str) -> None:
    """Add a run to the file. A line is written at once, so that what ends in the midst loses nothing."""
    ran = Ran(test, passed, round(seconds, 1), f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", at)
    with FILE.open("a") as lines:
        lines.write(json.dumps(asdict(ran)) + "\n")


def last() -> dict[str, Ran]:
    """The last run of each scenario, by its name; nothing without the file."""
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return {ran.test: ran for ran in (Ran(**json.loads(line)) for line in lines)}


def table(runs: Iterable[Ran]) -> Iterator[str]:
    """Lines of a Markdown table: a row for each file of scenarios, and a sum."""
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
    print("\n".join(table(last().values())))
