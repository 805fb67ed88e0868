"""Hearth's httpd next to nginx and Caddy, in front of the same fast upstream: `python -m bench.proxy`.

Each round measures every proxy, so that what else happens on the machine affects all of them. The figures of interest
are ratios and differences within a round; the result has the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lab import artefacts
from lab.progress import Stages
from tests.proxy.address import free_address
from tests.proxy.httpd import Httpd
from tests.support.self_signed import self_signed
from tests.support.shipped import shipped_settings

HERE = Path(__file__).resolve().parent
PORT, TLS_PORT, UPSTREAM_PORT = 8085, 8443, 11434
STREAMS = (1, 16, 64, 256)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Something to measure.

    Attributes:
        plain, tls: its base URLs; "" if it has none.
        pids: of its processes now.
    """

    plain: str
    tls: str
    pids: Callable[[], list[int]]


@contextmanager
def running(words: list[str], ready: tuple[str, int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program, from when its port accepts connections until the block ends."""
    import socket

    with log.open("wb") as output, subprocess.Popen(words, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(ready, timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"{' '.join(words)} did not start:\n{log.read_text()[-2000:]}") from None
                    time.sleep(0.02)
            yield process
        finally:
            process.terminate()


def children(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def filled(template: Path, directory: Path, **values: object) -> Path:
    """A peer's configuration with its values."""
    text = template.read_text()
    for name, value in (values | {"directory": directory}).items():
        text = text.replace(f"@{name.upper()}@", str(value))
    path = directory / template.name
    path.write_text(text)
    return path


def usage(pids: list[int]) -> tuple[float, float]:
    """(MiB of memory, seconds of processor time so far) of processes. Shared memory counts proportionally."""
    memory = seconds = 0.0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        seconds += (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return memory, seconds


def busy_share(seconds: float = 2) -> float:
    """The share of all processors' time that is in use now, by others: 0 to 1."""

    def times() -> tuple[int, int]:
        fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    before = times()
    time.sleep(seconds)
    total, idle = (now - then for now, then in zip(times(), before, strict=True))
    return 1 - idle / total


class Bench:
    """The upstream and the proxies, until the block ends.

    Args:
        changes: of the shipped settings, for Hearth's httpd.
    """

    def __init__(self, load: Path, roots: Path, changes: Figures) -> None:
        self._load, self._roots, self._changes = load, roots, changes
        self._stack = ExitStack()

    def __enter__(self) -> dict[str, Target]:
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-bench-")))
        directory.chmod(0o755)
        upstream = free_address(UPSTREAM_PORT)
        at = f"{upstream}:{UPSTREAM_PORT}"
        process = self._start([str(self._load), "upstream", at], (upstream, UPSTREAM_PORT), directory / "upstream.log")
        targets = {"direct": Target(f"http://{at}", "", lambda: children(process.pid))}
        targets["hearth"] = self._httpd(directory / "hearth", upstream)
        for name, words in (
            ("nginx", lambda conf: ["nginx", "-g", "daemon off;", "-c", str(conf)]),
            ("caddy", lambda conf: ["caddy", "run", "--adapter", "caddyfile", "--config", str(conf)]),
        ):
            address = free_address(PORT, TLS_PORT)
            place = directory / name
            place.mkdir()
            template = HERE / "peers" / {"nginx": "nginx.conf", "caddy": "Caddyfile"}[name]
            certificate = self_signed(place / "certificate.pem", (address,))
            conf = filled(template, place, address=address, upstream=at, certificate=certificate)
            peer = self._start(words(conf), (address, PORT), place / "output.log")
            plain, tls = f"http://{address}:{PORT}", f"https://{address}:{TLS_PORT}"
            targets[name] = Target(plain, tls, lambda pid=peer.pid: children(pid))  # type: ignore[misc]
        return targets

    def _start(self, words: list[str], ready: tuple[str, int], log: Path) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(running(words, ready, log))

    def _httpd(self, directory: Path, upstream: str) -> Target:
        directory.mkdir()
        values = {"proxy_port": PORT, "proxy_max_streams": max(STREAMS)} | self._changes
        web = self._stack.enter_context(Httpd(self._roots / "httpd", directory, shipped_settings(**values), upstream))
        return Target(web.url, "", lambda: httpd_pids(web))

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def httpd_pids(web: Httpd) -> list[int]:
    """The processes that have its configuration on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"httpd" in words[0] and b"-DFOREGROUND" in words and str(web.address).encode() in _environment(path):
            found.append(int(path.parent.name))
    return found


def _environment(path: Path) -> bytes:
    # Two at once would have to be told apart by their addresses, which only their mounted file of names shows.
    return (path.parent / "root/etc/hosts").read_bytes() if (path.parent / "root/etc/hosts").exists() else b""


def measure(load: Path, target: Target, quick: bool) -> Figures:
    """The figures of one target in one round."""

    def run(*words: str) -> Figures:
        done = subprocess.run([load, *words], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        result: Figures = json.loads(done.stdout)
        return result

    prompt, call = f"{target.plain}/api/generate", f"{target.plain}/api/version"
    if target.plain.endswith(str(PORT)):
        prompt, call = f"{target.plain}/api/ollama" if is_hearth(target) else prompt, call
    figures: Figures = {
        "first": run("first", "-n", "300" if quick else "2000", prompt),
        "small": run("small", "-n", "4000" if quick else "30000", "-c", "16", call),
        "streams": {},
    }
    for count in STREAMS:
        before = usage(target.pids())[1]
        words = ["streams", "-c", str(count), "-tokens", "60" if quick else "100", "-interval", "50ms", prompt]
        # Memory while they stream, since some of it is returned afterwards.
        with ThreadPoolExecutor(1) as pool:
            running_streams, memory = pool.submit(run, *words), 0.0
            while not running_streams.done():
                memory = max(memory, usage(target.pids())[0])
                time.sleep(1)
        after = usage(target.pids())[1]
        figures["streams"][str(count)] = running_streams.result() | {
            "memory_mib": memory,
            "cpu_seconds": after - before,
        }
    return figures


def is_hearth(target: Target) -> bool:
    """Only Hearth has its own path for prompts."""
    return bool(target.plain) and not target.tls and target.plain.endswith(str(PORT))


def median_of(rounds: list[Figures]) -> Figures:
    """The median of every number over rounds of the same shape; other values are those of the first round."""
    first = rounds[0]
    return {
        key: median_of([one[key] for one in rounds])
        if isinstance(value, dict)
        else statistics.median([one[key] for one in rounds])
        if isinstance(value, int | float)
        else value
        for key, value in first.items()
    }


def build_load(directory: Path) -> Path:
    """The Go program; its own modules only, so nothing is fetched."""
    target = directory / "load"
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    subprocess.run(["go", "build", "-o", str(target), "."], cwd=HERE / "load", env=environment, check=True)
    return target


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer requests: to see whether it works")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="a setting of Hearth's")
    options = parser.parse_args()
    changes = {name: json.loads(value) for name, _, value in (one.partition("=") for one in options.set)}
    with Stages() as stages:
        parts = artefacts.build(("roots",), stages)
    with tempfile.TemporaryDirectory() as name:
        load = build_load(Path(name))
        with Bench(load, parts["roots"], changes) as targets:
            rounds: dict[str, list[Figures]] = {one: [] for one in targets}
            shares: list[float] = []
            for number in range(options.rounds):
                shares.append(busy_share())
                for one, target in targets.items():
                    print(f"round {number + 1} of {options.rounds}: {one}", flush=True)
                    rounds[one].append(measure(load, target, options.quick))
    medians = {one: median_of(found) for one, found in rounds.items()}
    document = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "load": "other programs' share of the processors before each round: "
        + ", ".join(f"{share:.0%}" for share in shares),
        "rounds": options.rounds,
        "median": medians,
        "all": rounds,
    }
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "proxy.json").write_text(json.dumps(document, indent=1) + "\n")
    print(table(medians))


def table(medians: dict[str, Figures]) -> str:
    """A Markdown table of the medians."""
    base = medians["direct"]
    lines = [
        "| | First token added, ms (p50) | (p99) | Small calls/s | "
        + " | ".join(f"{n} streams: lag ms (p99), MiB, cut" for n in STREAMS)
        + " |"
    ]
    lines.append("|---|" + "---|" * (3 + len(STREAMS)))
    for name, one in medians.items():
        added = [f"{one['first'][q] - base['first'][q]:+.2f}" for q in ("p50", "p99")]
        cells = []
        for n in STREAMS:
            found = one["streams"][str(n)]
            cells.append(f"{found['lag']['p99']:.1f}, {found['memory_mib']:.0f}, {found['cut']:.0f}")
        lines.append(f"| {name} | {' | '.join(added)} | {one['small']['per_second']:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
