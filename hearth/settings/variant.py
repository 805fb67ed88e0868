"""Models of your own (`ollama_model_variants`): a base model or a GGUF file, with a system prompt, parameters …"""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, field_validator, model_validator

from hearth.settings.model_names import full_name
from hearth.settings.types import ModelName, OptionalFile

# Ollama's options (api/types.go). It ignores others with a line in its log, so a misspelt one would go unnoticed.
PARAMETERS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("num_ctx", "num_predict", "num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "seed", "top_k"),
        (int,),
    ),
    **dict.fromkeys(("temperature", "top_p", "min_p", "typical_p"), (int, float)),
    **dict.fromkeys(("repeat_penalty", "presence_penalty", "frequency_penalty"), (int, float)),
    "repeat_last_n": (int,),
    "use_mmap": (bool,),
    "stop": (list, tuple),
}
_EXAMPLES = {int: "4096", float: "0.7", bool: "True", tuple: '["User:"]'}


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("a text can't contain the character NUL")
    return value


Text = Annotated[str, AfterValidator(_text)]
# Bytes of a variant as JSON. It travels in one argument of a command, which Linux limits to 128 KiB (as base64: 4/3).
_LIMIT = 65536


class Variant(BaseModel):
    """A model that Ollama creates from another one; what is not set is as in the base model.

    Attributes:
        base: a model as in Ollama's library; it is pulled as well. "" with `base_file`.
        base_file: a GGUF file on the deploying computer instead.
        adapter_file: a LoRA adapter, also a GGUF file there; "" for none.
        system: the system prompt, used when a request has none.
        template: the prompt's template, in Ollama's syntax.
        parameters: Ollama's options, such as `num_ctx` or `temperature`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base: ModelName | Literal[""] = ""
    base_file: OptionalFile = ""
    adapter_file: OptionalFile = ""
    system: Text = ""
    template: Text = ""
    parameters: dict[str, Any] = {}

    @field_validator("parameters")
    @classmethod
    def _check(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, given in value.items():
            if name not in PARAMETERS:
                close = difflib.get_close_matches(name, PARAMETERS, n=1)
                hint = f'did you mean "{close[0]}"?' if close else f"use one of {', '.join(sorted(PARAMETERS))}"
                raise ValueError(f"{name!r} is not one of Ollama's parameters; {hint}")
            kinds = PARAMETERS[name]
            # True is an int for Python.
            if not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds) or _not_finite(given):
                raise ValueError(f"{name} = {given!r}; use a value such as {_EXAMPLES[kinds[-1]]}")
        if "stop" in value and not (value["stop"] and all(isinstance(word, str) and word for word in value["stop"])):
            raise ValueError(f'stop = {value["stop"]!r}; use a list of texts, such as ["User:"]')
        if "num_ctx" in value and not 256 <= value["num_ctx"] <= 1048576:
            raise ValueError(f"num_ctx = {value['num_ctx']}; use 256 to 1048576")
        return value

    @model_validator(mode="after")
    def _check_base(self) -> Variant:
        if bool(self.base) == bool(self.base_file):
            raise ValueError(
                'use either "base", the name of a model, such as "llama3.2:1b", or "base_file", a GGUF file on this '
                'computer, such as "~/models/mine.gguf"'
            )
        return self

    def base_model(self, name: str) -> str:
        """The model that the variant of this name is made from: `base`, or the one that is created from `base_file`.

        Ollama detects a GGUF file's prompt template itself. With a model of its own for the file, what the settings
        replace can be compared with what Ollama found.
        """
        return self.base or f"gguf/{full_name(name).replace('/', '-')}"

    @model_validator(mode="after")
    def _check_size(self) -> Variant:
        size = len(json.dumps(self.model_dump(), ensure_ascii=False).encode())
        if size > _LIMIT:
            raise ValueError(f"has {size} bytes; use a shorter system prompt or template ({_LIMIT} bytes in all)")
        return self


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and (value != value or value in (float("inf"), float("-inf")))
