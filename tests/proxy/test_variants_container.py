"""Model variants in the real container, with a real Docker engine: the fact's command and the operation's script."""

from __future__ import annotations

import os
import shutil

import pytest

from hearth.models.facts import ModelFiles, ModelFilesState
from hearth.models.local_files import LocalFile, load_model_files, receive_script
from hearth.models.operations import create_script, creation_steps, find_differences
from hearth.models.variants import create_request, variant_differences
from hearth.settings.variant import Variant
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings
from tests.proxy.stuck_host import StuckHost
from tests.support.shipped import shipped_settings

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
NAME = "pirate"


def test_variant_is_created_changed_on_the_host_and_repaired(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools", "models"), stages)
    variant = Variant(base="tinyllama", system="Answer like a „pirate“:\nit's $HOME 🏴", parameters={"temperature": 0})
    from_file = Variant(base_file=str(parts["models"] / "tinyembed.gguf"))
    files = load_model_files(shipped_settings(ollama_model_variants={"own": from_file.model_dump()}))
    with Engine(parts, tmp_path_factory.mktemp("engine")) as engine:
        host = StuckHost(engine, parts["models"])
        host.deploy(lab_settings(parts))

        def found(*models: str) -> ModelFilesState:
            fact = ModelFiles()
            return fact.process(host.run(fact.command(models)).splitlines())

        def differences() -> list[str]:
            state = found(NAME, variant.base)
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

            # A GGUF file of this computer, which ssh would bring as standard input.
            names = ("own", from_file.base_model("own"))
            file, *scripts = creation_steps("own", from_file, files, found(*names))
            assert isinstance(file, LocalFile)
            shutil.copy(file.path, engine.project / "sent")
            host.run(f"{receive_script(file.digest)} </opt/hearth/sent")
            for one in scripts:
                host.run(str(one))
            assert find_differences("own", from_file, files, found(*names)) == []
        finally:
            engine.execute("docker ps -aq | xargs -r docker rm -f")
            host.close()
