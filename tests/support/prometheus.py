"""Debian's Prometheus, from the lab's artefact, and its queries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml


class Prometheus:
    """A Prometheus that scrapes one job, until the end of the block.

    Args:
        programs: the lab's artefact `prometheus`.
        directory: for its configuration and data; existing.
        job: as in `scrape_configs`.
        rules: a file with alert rules.
        port: on 127.0.0.1.
        prefix: words before each command line, such as `nsenter --net=…`.
    """

    def __init__(
        self,
        programs: Path,
        directory: Path,
        job: Mapping[str, Any],
        rules: Path,
        port: int = 9090,
        prefix: Sequence[str] = (),
    ) -> None:
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump({"scrape_configs": [dict(job)], "rule_files": [str(rules)]}))
        self._prefix, self._log, self._address = prefix, directory / "prometheus.log", f"127.0.0.1:{port}"
        self._words = [str(programs / "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory}/tsdb"]

    def __enter__(self) -> Self:
        words = [*self._prefix, *self._words, f"--web.listen-address={self._address}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)

    def fetch(self, path: str, **parameters: str) -> Any:
        """`data` of a response of its API."""
        words = ["curl", "-s", "-m", "60", "-G", f"http://{self._address}/api/v1/{path}"]
        words += ["--retry", "20", "--retry-delay", "1", "--retry-connrefused"]  # while it starts
        for name, value in parameters.items():
            words += ["--data-urlencode", f"{name}={value}"]
        done = subprocess.run([*self._prefix, *words], capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout or "{}")
        assert answer.get("status") == "success", (answer, self._log.read_text()[-2000:])
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query, a vector."""
        result: list[dict[str, Any]] = self.fetch("query", query=expression)["result"]
        return result

    def value(self, expression: str) -> float:
        """The only value of a query; NaN without one."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if len(result) == 1 else float("nan")
