"""Preflight messages about a Raspberry Pi. Pure rules."""

from __future__ import annotations

from hearth.host.hardware import Hardware

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled: now, and since the last start.
UNDERVOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT = 0x1, 0x2, 0x4, 0x8
_SINCE_START = 16
# °C above which all models throttle their processors (the same documentation, frequency management).
HOT = 80.0
# Bytes. Ollama's and httpd's images run with pages of 4 kB (Pi 4) and 16 kB (Pi 5).
MAX_PAGE_SIZE = 16384


def userland_obstacles(hardware: Hardware, architecture: str) -> str:
    """The addition to the message for a 32-bit system with a 64-bit kernel, which `uname -m` shows; otherwise ""."""
    if architecture != "armhf" or hardware.kernel != "aarch64":
        return ""
    return (
        ". Its kernel is 64-bit, as `uname -m` shows, but its programs are 32-bit, and no upgrade changes that: write "
        'the card again with Raspberry Pi Imager, and choose "Raspberry Pi OS (64-bit)"'
    )


def board_warnings(hardware: Hardware) -> list[str]:
    """Warnings about power, heat and page size, with the fix."""
    return [*_power(hardware), *_heat(hardware), *_pages(hardware)]


def _power(hardware: Hardware) -> list[str]:
    bits = hardware.throttled or 0
    fix = (
        "use the power supply made for this model (27 W for a Pi 5, 15 W for a Pi 4) with its own cable, and power "
        "USB disks separately"
    )
    if bits & UNDERVOLTAGE:
        return [
            f"{hardware.model}: the power supply is too weak now (undervoltage, from `vcgencmd get_throttled`). This "
            f"slows it down and can corrupt its disk; {fix}"
        ]
    if bits & UNDERVOLTAGE << _SINCE_START:
        return [
            f"{hardware.model}: the power supply was too weak at some time since the last start (undervoltage, from "
            f"`vcgencmd get_throttled`), and will be again under a model's load; {fix}"
        ]
    return []


def _heat(hardware: Hardware) -> list[str]:
    bits = hardware.throttled or 0
    if bits & UNDERVOLTAGE:
        return []  # undervoltage throttles it, too
    now = bits & (CAPPED | THROTTLED | SOFT_LIMIT)
    hot = hardware.temperature is not None and hardware.temperature >= HOT
    degrees = f"{hardware.temperature:.0f} °C, " if hardware.temperature is not None else ""
    fix = "a fan or a heat sink restores its speed"
    if now or hot:
        return [f"{hardware.model}: the processor is hot ({degrees}from `vcgencmd`) and throttled; {fix}"]
    # Without undervoltage since the last start, the cause was heat.
    was = bits >> _SINCE_START & (CAPPED | THROTTLED | SOFT_LIMIT)
    if was and not bits & UNDERVOLTAGE << _SINCE_START:
        return [
            f"{hardware.model}: the processor was hot at some time since the last start and throttled "
            f"({degrees}from `vcgencmd`, now); {fix}"
        ]
    return []


def _pages(hardware: Hardware) -> list[str]:
    if hardware.page_size <= MAX_PAGE_SIZE:
        return []
    return [
        f"the kernel's memory pages have {hardware.page_size // 1024} kB: the images are known to run with 4 and 16 "
        "kB; if a container fails with an error about the page size, use another kernel"
    ]
