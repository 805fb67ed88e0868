"""Container images."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.commands import quote, refused, streamed
from hearth.facts.images import Images
from hearth.host_paths import IMAGES_LOCK


@operation()
def pulled(references: tuple[str, ...], timeout: int, retries: int) -> Generator[FunctionCommand, None, None]:
    """Pull the images that are missing, or whose tag was moved on the host since they were pulled.

    Args:
        references: `name:tag` or `name@sha256:…`.
        timeout: seconds for one attempt at one image.
        retries: further attempts; layers that arrived are kept between them.
    """
    try:
        state = host.get_fact(Images, references=references)
    except FactPreconditionError as error:
        yield refused(str(error))
        return
    missing = state.missing(references)
    if not missing:
        host.noop("images are there")
    for reference in missing:
        yield streamed(pull_script(reference, timeout, retries))


def pull_script(reference: str, timeout: int, retries: int) -> str:
    """Shell script that pulls one image and records its id."""
    image = quote(reference)
    return f"""set -e
mkdir -p {IMAGES_LOCK.rpartition("/")[0]}
attempt=0
until timeout {timeout} docker pull {image}; do
  attempt=$((attempt + 1))
  if [ $attempt -gt {retries} ]; then
    echo "Image "{image}" could not be pulled (see above). Check its name, the host's network and" \
      "docker_registry_mirrors, then deploy again: what arrived is kept." >&2
    exit 1
  fi
  echo "Trying "{image}" again ($attempt of {retries}) …"
  sleep $((attempt * 5))
done
id=$(docker image inspect --format '{{{{.Id}}}}' {image})
touch {IMAGES_LOCK}
{{ grep -vF {quote(reference + " ")} {IMAGES_LOCK} || true; echo {image} "$id"; }} > {IMAGES_LOCK}.new
mv {IMAGES_LOCK}.new {IMAGES_LOCK}"""
