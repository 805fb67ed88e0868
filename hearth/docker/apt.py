"""Shell functions that use apt, for scripts that install packages."""

from __future__ import annotations

from pathlib import Path

APT = Path(__file__).with_suffix(".sh").read_text()


def package_removal_script(package: str, files: str, timeout: int) -> str:
    """Shell script that removes a package that Hearth installed, and files.

    Args:
        files: shell words, among them the record that Hearth installed it.
        timeout: seconds to wait for other users of apt.
    """
    return "\n".join(
        [
            f"apt_timeout={timeout}",
            APT,
            "apt_finish",
            f"apt_get_or_fail -y remove {package}",
            f"rm -f {files}",
            f"echo 'Removed {package}'",
        ]
    )
