"""Models that fit, may not fit, and can't run: calculation and messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hearth.host.hardware import Hardware, Swap
from hearth.models.sizes import COMMON, GB, LIBRARY, least_need, likely_need
from hearth.preflight.checks import find_obstacles
from hearth.preflight.facts import HostFactsState
from hearth.preflight.memory import memory_obstacles, memory_warnings
from hearth.settings.model import Settings
from tests.support.recorded import raspberry_pi as recorded

Make = Callable[..., Settings]
MIB = 2**20
PI_2_GB = Hardware(model="Raspberry Pi 4 Model B Rev 1.4", memory=recorded.MEMORY_2_GB_KB * 1024)
PI_8_GB = Hardware(
    model="Raspberry Pi 5 Model B Rev 1.0",
    memory=int(recorded.MEMORY_8_GB_MIB * MIB),
    swaps=(
        Swap("/dev/zram0", int(recorded.ZRAM_GIB * 1024 * MIB)),
        Swap("/var/swap", int((recorded.SWAP_MIB - recorded.ZRAM_GIB * 1024) * MIB)),
    ),
)


def test_a_model_that_cannot_run_is_refused_with_the_calculation(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.2:1b", "llama3.1:70b"])
    (obstacle,) = memory_obstacles(settings, PI_8_GB)
    assert "llama3.1:70b can't run here: it needs at least 36.4 GB" in obstacle
    assert "(model 36.0 + context 0.2 + Ollama 0.1 + system 0.1)" in obstacle
    assert "and the host has 8.5 GB and 5.1 GB of swap, 4.2 of it in memory (zram)" in obstacle
    assert "of the models listed, the largest that fits is llama3.2:1b" in obstacle
    assert 'ollama_model_sizes_gb = {"llama3.1:70b": …}' in obstacle


def test_it_is_one_of_the_preflight_failures(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.1:70b"], ollama_model_sizes_gb={"llama3.1:70b": 42.5})
    host = HostFactsState(
        os_release={"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"},
        architecture="arm64",
        free_bytes={"/var/lib/docker": 500 * GB},
        hardware=PI_8_GB,
    )
    (obstacle,) = find_obstacles(settings, host)
    assert "model 42.5 +" in obstacle
    assert "of common models, the largest that fits is qwen3.5:9b" in obstacle


def test_a_model_that_may_not_fit_gets_a_warning(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.2:3b"])
    assert memory_obstacles(settings, Hardware(memory=3 * GB)) == []
    hardware = Hardware(model="Raspberry Pi 4", memory=int(2.1 * GB), swaps=(Swap("/var/swap", GB // 2),))
    assert memory_obstacles(settings, hardware) == []
    (warning,) = memory_warnings(settings, hardware)
    assert "llama3.2:3b may not fit in memory: it needs about 2.7 GB" in warning
    assert "(model 2.0 + context 0.3 + Ollama 0.1 + system 0.3)" in warning
    assert "and the host has 2.1 GB and 0.5 GB of swap." in warning
    assert "the largest that fits is qwen3:1.7b" in warning
    assert "CONF_SWAPSIZE in /etc/dphys-swapfile" in warning


def test_swap_advice_depends_on_the_release(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["gemma3:12b"])
    (warning,) = memory_warnings(settings, PI_8_GB)
    assert "rpi-swap" in warning
    (elsewhere,) = memory_warnings(settings, Hardware(memory=8 * GB, swaps=PI_8_GB.swaps))
    assert "rpi-swap" not in elsewhere


@pytest.mark.parametrize(
    ("models", "hardware"),
    [
        (["llama3.2:1b", "llama3.1:8b", "gemma3:4b"], PI_8_GB),
        (["tinyllama", "mymodel", "llama3.1:405b"], Hardware()),  # nothing is known about the host
    ],
)
def test_no_message_if_models_fit_or_nothing_is_known(
    make_settings: Make, models: list[str], hardware: Hardware
) -> None:
    settings = make_settings(ollama_models=models)
    assert memory_obstacles(settings, hardware) == []
    assert memory_warnings(settings, hardware) == []


def test_the_default_model_fits_into_a_pi_with_2_gb(settings: Settings) -> None:
    assert memory_obstacles(settings, PI_2_GB) == []
    assert memory_warnings(settings, PI_2_GB) == []


def test_swap_counts_as_it_does_for_ollama(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.1:8b"])
    assert len(memory_obstacles(settings, PI_2_GB)) == 1
    more = Hardware(memory=PI_2_GB.memory, swaps=(Swap("/var/swap", 4 * GB),))
    assert memory_obstacles(settings, more) == []
    assert len(memory_warnings(settings, more)) == 1


def test_a_limit_counts_where_the_kernel_enforces_it(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.1:8b"], ollama_memory_limit="3g")
    assert memory_obstacles(settings, Hardware(memory=16 * GB, memory_cgroup_enabled=False)) == []
    (obstacle,) = memory_obstacles(settings, Hardware(memory=16 * GB, memory_cgroup_enabled=True))
    assert "ollama_memory_limit = '3g' allows 3.2 GB, without swap" in obstacle
    assert "system" not in obstacle
    assert (
        memory_obstacles(settings, Hardware(memory=6 * GB, swaps=(Swap("/swap", 3 * GB),), memory_cgroup_enabled=True))
        == []
    )


@pytest.mark.parametrize(
    ("memory", "obstacles", "warnings"), [(16, 0, 0), (5, 0, 1), (4, 1, 1)], ids=["fits", "tight", "does not fit"]
)
def test_preloaded_models_are_added_up(make_settings: Make, memory: int, obstacles: int, warnings: int) -> None:
    """Each of them fits alone."""
    several: dict[str, Any] = {
        "ollama_models": ["llama3.2:3b", "qwen3:1.7b"],
        "ollama_model_variants": {"tutor": {"base": "llama3.2:1b"}},
        "ollama_max_loaded_models": 3,
    }
    hardware = Hardware(memory=memory * GB)
    alone = make_settings(**several, ollama_preload=["llama3.2:3b"])
    assert memory_obstacles(alone, hardware) == memory_warnings(alone, hardware) == []
    together = make_settings(**several, ollama_preload=["Llama3.2:3b", "qwen3:1.7b", "tutor:latest"])
    refused, warned = memory_obstacles(together, hardware), memory_warnings(together, hardware)
    assert (len(refused), len(warned)) == (obstacles, warnings)
    for message in refused + warned:
        assert message.startswith("ollama_preload: Llama3.2:3b, qwen3:1.7b and tutor:latest ")
        assert f"the host has {memory}.0 GB, without swap" in message


def test_a_longer_context_needs_more(make_settings: Make) -> None:
    """llama3.1:8b at 128k tokens: 16 GB of context by its own figures; at least a good part of that."""
    short, long = (likely_need("llama3.1:8b", {}, tokens) for tokens in (4096, 131072))
    assert short.context == pytest.approx(0.62, abs=0.01)
    assert 12 < long.context < 20
    settings = make_settings(ollama_models=["llama3.1:8b"], ollama_context_length=1048576, ollama_num_parallel=4)
    assert len(memory_obstacles(settings, PI_8_GB)) == 1


@pytest.mark.parametrize(
    ("name", "real"),
    [
        # Known sizes of models and quantizations: overestimating one would refuse a model that can run.
        ("mixtral:8x7b", 26.0),
        ("llama2:13b", 7.3),
        ("vicuna:7b", 3.8),
        ("hf.co/someone/tinyllama-1.1b-GGUF:q2_k", 0.48),
        ("hf.co/someone/tinyllama-1.1b-GGUF:Q3_K_M", 0.55),
        ("hf.co/someone/tinyllama-1.1b-GGUF:Q4_K_M", 0.668),
        ("hf.co/someone/tinyllama-1.1b-GGUF:Q5_K_M", 0.782),
        ("hf.co/someone/tinyllama-1.1b-GGUF:Q6_K", 0.903),
        ("hf.co/someone/tinyllama-1.1b-GGUF:Q8_0", 1.17),
        ("someone/gemma2-2b-instruct-q2_K", 1.23),
    ],
)
def test_the_minimum_is_below_the_real_size(name: str, real: float) -> None:
    need = least_need(name, {}, 4096)
    assert need is not None
    assert 0.4 * real < need.model <= real


@pytest.mark.parametrize("name", LIBRARY)
def test_the_estimate_from_the_name_is_at_most_the_listed_size(name: str) -> None:
    need = least_need(name, {}, 4096)
    assert need is not None
    assert need.model < LIBRARY[name]
    assert need.sum < likely_need(name, {}, 4096).sum


@pytest.mark.parametrize("name", ["mymodel", "hf.co/someone/model:latest", "tinyllama", "phi3:mini"])
def test_a_name_without_a_size_is_never_refused(name: str, make_settings: Make) -> None:
    assert least_need(name, {}, 4096) is None
    assert memory_obstacles(make_settings(ollama_models=[name]), Hardware(memory=GB // 2)) == []


@pytest.mark.parametrize("name", ["LLAMA3.2:1B", "library/llama3.2:1b", "registry.ollama.ai/library/llama3.2:1b"])
def test_a_model_is_recognized_by_all_its_names(name: str) -> None:
    assert likely_need(name, {}, 4096).model == 1.3


def test_common_models_are_sorted_from_large_to_small() -> None:
    sizes = [likely_need(name, {}, 4096).sum for name in COMMON]
    assert sizes == sorted(sizes, reverse=True)


def test_a_model_that_needs_a_newer_ollama_is_not_suggested(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.1:70b"], ollama_image="ollama/ollama:0.13.0")
    (obstacle,) = memory_obstacles(settings, PI_8_GB)
    assert "of common models, the largest that fits is qwen3:8b" in obstacle


def test_if_nothing_fits_the_message_says_so(make_settings: Make) -> None:
    (obstacle,) = memory_obstacles(make_settings(ollama_models=["llama3.1:8b"]), Hardware(memory=GB // 2))
    assert "no common model fits" in obstacle


def test_a_variant_counts_with_its_own_context_and_its_base(make_settings: Make) -> None:
    variant = {"base": "llama3.2:1b", "parameters": {"num_ctx": 131072}}
    settings = make_settings(ollama_models=[], ollama_model_variants={"reader": variant})
    (warning,) = memory_warnings(settings, Hardware(memory=int(4 * GB)))
    assert warning.startswith("reader may not fit in memory: it needs about 6.9 GB (model 1.3 + context 5.2 + ")
    huge = {"reader": {"base": "llama3.1:70b"}}
    (failure,) = memory_obstacles(make_settings(ollama_models=[], ollama_model_variants=huge), Hardware(memory=4 * GB))
    assert failure.startswith("ollama_model_variants: reader can't run here: ")
    assert failure.endswith('set ollama_model_sizes_gb = {"llama3.1:70b": …}')


def test_a_model_from_a_file_has_the_size_of_its_file(make_settings: Callable[..., Settings]) -> None:
    own = {"own": {"base_file": "own.gguf"}}
    settings = make_settings(
        ollama_models=[], ollama_model_variants=own, ollama_model_sizes_gb={"gguf/own:latest": 30.0}
    )
    (failure,) = memory_obstacles(settings, Hardware(memory=4 * GB))
    assert failure.startswith("ollama_model_variants: own can't run here: it needs at least 30.")
