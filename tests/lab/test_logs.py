"""Container logs are limited to the configured size, whatever is written to them."""

from __future__ import annotations

import pytest

from tests.acceptance.api import call
from tests.lab.machine import deploy, on_guest, url, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

KIB = 1024
LINES = 20_000


@pytest.mark.parametrize("container", ["hearth-httpd", "hearth-ollama"])
def test_log_flood_does_not_fill_the_disk(container: str) -> None:
    run = deploy('docker_log_max_size="64k"', "docker_log_max_files=2")
    assert run.code == 0, run.output
    # Written to the output of its first process, the pipe that the engine logs.
    flood = f'for ((i = 1; i <= {LINES}; i++)); do echo "line $i of the flood {"." * 80}"; done > /proc/1/fd/1'
    on_guest(f"sudo docker exec {container} bash -c '{flood}'", timeout=300)
    last = f"line {LINES} of the flood"
    wait_until(
        lambda: last in on_guest(f"sudo docker logs --tail 3 {container}"), 120, f"the engine has written {last!r}"
    )
    path = on_guest(f"sudo docker inspect -f '{{{{.LogPath}}}}' {container}")
    sizes = [int(size) for size in on_guest(f"sudo sh -c 'stat -c %s {path}*'").split()]
    written = LINES * len(f"line {LINES} of the flood {'.' * 80}\n")
    print(f"\n{container}: {written} bytes written, {sizes} kept")
    assert written > 20 * 64 * KIB
    assert len(sizes) == 2, "one file was full, so there are two"
    assert all(size <= 64 * KIB for size in sizes)
    assert call(url(), "GET", "/api/tags").status == 200
