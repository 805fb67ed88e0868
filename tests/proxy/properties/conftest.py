"""The programs that read what is rendered from settings."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from lab import artefacts
from lab.progress import Stages
from tests.proxy.httpd import PREFIX, Httpd
from tests.proxy.properties.shape import directives
from tests.support.self_signed import self_signed
from tests.support.shipped import shipped_settings

Dump = Callable[[str], list[tuple[str, list[str]]]]
Read = Callable[[str], Any]


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    with Stages() as stages:
        return artefacts.build(("roots", "compose", "engine"), stages)


@pytest.fixture(scope="module")
def read_conf(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dump]:
    """Parses a configuration with the real httpd; fails if it refuses it, or warns."""
    settings = shipped_settings(proxy_port=8085)
    tls = tmp_path_factory.mktemp("tls")
    self_signed(tls / "server.pem")
    tls.chmod(0o755)
    (tls / "server.pem").chmod(0o644)
    volumes = {f"{PREFIX}/conf/tls": tls}
    with Httpd(parts["roots"] / "httpd", tmp_path_factory.mktemp("httpd"), settings, volumes=volumes) as web:

        @cache
        def read(conf: str) -> list[tuple[str, list[str]]]:
            # mod_info is needed to dump the configuration.
            (web.tree / "httpd/trial.conf").write_text(f"LoadModule info_module modules/mod_info.so\n{conf}")
            done = web.execute(
                "httpd -t -D DUMP_CONFIG -f conf/hearth/trial.conf 2>/tmp/err; code=$?; cat /tmp/err >&2; exit $code"
            )
            # Two routes to the same backend share its pool, with the same parameters.
            output, errors = (
                re.sub(r"(?m)^.*AH01146: Ignoring parameter .*\n", "", text)
                for text in (done.output, web.execute("cat /tmp/err").output)
            )
            assert (done.code, errors) == (0, "Syntax OK\n"), errors
            return directives(output)

        yield read


@pytest.fixture(scope="module")
def read_compose(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Parses a compose.yaml with the real Docker Compose; fails if it refuses it, or warns."""
    directory = tmp_path_factory.mktemp("compose")

    @cache
    def read(text: str) -> Any:
        (directory / "compose.yaml").write_text(text)
        words = [str(parts["compose"] / "docker-compose"), "config", "--format", "json"]
        done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)

    return read
