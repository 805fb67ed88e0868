"""httpd checks its configuration in a container of its own before a deploy installs it, with a real Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hearth.render.stack_files import render_tree
from hearth.runtime.tar import pack_files
from hearth.stack.file_operations import swap_script
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
CONF, UPLOAD = "httpd/httpd.conf", "/opt/hearth/.incoming.tar"
# The message of a container that ends at once is lost only now and then.
TIMES = 5


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    with Stages() as stages:
        return artefacts.build(("engine", "images", "tools"), stages)


@pytest.fixture(scope="module")
def engine(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    # A log driver that keeps nothing must not hide what httpd reports.
    with Engine(parts, tmp_path_factory.mktemp("engine"), {"log-driver": "none"}) as engine:
        pulled = engine.execute(f"docker pull -q {lab_settings(parts).proxy_image}")
        assert pulled.code == 0, pulled.output
        yield engine


def test_httpd_s_message_is_in_the_output_of_each_failed_deploy(engine: Engine, parts: artefacts.Paths) -> None:
    settings = lab_settings(parts)
    files = render_tree(settings)
    engine.write(settings)
    swap = swap_script([CONF], UPLOAD, settings.proxy_image)
    for number in range(TIMES):
        (engine.project / ".incoming.tar").write_bytes(pack_files({CONF: files[CONF] + b"Nonsense on\n"}))
        refused = engine.run(swap)
        assert refused.code == 1, refused.output
        assert "Invalid command 'Nonsense'" in refused.output, f"attempt {number}: {refused.output}"
        assert (engine.project / CONF).read_bytes() == files[CONF]
    (engine.project / ".incoming.tar").write_bytes(pack_files({CONF: files[CONF] + b"# changed\n"}))
    accepted = engine.run(swap)
    assert accepted.code == 0, accepted.output
    assert (engine.project / CONF).read_bytes() == files[CONF] + b"# changed\n"
    assert engine.execute("docker ps --all --quiet").output.strip() == ""


def test_an_image_that_is_not_an_httpd_changes_nothing(engine: Engine, parts: artefacts.Paths) -> None:
    settings = lab_settings(parts)
    engine.write(settings)
    content = (engine.project / CONF).read_bytes()
    made = engine.execute(
        f"c=$(docker create {settings.proxy_image}) && docker commit -c 'ENV PATH=/nowhere' $c other:1 && docker rm $c"
    )
    assert made.code == 0, made.output
    (engine.project / ".incoming.tar").write_bytes(pack_files({CONF: content + b"# changed\n"}))
    done = engine.run(swap_script([CONF], UPLOAD, "other:1"))
    assert done.code == 1
    assert '"httpd": executable file not found' in done.output, done.output
    assert (engine.project / CONF).read_bytes() == content
    assert engine.execute("docker ps --all --quiet").output.strip() == ""
