"""The machine that is measured on, and how busy it is."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path


def description() -> str:
    """`2 cores (AMD EPYC), x86_64, 24 GiB, Linux 6.12`, for tables and plots; without the model if Linux has none."""
    kernel = ".".join(platform.release().split(".")[:2])
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = f" ({found[1]})" if found else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores{model}, {platform.machine()}, {memory:.0f} GiB, Linux {kernel}"


def busy_share(seconds: float = 2) -> float:
    """The share of all processors' time that is in use now, by others: 0 to 1."""

    def times() -> tuple[int, int]:
        fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    before = times()
    time.sleep(seconds)
    total, idle = (now - then for now, then in zip(times(), before, strict=True))
    return 1 - idle / total
