"""Progress of an image pull, from the terminal output of Docker's client."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hearth.docker.image_pull import PULL_FUNCTIONS as FUNCTIONS
from hearth.stack.image_operations import pull_script
from tests.pyinfra.shell import Sandbox

HTTPD = "httpd:2.4.68"
A, B, C = "0123456789ab", "abcdef012345", "fedcba987654"


def drawn(*lines: tuple[str, str]) -> str:
    """Steps of layers, each overwriting the previous one, as by Docker's client 26.1.5 on a terminal without a size."""
    text = "2.4.68: Pulling from library/httpd\r\n"
    return text + "".join(f"\x1b[1A\x1b[2K\r{layer}: {what}\r\x1b[1B" for layer, what in lines)


def progress(tmp_path: Path, text: str) -> list[int]:
    """Bytes downloaded, total bytes, layers of unknown size, layers unpacked, layers."""
    log = tmp_path / "log"
    log.write_text(text)
    done = subprocess.run(["sh", "-c", f"{FUNCTIONS}\nprogress_of '{log}'"], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), [0, 0, 0, 0, 0]),
        (((A, "Pulling fs layer "), (B, "Waiting ")), [0, 0, 2, 0, 2]),
        (
            ((A, "Downloading  1.5MB/30MB"), (A, "Downloading  12.3MB/30MB 4s"), (B, "Waiting ")),
            [12300000, 30000000, 1, 0, 2],
        ),
        (
            ((A, "Downloading [==>    ]  512.5kB/1.903GB"), (B, "Downloading  5B/10B"), (B, "Verifying Checksum ")),
            [512510, 1903000010, 0, 0, 2],
        ),
        (
            (
                (A, "Downloading  1MB/2MB"),
                (A, "Download complete "),
                (A, "Extracting  1MB/2MB"),
                (B, "Already exists "),
            ),
            [2000000, 2000000, 0, 0, 1],
        ),
        (
            ((A, "Downloading  1MB/2MB"), (A, "Pull complete "), (C, "Downloading  1MB/4MB"), (C, "Extracting 3 s")),
            [6000000, 6000000, 0, 1, 2],
        ),
        ((("Status", "Downloaded newer image for httpd:2.4.68"), ("Digest", "sha256:00")), [0, 0, 0, 0, 0]),
    ],
)
def test_bytes_of_all_layers_are_summed(
    tmp_path: Path, lines: tuple[tuple[str, str], ...], expected: list[int]
) -> None:
    assert progress(tmp_path, drawn(*lines)) == expected


def progress_lines(*steps: tuple[int, str]) -> list[str]:
    """Lines of progress, for terminal output at given seconds."""
    script = [FUNCTIONS, "log=$(mktemp) here_before='' then=0 line_before=''"]
    for now, text in steps:
        script.append(f'now={now}; printf %s \'{text}\' >"$log"; print_progress "$log"')
    script.append('rm "$log"')
    return subprocess.run(
        ["sh", "-c", "\n".join(script)], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_progress_shows_rate_and_time_left_without_repetition() -> None:
    one, other = (A, "Downloading  100MB/900MB"), (B, "Waiting ")
    whole = [(A, "Downloading  400MB/900MB"), (B, "Downloading  200MB/1.1GB")]
    unpacking = [(A, "Pull complete "), (B, "Downloading  1.1GB/1.1GB"), (B, "Extracting  1MB/1.1GB")]
    assert progress_lines(
        (4, drawn(one, other)),
        (14, drawn((A, "Downloading  200MB/900MB"), other)),
        (24, drawn(*whole)),
        (34, drawn(*whole)),
        (44, drawn(one, *unpacking)),
        (54, drawn(one, *unpacking)),
    ) == [
        "100 MB of at least 900 MB (11%)",
        "200 MB of at least 900 MB (22%), 10.0 MB/s",
        "600 MB of 2.0 GB (30%), 40.0 MB/s, 35 s left",
        "600 MB of 2.0 GB (30%)",
        "all 2.0 GB downloaded; 1 of 2 layers unpacked",
    ]


# Draws like the real client on a terminal, and continues only after the script has polled.
DRAWS = """case "$1 $2" in
"image inspect") echo sha256:1;;
pull*) [ -t 1 ] || { echo "no terminal"; exit 1; }
  printf '0123456789ab: Downloading  10MB/100MB\\r'
  while [ $(grep -c '^sleep' CALLS) -lt 3 ]; do /bin/sleep 0.1; done
  printf '0123456789ab: Downloading  60MB/100MB\\r0123456789ab: Pull complete\\r\\n'
  printf 'Status: Downloaded newer image\\r\\n';;
esac"""


def test_pull_shows_live_progress(tmp_path: Path) -> None:
    host = Sandbox(tmp_path)
    host.root.mkdir()
    host.program("docker", DRAWS.replace("CALLS", f"{tmp_path}/calls"))
    host.program("sleep", "exec /bin/sleep 0.1")
    done = host.run(pull_script((HTTPD,), 60, 30, 0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"{HTTPD}: 10 MB of 100 MB (10%)",
        f"{HTTPD}: all 100 MB downloaded; 1 of 1 layers unpacked",
        f"{HTTPD}: Status: Downloaded newer image",
    ]


def test_pull_works_without_script(tmp_path: Path) -> None:
    host = Sandbox(tmp_path)
    host.root.mkdir()
    host.program("docker", 'case "$1 $2" in "image inspect") echo sha256:1;; pull*) echo "Status: done";; esac')
    script = pull_script((HTTPD,), 60, 30, 0).replace("command -v script", "command -v no-such-program")
    done = host.run(script)
    assert (done.returncode, done.stdout) == (0, f"{HTTPD}: Status: done\n")
