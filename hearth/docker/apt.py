"""Shell functions that use apt, for scripts that install packages."""

from __future__ import annotations

from pathlib import Path

from hearth.paths import ROOT

APT = Path(__file__).with_suffix(".sh").read_text()


def package_installation_script(package: str, record: str, timeout: int) -> str:
    """Shell script that installs a package, and records that Hearth did.

    Args:
        record: file that is created before the installation: an uninstall removes the package only if Hearth installed
            it, or began to.
        timeout: seconds to wait for other users of apt.
    """
    return "\n".join(
        [
            f"install -d -m 0755 {ROOT}",
            f"touch {record} && sync {record}",
            f"apt_timeout={timeout}",
            APT,
            "apt_finish",
            "apt_update",
            f"apt_install {package}",
        ]
    )


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
