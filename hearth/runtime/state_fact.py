"""The base of facts whose value is a state class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, get_args

from pyinfra.api import FactBase
from typing_extensions import override

State = TypeVar("State")


class StateFact(FactBase[State]):
    """A fact whose default is its state class, built without arguments: `class Images(StateFact[ImagesState])`.

    pyinfra takes the default when the command prints nothing, and also, while it prepares, when a precondition is not
    met. So the default of a host that was never asked looks like that of an empty host: if an engine does not respond,
    there seem to be no images. Where that difference matters, the state has a field for it (`FootprintState.known`),
    or the caller asks for `Reachability`.
    """

    _state: ClassVar[Callable[[], Any]]

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        (cls._state,) = get_args(cls.__orig_bases__[0])  # type: ignore[attr-defined]

    @classmethod
    @override
    def default(cls) -> State:
        state: State = cls._state()
        return state
