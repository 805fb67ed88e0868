"""The parts that the lab builds, and their dependencies. Independent parts are built at the same time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lab import (
    arm64,
    builder,
    cache,
    client_libraries,
    docker_repository,
    engine,
    guest,
    guests,
    house,
    httpd_source,
    image_roots,
    images,
    login_host,
    mirrors,
    models,
    nextjs_sample,
    origin,
    programs,
    shell,
    smollm2,
    tools,
    versions,
)
from lab.artefact import Artefact, Paths
from lab.errors import Unavailable
from lab.progress import Stages

__all__ = ["ALL", "Paths", "build", "keys", "missing"]


def _guest(kind: guests.Guest, _: Paths, out: Path, log: Path) -> None:
    guest.build(kind, out, log)


def _docker_repository(paths: Paths, out: Path, log: Path) -> None:
    docker_repository.build(paths["builder"] / "root", out, log)


def _httpd(paths: Paths, out: Path, log: Path) -> None:
    programs.build_httpd(paths["builder"] / "root", out, log)


def _ollama(paths: Paths, out: Path, log: Path) -> None:
    programs.build_ollama(paths["builder"] / "root", out, log)


def _pebble(paths: Paths, out: Path, log: Path) -> None:
    programs.build_go_program(programs.PEBBLE, versions.PEBBLE, paths["builder"] / "root", out, log)


def _actionlint(paths: Paths, out: Path, log: Path) -> None:
    programs.build_go_program(programs.ACTIONLINT, versions.ACTIONLINT, paths["builder"] / "root", out, log)


def _compose(paths: Paths, out: Path, log: Path) -> None:
    programs.fetch_compose(paths["builder"] / "root", out, log)


def _base(paths: Paths, out: Path, log: Path) -> None:
    images.build_base(out, log, paths["builder"] / "root/etc/ssl/certs/ca-certificates.crt")


def _images(paths: Paths, out: Path, log: Path) -> None:
    images.build(paths["base"], paths["httpd"], paths["ollama"], paths["tools"], out, log)


def _roots(paths: Paths, out: Path, log: Path) -> None:
    image_roots.build(paths["images"], out, log)


def _models(paths: Paths, out: Path, log: Path) -> None:
    from lab import model_store  # needs numpy and gguf, which nothing but a build needs

    model_store.build(paths["builder"] / "root", paths["ollama"] / "ollama", paths["tools"], out, log)


def _smollm2(paths: Paths, out: Path, log: Path) -> None:
    program = paths["ollama"] / "ollama"
    smollm2.build(paths["builder"] / "root", program, paths["tools"], paths["models"], out, log)


ALL = {
    part.name: part
    for part in (
        Artefact(
            "tools",
            "Fetch docker-registry",
            lambda: [tools.RECIPE],
            lambda _, out, log: tools.build(out, log),
        ),
        Artefact(
            "prometheus",
            "Fetch Prometheus",
            lambda: [tools.PROMETHEUS_RECIPE],
            lambda _, out, log: tools.build_prometheus(out, log),
        ),
        Artefact(
            "builder",
            "Build the trixie builder",
            lambda: [builder.recipe("builder.sh"), *builder.PACKAGES],
            lambda _, out, log: builder.build(out, log),
        ),
        Artefact(
            "engine",
            "Build a root directory with Docker",
            lambda: [builder.recipe("builder.sh"), *engine.PACKAGES],
            lambda _, out, log: builder.build(out, log, packages=engine.PACKAGES),
        ),
        Artefact(
            "login",
            "Build a root directory to log in to",
            login_host.inputs,
            lambda _, out, log: login_host.build(out, log),
        ),
        Artefact(
            "house",
            "Build a root directory for the house's hosts",
            house.inputs,
            lambda _, out, log: house.build(out, log),
        ),
        *(
            Artefact(
                kind.artefact,
                "Build the guest" if kind == guests.TRIXIE else f"Build the guest ({kind.name})",
                partial(guest.inputs, kind),
                partial(_guest, kind),
            )
            for kind in guests.ALL.values()
        ),
        Artefact(
            "ollama",
            f"Build Ollama {versions.OLLAMA}",
            lambda: [builder.recipe("ollama.sh"), versions.OLLAMA, versions.MINIAUDIO_SHA256],
            _ollama,
            ("builder",),
        ),
        Artefact(
            "httpd",
            "Build Apache httpd",
            lambda: [*map(builder.recipe, programs.HTTPD_RECIPES), *httpd_source.inputs()],
            _httpd,
            ("builder",),
        ),
        Artefact(
            "pebble",
            f"Build the ACME server Pebble {versions.PEBBLE}",
            lambda: [builder.recipe("go_program.sh"), programs.PEBBLE, versions.PEBBLE],
            _pebble,
            ("builder",),
        ),
        Artefact(
            "compose",
            "Fetch Docker Compose",
            lambda: [builder.recipe("compose.sh"), builder.recipe("apt.sh")],
            _compose,
            ("builder",),
        ),
        Artefact(
            "actionlint",
            f"Build actionlint {versions.ACTIONLINT}",
            lambda: [builder.recipe("go_program.sh"), programs.ACTIONLINT, versions.ACTIONLINT],
            _actionlint,
            ("builder",),
        ),
        Artefact(
            "docker-repository",
            "Build a replica of Docker's apt repository",
            docker_repository.inputs,
            _docker_repository,
            ("builder",),
        ),
        Artefact("base", "Build the images' base", lambda: [builder.recipe("base.sh")], _base, ("builder",)),
        Artefact("images", "Build the images", images.inputs, _images, ("base", "httpd", "ollama", "tools")),
        Artefact("roots", "Unpack the images", lambda: [image_roots.RECIPE], _roots, ("images",)),
        Artefact("models", "Build the tiny models", models.inputs, _models, ("builder", "ollama", "tools")),
        Artefact(
            "smollm2",
            f"Fetch {smollm2.NAME}, a real language model",
            smollm2.inputs,
            _smollm2,
            ("builder", "ollama", "tools", "models"),
        ),
        Artefact(
            "libraries",
            "Fetch the client libraries of the tests",
            client_libraries.inputs,
            lambda _, out, log: client_libraries.build(out, log),
        ),
        Artefact(
            "nextjs",
            "Build the sample with Next.js",
            nextjs_sample.inputs,
            lambda paths, out, log: nextjs_sample.build(paths["libraries"], out, log),
            ("libraries",),
        ),
        *arm64.PARTS,
    )
}


def keys() -> dict[str, str]:
    """The key of every artefact, from the current recipes."""
    found: dict[str, str] = {}
    for name, part in ALL.items():  # dependencies come first
        found[name] = cache.key_of(name, mirrors.SUITE, "amd64", *part.inputs(), *(found[n] for n in part.needs))
    return found


def missing(wanted: tuple[str, ...]) -> list[str]:
    """Those of `wanted`, and of their dependencies, that must be built."""
    key = keys()
    absent: list[str] = []

    def visit(name: str) -> None:
        if name not in absent and not cache.path_of(name, key[name]).is_dir():
            for need in ALL[name].needs:
                visit(need)
            absent.append(name)

    for name in wanted:
        visit(name)
    return absent


def build(wanted: tuple[str, ...], stages: Stages) -> Paths:
    """The directories of the artefacts; missing ones are built, two or three at a time.

    Optional artefacts that could not be fetched are reported and left out.
    """
    key = keys()
    todo = missing(wanted)
    paths = {name: cache.path_of(name, key[name]) for name in ALL}
    cache.root().mkdir(parents=True, exist_ok=True)
    done: dict[str, Future[None]] = {}

    def make(name: str) -> None:
        part = ALL[name]
        for need in part.needs:
            if need in done:
                done[need].result()
        with stages.stage(part.what):
            try:
                cache.build_once(name, key[name], partial(part.build, paths))
            except Unavailable as error:
                stages.log(f"  {error}")
                del paths[name]
                return
        for line in origin.lines(paths[name]):
            stages.log(f"  {line}")

    # A thread per part: waiting threads cost nothing, running ones share the processors.
    with ThreadPoolExecutor(max_workers=len(todo) or 1) as pool:
        for name in todo:
            done[name] = pool.submit(make, name)
        try:
            for future in done.values():
                future.result()
        except BaseException:
            shell.stop_all()
            raise
    return {name: paths[name] for name in wanted if name in paths}
