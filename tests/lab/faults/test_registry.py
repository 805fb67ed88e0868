"""Typical failures of an image registry: the release stays in service, downloaded parts are kept."""

from __future__ import annotations

import pytest

from tests.acceptance.api import call
from tests.lab.checks import deploy_twice, serves
from tests.lab.faults.conftest import SECOND_BYTES, VERSION, Images
from tests.lab.machine import HTTPD_IMAGE, OLLAMA_IMAGE, deploy, listed_on_guest, url
from tests.lab.registry_fault import Faults

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]


def containers() -> list[str]:
    return listed_on_guest("sudo docker ps -q --no-trunc")


def test_registry_errors_are_retried(images: Images) -> None:
    images.line.faults = Faults(errors=4)
    run = deploy(*images.upgrade())
    assert run.code == 0, run.output
    assert images.line.faults.errors == 0, "too few requests to trigger all errors"
    print(f"\n4 responses with status 500, {images.line.requests} requests in total; upgraded in {run.seconds:.1f} s")
    deploy_twice(*images.upgrade())


def test_silent_registry_ends_the_pull_with_an_error(images: Images) -> None:
    before = containers()
    images.line.faults = Faults(silent=True)
    run = deploy(*images.upgrade(), "docker_pull_stall_timeout=20", "docker_pull_retries=1")
    assert run.code != 0
    assert "Could not pull image" in run.output, run.output
    assert run.seconds < 240, run.seconds
    assert containers() == before
    serves()
    print(f"\nthe registry accepts connections and never responds: gave up after {run.seconds:.1f} s")
    images.line.faults = Faults()
    deploy_twice(*images.upgrade())


def test_interrupted_layer_download_is_resumed(images: Images) -> None:
    images.line.faults = Faults(cuts=2, keep=SECOND_BYTES // 3)
    run = deploy(*images.upgrade())
    assert run.code == 0, run.output
    assert images.line.faults.cuts == 0
    sent = images.line.sent[images.second]
    print(f"\ncut off twice after {SECOND_BYTES // 3} bytes of {SECOND_BYTES}: {sent} bytes sent in total")
    assert sent <= 1.5 * SECOND_BYTES, images.line.sent
    deploy_twice(*images.upgrade())


def test_missing_image_keeps_the_release(images: Images) -> None:
    before = containers()
    run = deploy(*images.upgrade(f"{VERSION}-nosuch"), "docker_pull_retries=1")
    assert run.code != 0
    assert f"{HTTPD_IMAGE}-nosuch" in run.output
    assert "Could not pull image" in run.output, run.output
    assert containers() == before
    serves()
    print(f"\nrefused after {run.seconds:.1f} s")
    deploy_twice()


@pytest.mark.long
def test_image_without_httpd_is_refused_by_the_configuration_test() -> None:
    before = containers()
    run = deploy(f'proxy_image="{OLLAMA_IMAGE}"')
    assert run.code != 0
    assert containers() == before
    assert call(url(), "GET", "/").status == 200
    deploy_twice()
