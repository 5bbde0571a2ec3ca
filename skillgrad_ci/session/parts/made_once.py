"""A part that several threads ask for is made once, by whoever asks first; the others wait for that one.

`functools.cached_property` has no lock since Python 3.12, and before it had one for all objects. Here each part of
each object has its own, so that the sandbox is tested while the models' library loads.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, overload

from skillgrad_ci.errors import SkillGradError

T = TypeVar("T")


@dataclass(frozen=True)
class Making:
    """What the parts of one object need to be made once: a lock by name, and the error of what cannot be made."""

    locks: dict[str, threading.RLock] = field(default_factory=dict)
    failures: dict[str, SkillGradError] = field(default_factory=dict)


class Maker(Protocol):
    """An object whose parts are made."""

    @property
    def making(self) -> Making: ...


class MadeOnce(Generic[T]):
    """A cached property. What cannot be made fails with the same error for everybody who asks."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make, self._name = make, ""
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, maker: None, owner: type) -> "MadeOnce[T]": ...

    @overload
    def __get__(self, maker: Maker, owner: type) -> T: ...

    def __get__(self, maker: Maker | None, owner: type) -> "MadeOnce[T] | T":
        if maker is None:
            return self
        with maker.making.locks.setdefault(self._name, threading.RLock()):
            made = maker.__dict__  # where Python looks before it comes here again
            if self._name in maker.making.failures:
                raise maker.making.failures[self._name]
            if self._name not in made:
                try:
                    made[self._name] = self._make(maker)
                except SkillGradError as error:
                    maker.making.failures[self._name] = error
                    raise
            value: T = made[self._name]
            return value
