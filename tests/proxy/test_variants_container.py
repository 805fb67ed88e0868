"""Model variants in the real container, with a real Docker engine: the fact's command and the operation's script."""

from __future__ import annotations

import os

import pytest

from hearth.models.facts import ModelFiles
from hearth.models.operations import create_script
from hearth.models.variants import create_request, variant_differences
from hearth.settings.variant import Variant
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings
from tests.proxy.stuck_host import StuckHost

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
NAME = "pirate"


def test_variant_is_created_changed_on_the_host_and_repaired(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools", "models"), stages)
    variant = Variant(base="tinyllama", system="Answer like a „pirate“:\nit's $HOME 🏴", parameters={"temperature": 0})
    with Engine(parts, tmp_path_factory.mktemp("engine")) as engine:
        host = StuckHost(engine, parts["models"])
        host.deploy(lab_settings(parts))

        def differences() -> list[str]:
            fact = ModelFiles()
            state = fact.process(host.run(fact.command((NAME, variant.base))).splitlines())
            return variant_differences(NAME, variant, state.manifests, state.files)

        try:
            assert differences() == ["it is missing"]
            script = create_script(NAME, create_request(NAME, variant))
            assert f"{NAME}: created" in host.run(script)
            assert differences() == []
            host.run(
                f"printf 'FROM {NAME}\\nSYSTEM Be rude.\\n' | docker exec -i hearth-ollama sh -c "
                f"'cat > /tmp/m && ollama create {NAME} -f /tmp/m' 2>&1"
            )
            assert differences() == ["its system prompt"]
            host.run(script)
            assert differences() == []
        finally:
            engine.execute("docker ps -aq | xargs -r docker rm -f")
            host.close()
