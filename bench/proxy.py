"""Hearth's httpd next to nginx and Caddy, in front of the same upstream: `python -m bench.proxy`.

The upstream is a fast one, over HTTP/1.1, and over TLS with HTTP/1.1 and HTTP/2; and a real Ollama. Each round measures
every proxy, so that what else happens on the machine affects all of them. The figures of interest are ratios and
differences within a round; the result has the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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
from lab import artefacts
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
        except OSError:
            continue  # it has ended
        memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        seconds += (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return memory, seconds


class Bench:
    """The upstreams and the proxies, until the block ends.

    Args:
        parts: the lab's artefacts "roots" and "models".
        changes: of the shipped settings, for Hearth's httpd.
    """

    def __init__(self, load: Path, parts: Mapping[str, Path], changes: Figures) -> None:
        self._load, self._parts, self._changes = load, parts, changes
        self._stack = ExitStack()

    def __enter__(self) -> dict[str, Target]:
        """Each target by its name: `hearth, TLS, HTTP/2`; `direct` is the upstream without a proxy."""
        try:
            return self._start()
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> dict[str, Target]:
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-bench-")))
        directory.chmod(0o755)
        fast = free_address(UPSTREAM_PORT)
        at = f"{fast}:{UPSTREAM_PORT}"
        process = self._run([str(self._load), "upstream", at], (fast, UPSTREAM_PORT), directory / "upstream.log")
        targets = {f"direct, {PLAIN}": _target(f"http://{at}", lambda: children(process.pid), PLAIN)}
        targets |= self._proxies(directory / "fast", fast, (PLAIN, TLS1, TLS2))
        ollama = Ollama(self._parts["roots"] / "ollama", _made(directory / "ollama"), self._parts["models"])
        self._stack.enter_context(ollama)
        targets[f"direct, {OLLAMA}"] = _target(ollama.url, list, OLLAMA)
        return targets | self._proxies(directory / "real", ollama.address, (OLLAMA,))

    def _proxies(self, directory: Path, upstream: str, kinds: Sequence[str]) -> dict[str, Target]:
        directory.mkdir()
        targets = {}
        for kind in kinds:
            if kind != TLS2:  # the same as for TLS1
                web = self._httpd(_made(directory / f"hearth-{kinds.index(kind)}"), upstream, kind == TLS1)
            url = web.url if kind in (PLAIN, OLLAMA) else f"https://{web.address}:{TLS_PORT}"
            targets[f"hearth, {kind}"] = _target(url, partial(httpd_pids, web), kind, "/api/ollama")
        for name, words in (
            ("nginx", ["nginx", "-g", "daemon off;", "-c"]),
            ("caddy", ["caddy", "run", "--adapter", "caddyfile", "--config"]),
        ):
            address = free_address(PORT, TLS_PORT)
            place = _made(directory / name)
            template = HERE / "peers" / {"nginx": "nginx.conf", "caddy": "Caddyfile"}[name]
            certificate = self_signed(place / "certificate.pem", (address,))
            at = f"{upstream}:{UPSTREAM_PORT}"
            conf = filled(template, place, address=address, upstream=at, certificate=certificate)
            peer = self._run([*words, str(conf)], (address, PORT), place / "output.log")
            for kind in kinds:
                url = f"http://{address}:{PORT}" if kind in (PLAIN, OLLAMA) else f"https://{address}:{TLS_PORT}"
                targets[f"{name}, {kind}"] = _target(url, partial(children, peer.pid), kind)
        return targets

    def _run(self, words: list[str], ready: tuple[str, int], log: Path) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(running(words, ready, log))

    def _httpd(self, directory: Path, upstream: str, tls: bool) -> Httpd:
        values: Figures = {"proxy_port": PORT, "proxy_max_streams": max(STREAMS), "ollama_models": ["tinyllama"]}
        volumes, address = {}, free_address(PORT, TLS_PORT, UPSTREAM_PORT)
        if tls:
            values |= {"proxy_tls": "local-ca", "proxy_tls_port": TLS_PORT, "proxy_tls_names": ["pi.local"]}
            authority = create_authority(directory / "ca", ["pi.local"], today())
            live = _made(directory / "live")
            (live / "ca.crt").write_bytes(authority.pem)
            certificate = live / "server.pem"
            certificate.write_bytes(authority.issue(["pi.local"], today()))
            certificate.chmod(0o644)  # httpd does not run as root
            volumes[f"{PREFIX}/conf/tls"] = live
        settings = shipped_settings(**values | self._changes)
        web = Httpd(self._parts["roots"] / "httpd", _made(directory / "httpd"), settings, upstream, volumes, address)
        return self._stack.enter_context(web)

    def __exit__(self, *error: object) -> None:
        self._stack.close()


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
        except OSError:
            continue  # it has ended
    return found


def measure(load: Path, target: Target, quick: bool) -> Figures:
    """The figures of one target in one round."""

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
        "first": run("first", "-n", "300" if quick else "2000", target.prompt),
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
    parser.add_argument("--quick", action="store_true", help="one round with fewer requests: to see whether it works")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="a setting of Hearth's")
    options = parser.parse_args()
    changes = {name: json.loads(value) for name, _, value in (one.partition("=") for one in options.set)}
    number_of_rounds = 1 if options.quick else options.rounds
    with Stages() as stages:
        parts = artefacts.build(("roots", "models"), stages)
    with tempfile.TemporaryDirectory() as name:
        load = build_load(Path(name))
        with Bench(load, parts, changes) as targets:
            rounds: dict[str, list[Figures]] = {one: [] for one in targets}
            shares: list[float] = []
            for number in range(number_of_rounds):
                shares.append(busy_share())
                for one, target in targets.items():
                    print(f"round {number + 1} of {number_of_rounds}: {one}", flush=True)
                    rounds[one].append(measure(load, target, options.quick))
    document = {
        "date": date.today().isoformat(),
        "machine": description(),
        "load": "other programs' share of the processors before each round: "
        + ", ".join(f"{share:.0%}" for share in shares),
        "rounds": number_of_rounds,
        "changes": changes,
        "median": {one: median_of(found) for one, found in rounds.items()},
        "all": rounds,
    }
    results = HERE / "results/proxy.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(document, indent=1) + "\n")
    print(proxy_table(document))
    plot("proxy", results)


if __name__ == "__main__":
    main()
