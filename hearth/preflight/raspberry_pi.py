"""What is to be known of a Raspberry Pi before and while one deploys to it: the sentences. Pure rules."""

from __future__ import annotations

from hearth.host.hardware import Hardware

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled: now, and since the last start.
UNDERVOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT = 0x1, 0x2, 0x4, 0x8
_SINCE_START = 16
# °C from which all models slow their processors down (the same documentation, frequency management).
HOT = 80.0
# Bytes. Ollama's and httpd's images run with pages of 4 kB (Pi 4) and 16 kB (Pi 5).
LARGEST_PAGE = 16384


def userland_obstacles(hardware: Hardware, architecture: str) -> str:
    """What to add where a system has 32 bits though its kernel has 64, as `uname -m` then shows; else ""."""
    if architecture != "armhf" or hardware.kernel != "aarch64":
        return ""
    return (
        ". Its kernel has 64 bits, which `uname -m` shows, and its programs have 32: no upgrade changes that. Write "
        'the card anew with Raspberry Pi Imager, and choose "Raspberry Pi OS (64-bit)"'
    )


def board_warnings(hardware: Hardware) -> list[str]:
    """What slows this board down or endangers it, each with what helps; nothing of it stops a deploy."""
    return [*_power(hardware), *_heat(hardware), *_pages(hardware)]


def _power(hardware: Hardware) -> list[str]:
    bits = hardware.throttled or 0
    cure = (
        "take the power supply made for this model (27 W for a Pi 5, 15 W for a Pi 4) with its own cable, and give "
        "a USB disk its own supply"
    )
    if bits & UNDERVOLTAGE:
        return [
            f"{hardware.model}: its power supply is too weak at this moment (undervoltage, by `vcgencmd get_throttled`)"
            f". It slows down, and can damage what is written to its disk; {cure}"
        ]
    if bits & UNDERVOLTAGE << _SINCE_START:
        return [
            f"{hardware.model}: its power supply was too weak at some time since it was started (undervoltage, by "
            f"`vcgencmd get_throttled`), and under a model's load it will be again; {cure}"
        ]
    return []


def _heat(hardware: Hardware) -> list[str]:
    bits = hardware.throttled or 0
    if bits & UNDERVOLTAGE:
        return []  # that slows it down, too
    now = bits & (CAPPED | THROTTLED | SOFT_LIMIT)
    hot = hardware.temperature is not None and hardware.temperature >= HOT
    degrees = f"{hardware.temperature:.0f} °C, " if hardware.temperature is not None else ""
    cure = "a fan or a cooler on the processor gives the speed back"
    if now or hot:
        return [f"{hardware.model}: it is hot ({degrees}by `vcgencmd`) and has slowed its processor down; {cure}"]
    # Without undervoltage since the start, it was heat.
    was = bits >> _SINCE_START & (CAPPED | THROTTLED | SOFT_LIMIT)
    if was and not bits & UNDERVOLTAGE << _SINCE_START:
        return [
            f"{hardware.model}: it was too hot at some time since it was started and slowed its processor down "
            f"({degrees}by `vcgencmd`, now); {cure}"
        ]
    return []


def _pages(hardware: Hardware) -> list[str]:
    if hardware.page_size <= LARGEST_PAGE:
        return []
    return [
        f"the kernel has memory pages of {hardware.page_size // 1024} kB: the images are known to run with 4 and 16 "
        "kB; if a container ends with a complaint about the page size, start the host with another kernel"
    ]
