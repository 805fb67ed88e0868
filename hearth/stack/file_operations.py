"""Files in /opt/hearth."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation

from hearth.paths import HTTPD_CONF, HTTPD_USER, RELOAD_PENDING, ROOT, TLS_LIVE
from hearth.runtime.explain import explain, will_write
from hearth.runtime.shell import quote
from hearth.runtime.tar import pack_files
from hearth.settings.model import Settings
from hearth.stack.file_facts import Tree
from hearth.stack.file_messages import describe_files
from hearth.stack.setting_changes import digests

_INCOMING = f"{ROOT}/.incoming"


@operation()
def sync_files(
    files: Mapping[str, bytes], settings: Settings
) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """Put the files that differ into /opt/hearth.

    All arrive together in a directory beside their places, are tried there (`docker compose config`, `httpd -t` in
    the proxy's image), and only then take their places, each by one rename: a file that does not pass never
    goes live, and what served goes on serving.

    Args:
        files: path relative to /opt/hearth → content.
        settings: those that the files were rendered from. The proxy's image tries httpd.conf.
    """
    state = host.get_fact(Tree, paths=tuple(sorted(files)))
    right = digests(files)
    differing = {path: content for path, content in files.items() if state.digests.get(path) != right[path]}
    if not differing:
        host.noop("files are as they should be")
        return
    explain(*describe_files(state.digests, files, settings, state.accepted))
    will_write(*differing)
    archive = pack_files(differing)
    upload = f"{ROOT}/.incoming.tar"
    yield StringCommand(f"install -d -m 0755 {ROOT}")
    yield FileUploadCommand(io.BytesIO(archive), upload)
    yield StringCommand(swap_script(sorted(differing), upload, settings.proxy_image, settings.has_tls_files))


def swap_script(paths: list[str], upload: str, proxy_image: str, has_tls_files: bool = False) -> str:
    """Shell script that unpacks, tries and places the files.

    Args:
        has_tls_files: httpd.conf names certificates that are on the host.
    """
    directories = sorted({path.rpartition("/")[0] for path in paths} - {""})
    lines = [
        "set -e",
        "umask 022",
        f"rm -rf {_INCOMING}",
        f"mkdir {_INCOMING}",
        # -m: the archive has no times of its own, and the page's ETag is made from them.
        f"tar -xmf {upload} -C {_INCOMING} --no-same-permissions",
        f"rm -f {upload}",
    ]
    if "compose.yaml" in paths:
        lines.append(f"docker compose -f {_INCOMING}/compose.yaml config --quiet")
    # compose.yaml may name another image: one that can't take the configuration must not come in.
    if {"httpd/httpd.conf", "compose.yaml"} & set(paths):
        tried = _INCOMING if "httpd/httpd.conf" in paths else ROOT
        mount = f"type=bind,src={tried}/httpd,dst=/usr/local/apache2/{HTTPD_CONF.rpartition('/')[0]},readonly"
        mount = f"--mount {mount}"
        if has_tls_files:
            mount += f" --mount type=bind,src={TLS_LIVE},dst=/usr/local/apache2/conf/tls,readonly"
        lines.append(
            # With the powers that it will have: what it may not read then is found here.
            f"docker run --rm --network none --read-only --user {HTTPD_USER} --cap-drop ALL "
            f"--security-opt no-new-privileges {mount} {quote(proxy_image)} httpd -t -f {HTTPD_CONF}"
        )
    if "httpd/httpd.conf" in paths:
        # Before the change: a run that dies in between leaves the mark, and the next run reloads.
        lines.append(f"touch {RELOAD_PENDING}")
    lines += [f"mkdir -p {quote(f'{ROOT}/{directory}')}" for directory in directories]
    # On the disk before they take their places: a power cut could leave empty files there.
    lines.append(f"sync {quote(*(f'{_INCOMING}/{path}' for path in paths))}")
    lines += [f"mv -f {quote(f'{_INCOMING}/{path}')} {quote(f'{ROOT}/{path}')}" for path in paths]
    lines.append(f"rm -rf {_INCOMING}")
    return "\n".join(lines)
