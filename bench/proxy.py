"""Hearth's httpd next to nginx and Caddy, in front of the same upstream: `python -m bench.proxy`.

The upstream is a fast one, over HTTP/1.1, and over TLS with HTTP/1.1 and HTTP/2; and a real Ollama. Each round measures
every proxy, so that what else happens on the machine affects all of them, and begins with another one. Each proxy is
started for its turn and runs alone: memory grows with what a process has served before, and instances share pages.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from bench.environment import plot
from bench.machine import busy_share, description
from bench.tables import proxy_table
from hearth.tls.certificate import today
from hearth.tls.local_ca import create_authority
from lab import artefacts, images
from lab.progress import Stages
from tests.proxy.address import free_address
from tests.proxy.httpd import PREFIX, Httpd
from tests.proxy.ollama import Ollama
from tests.support.self_signed import self_signed
from tests.support.shipped import shipped_settings

HERE = Path(__file__).resolve().parent
PORT, TLS_PORT, UPSTREAM_PORT = 8085, 8443, 11434
STREAMS = (1, 16, 64, 256)
TLS_STREAMS = (64, 256)
PLAIN, TLS1, TLS2, OLLAMA = "HTTP/1.1", "TLS, HTTP/1.1", "TLS, HTTP/2", "real Ollama"
PEERS = {
    "nginx": ("nginx.conf", ("nginx", "-g", "daemon off;", "-c")),
    "caddy": ("Caddyfile", ("caddy", "run", "--adapter", "caddyfile", "--config")),
}
# Fewer first tokens than this have no 99th percentile worth the name.
ENOUGH = 1000
Figures = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Something to measure.

    Attributes:
        prompt, call: URLs of a prompt and of a small call.
        pids: of its processes now.
        kind: PLAIN, TLS1, TLS2 or OLLAMA.
    """

    prompt: str
    call: str
    pids: Callable[[], list[int]]
    kind: str


@contextmanager
def running(words: list[str], ready: tuple[str, int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program, from when its port accepts connections until the block ends."""
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
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        seconds += (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return memory, seconds


Start = Callable[[], AbstractContextManager[Target]]


class Bench:
    """The upstreams, until the block ends, and how to start each proxy.

    Args:
        load: the program built by `build_load`.
        parts: the lab's artefacts "roots" and "models".
        changes: of the shipped settings, for Hearth's httpd.
    """

    def __init__(self, load: Path, parts: Mapping[str, Path], changes: Figures) -> None:
        self._load, self._parts, self._changes = load, parts, changes
        self._stack = ExitStack()

    def __enter__(self) -> dict[str, Start]:
        """How to start each target, by its name: `hearth, TLS, HTTP/2`; `direct` is the upstream without a proxy."""
        try:
            return self._start()
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> dict[str, Start]:
        self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-bench-")))
        self._directory.chmod(0o755)
        fast = free_address(UPSTREAM_PORT)
        at = f"{fast}:{UPSTREAM_PORT}"
        words = [str(self._load), "upstream", at]
        self._stack.enter_context(running(words, (fast, UPSTREAM_PORT), self._directory / "upstream.log"))
        ollama = Ollama(self._parts["roots"] / "ollama", _made(self._directory / "ollama"), self._parts["models"])
        self._stack.enter_context(ollama)
        starts: dict[str, Start] = {}
        for kind in (PLAIN, TLS1, TLS2, OLLAMA):
            address = ollama.address if kind == OLLAMA else fast
            if kind in (PLAIN, OLLAMA):
                starts[f"direct, {kind}"] = partial(self._direct, address, kind)
            starts[f"hearth, {kind}"] = partial(self._hearth, address, kind)
            for name in PEERS:
                starts[f"{name}, {kind}"] = partial(self._peer, name, address, kind)
        return starts

    @contextmanager
    def _place(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._directory) as place:
            Path(place).chmod(0o755)
            yield Path(place)

    @contextmanager
    def _direct(self, upstream: str, kind: str) -> Iterator[Target]:
        yield _target(f"http://{upstream}:{UPSTREAM_PORT}", list, kind)

    @contextmanager
    def _peer(self, name: str, upstream: str, kind: str) -> Iterator[Target]:
        with self._place() as place:
            file, words = PEERS[name]
            address = free_address(PORT, TLS_PORT)
            certificate = self_signed(place / "certificate.pem", (address,))
            at = f"{upstream}:{UPSTREAM_PORT}"
            conf = filled(HERE / "peers" / file, place, address=address, upstream=at, certificate=certificate)
            with running([*words, str(conf)], (address, PORT), place / "output.log") as peer:
                yield _target(_url(address, kind), lambda: children(peer.pid), kind)

    @contextmanager
    def _hearth(self, upstream: str, kind: str) -> Iterator[Target]:
        values: Figures = {"proxy_port": PORT, "proxy_max_streams": max(STREAMS), "ollama_models": ["tinyllama"]}
        volumes, address = {}, free_address(PORT, TLS_PORT, UPSTREAM_PORT)
        with self._place() as place:
            if kind in (TLS1, TLS2):
                values |= {"proxy_tls": "local-ca", "proxy_tls_port": TLS_PORT, "proxy_tls_names": ["pi.local"]}
                authority = create_authority(place / "ca", ["pi.local"], today())
                live = _made(place / "live")
                (live / "ca.crt").write_bytes(authority.pem)
                certificate = live / "server.pem"
                certificate.write_bytes(authority.issue(["pi.local"], today()))
                certificate.chmod(0o644)  # httpd does not run as root
                volumes[f"{PREFIX}/conf/tls"] = live
            settings = shipped_settings(**values | self._changes)
            root = self._parts["roots"] / "httpd"
            with Httpd(root, _made(place / "httpd"), settings, upstream, volumes, address) as web:
                yield _target(_url(address, kind), partial(httpd_pids, web), kind, "/api/ollama")

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _url(address: str, kind: str) -> str:
    return f"http://{address}:{PORT}" if kind in (PLAIN, OLLAMA) else f"https://{address}:{TLS_PORT}"


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def _target(url: str, pids: Callable[[], list[int]], kind: str, prompt: str = "/api/generate") -> Target:
    return Target(f"{url}{prompt}", f"{url}/api/version", pids, kind)


def httpd_pids(web: Httpd) -> list[int]:
    """The processes of one httpd, which only its mounted file of names tells from another one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            is_httpd = b"httpd" in words[0] and b"-DFOREGROUND" in words
            if is_httpd and f"{web.address} host.docker.internal\n" in (path / "root/etc/hosts").read_text():
                found.append(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    return found


def measure(load: Path, target: Target, quick: bool) -> Figures:
    """The figures of one target in one round.

    `first`: milliseconds (`p50`, `p99`), their number `n`, and responses that were `cut`; `small`: calls `per_second`;
    both with the proxy's `cpu_seconds`. `streams`: number of streams → `lag` in milliseconds, `cut`, `seconds`, and the
    proxy's `memory_mib`.
    """

    def run(*words: str) -> Figures:
        command = [str(load), words[0], *(["-h2"] if target.kind == TLS2 else []), *words[1:]]
        before = usage(target.pids())[1]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        result: Figures = json.loads(done.stdout)
        return result | {"cpu_seconds": usage(target.pids())[1] - before}

    if target.kind == OLLAMA:
        return {"first": run("first", "-model", "tinyllama", "-n", "30" if quick else "200", target.prompt)}
    figures: Figures = {
        # No model sends two tokens at once: httpd would send both together.
        "first": run("first", "-n", "300" if quick else "2000", "-interval", "5ms", target.prompt),
        "small": run("small", "-n", "4000" if quick else "30000", "-c", "16", target.call),
        "streams": {},
    }
    for count in STREAMS if target.kind == PLAIN else TLS_STREAMS:
        words = ["-c", str(count), "-tokens", "20" if quick else "80", "-interval", "50ms", target.prompt]
        # Memory while they stream, since some of it is returned afterwards.
        with ThreadPoolExecutor(1) as pool:
            streams, memory = pool.submit(run, "streams", *words), 0.0
            while not streams.done():
                memory = max(memory, usage(target.pids())[0])
                time.sleep(0.5)
        figures["streams"][str(count)] = streams.result() | {"memory_mib": memory}
    return figures


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


def added(rounds: Mapping[str, Sequence[Figures]]) -> dict[str, dict[str, float]]:
    """Target → milliseconds that it adds to the first token: `p50`, `p99`, the medians of the rounds' differences.

    Without `p99` if there are too few first tokens for one.
    """
    found: dict[str, dict[str, float]] = {}
    for name, measured in rounds.items():
        direct = rounds[f"direct, {OLLAMA if name.endswith(OLLAMA) else PLAIN}"]
        pairs = [(one["first"], other["first"]) for one, other in zip(measured, direct, strict=True)]
        keys = ("p50", "p99") if pairs[0][0]["n"] + 1 >= ENOUGH else ("p50",)
        found[name] = {key: statistics.median(one[key] - other[key] for one, other in pairs) for key in keys}
    return found


def result(rounds: Mapping[str, list[Figures]], shares: Sequence[float], httpd: str) -> Figures:
    """What `results/proxy.json` has, from the complete rounds. `httpd`: its version."""
    return {
        "date": date.today().isoformat(),
        "machine": description(),
        "programs": f"httpd {httpd}, {_first_line('nginx', '-v')}, Caddy {_first_line('caddy', 'version')}",
        "load": "other programs' share of the processors before each round: "
        + ", ".join(f"{share:.0%}" for share in shares),
        "rounds": len(shares),
        "median": {one: median_of(found) for one, found in rounds.items()},
        "added": added(rounds),
        "all": rounds,
    }


def _first_line(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    return (done.stdout or done.stderr).split("\n")[0].removeprefix("nginx version: ").replace("/", " ")


def build_load(directory: Path) -> Path:
    """The Go program; its own modules only, so nothing is fetched."""
    target = directory / "load"
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    subprocess.run(["go", "build", "-o", str(target), "."], cwd=HERE / "load", env=environment, check=True)
    return target


def main() -> None:
    """Measure, and write the result, its plots and the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with fewer requests, not written to results/")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=JSON", help="a setting of Hearth's; not written to results/"
    )
    options = parser.parse_args()
    if os.geteuid():
        raise SystemExit("The measurements need root, to start containers and to read their memory: sudo make bench")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all that was started ends
    changes = {name: json.loads(value) for name, _, value in (one.partition("=") for one in options.set)}
    number_of_rounds = 1 if options.quick else options.rounds
    with Stages() as stages:
        parts = artefacts.build(("roots", "models", "images"), stages)
    # Not the pinned one: the lab builds the newest that Debian serves.
    httpd = images.tags(parts["images"])["httpd"].removeprefix("httpd:")
    results = HERE / "results/proxy.json"
    results.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        load = build_load(Path(name))
        with Bench(load, parts, changes) as starts:
            names = list(starts)
            rounds: dict[str, list[Figures]] = {one: [] for one in names}
            shares: list[float] = []
            for number in range(number_of_rounds):
                shares.append(busy_share())
                first = number * len(names) // number_of_rounds
                for one in names[first:] + names[:first]:
                    print(f"round {number + 1} of {number_of_rounds}: {one}", flush=True)
                    with starts[one]() as target:
                        rounds[one].append(measure(load, target, options.quick))
                document = result(rounds, shares, httpd)
                if not (options.quick or changes):  # each round, since a later one may fail
                    results.write_text(json.dumps(document, indent=1) + "\n")
    print(proxy_table(document))
    if options.quick or changes:
        print("\nNot written to results/, which has full runs with the shipped settings.")
    else:
        plot("proxy", results)


if __name__ == "__main__":
    main()
