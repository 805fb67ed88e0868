"""Files in /opt/hearth."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation

from hearth.paths import HTTPD_CONF, HTTPD_USER, RELOAD_PENDING, ROOT, TLS_LIVE
from hearth.rollout.operations import replaceable_services
from hearth.runtime.commands import upload_command
from hearth.runtime.explain import explain, will_write
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.runtime.tar import pack_files
from hearth.settings.model import Settings
from hearth.stack.file_facts import Tree
from hearth.stack.file_messages import describe_files
from hearth.stack.setting_changes import digests

_INCOMING = f"{ROOT}/.incoming"
# The container in which httpd checks its configuration.
_CHECK = "hearth-check"


@operation()
def sync_files(
    files: Mapping[str, bytes], settings: Settings
) -> Generator[StringCommand | FunctionCommand, None, None]:
    """Update the files in /opt/hearth that differ.

    They are uploaded together to a temporary directory, validated there (`docker compose config`, `httpd -t` in the
    proxy's image), and only then renamed into place: an invalid file never goes live, and the stack keeps serving.

    Args:
        files: path relative to /opt/hearth → content.
        settings: those that the files were rendered from. The proxy's image validates httpd.conf.
    """
    state = current_fact(Tree, paths=tuple(sorted(files)))
    expected = digests(files)
    differing = {path: content for path, content in files.items() if state.digests.get(path) != expected[path]}
    if not differing:
        host.noop("files up to date")
        return
    explain(*describe_files(state.digests, files, settings, state.accepted, replaceable_services()))
    will_write(*differing)
    archive = pack_files(differing)
    upload = f"{ROOT}/.incoming.tar"
    yield StringCommand(f"install -d -m 0755 {ROOT}")
    yield upload_command(archive, upload)
    proxy_image = settings.images.get("httpd", "")
    yield StringCommand(swap_script(sorted(differing), upload, proxy_image, settings.has_tls_files))


def swap_script(paths: list[str], upload: str, proxy_image: str, has_tls_files: bool = False) -> str:
    """Shell script that unpacks, validates and installs the files.

    Args:
        proxy_image: validates httpd.conf; "" on a backend, which has none.
        has_tls_files: httpd.conf refers to certificates on the host.
    """
    directories = sorted({path.rpartition("/")[0] for path in paths} - {""})
    lines = [
        "set -e",
        "umask 022",
        f"rm -rf {_INCOMING}",
        f"mkdir {_INCOMING}",
        # -m: the archive has no file times, and the page's ETag depends on them.
        f"tar -xmf {upload} -C {_INCOMING} --no-same-permissions",
        f"rm -f {upload}",
    ]
    if "compose.yaml" in paths:
        lines.append(f"docker compose -f {_INCOMING}/compose.yaml config --quiet")
    # compose.yaml may name a new image, which must accept the configuration.
    if proxy_image and {"httpd/httpd.conf", "compose.yaml"} & set(paths):
        source = _INCOMING if "httpd/httpd.conf" in paths else ROOT
        mount = f"type=bind,src={source}/httpd,dst=/usr/local/apache2/{HTTPD_CONF.rpartition('/')[0]},readonly"
        mount = f"--mount {mount}"
        if has_tls_files:
            mount += f" --mount type=bind,src={TLS_LIVE},dst=/usr/local/apache2/conf/tls,readonly"
        lines += [
            # Of an interrupted run.
            f"docker rm --force {_CHECK} >/dev/null 2>&1 || true",
            # With the privileges of the real container, to detect files that it can't read.
            f"docker create --name {_CHECK} --log-driver json-file --network none --read-only --user {HTTPD_USER} "
            f"--cap-drop ALL --security-opt no-new-privileges {mount} {quote(proxy_image)} "
            f"httpd -t -f {HTTPD_CONF} >/dev/null",
            "code=1",
            # From the log: `docker run` loses the output of a container that ends before Docker's client is attached.
            f"if docker start {_CHECK} >/dev/null; then code=$(docker wait {_CHECK}); docker logs {_CHECK}; fi",
            f"docker rm --force {_CHECK} >/dev/null",
            '[ "$code" = 0 ]',
        ]
    if any(path.startswith("httpd/") for path in paths):
        # Before the change: if the run is interrupted in between, the mark makes the next run reload.
        lines.append(f"touch {RELOAD_PENDING}")
    lines += [f"mkdir -p {quote(f'{ROOT}/{directory}')}" for directory in directories]
    # Synced before the rename: a power failure could otherwise leave empty files.
    lines.append(f"sync {quote(*(f'{_INCOMING}/{path}' for path in paths))}")
    lines += [f"mv -f {quote(f'{_INCOMING}/{path}')} {quote(f'{ROOT}/{path}')}" for path in paths]
    lines.append(f"rm -rf {_INCOMING}")
    return "\n".join(lines)
