"""Answers remembered by the identity of what was asked about: several rules ask the same of one dialog or one tool.

Dialogs, tools and messages never change after they are made, so an object that was judged needs no second look. The
object is kept with its answer: no other can get its id while it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_MOST = 4096


class lazy(Generic[Asked, Answer]):  # noqa: N801  (used as a decorator, like property)
    """A property that is computed when first asked for and then stands in the object.

    What `functools.cached_property` is, without the lock that Python 3.11 takes for it.
    """

    def __init__(self, function: Callable[[Asked], Answer]) -> None:
        self.function, self.__doc__ = function, function.__doc__
        self.name = function.__name__

    def __get__(self, owner: Asked, kind: type | None = None) -> Answer:
        if owner is None:  # asked of the class, by tools that read documentation
            return self  # type: ignore[return-value]
        value = owner.__dict__[self.name] = self.function(owner)
        return value


def remembered(function: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """Remembers the answers about up to 4,096 objects."""
    known: dict[int, tuple[Any, Answer]] = {}

    @wraps(function)
    def answer(asked: Asked) -> Answer:
        found = known.get(id(asked))
        if found is not None and found[0] is asked:
            return found[1]
        if len(known) >= _MOST:
            known.clear()
        result = function(asked)
        known[id(asked)] = (asked, result)
        return result

    return answer


def remembered_last(function: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """Remembers the answer about the last object only, for answers that are large."""
    last: tuple[Any, Any] = (None, None)

    @wraps(function)
    def answer(asked: Asked) -> Answer:
        nonlocal last
        before = last
        if before[0] is not asked or asked is None:
            before = last = (asked, function(asked))
        result: Answer = before[1]
        return result

    return answer
