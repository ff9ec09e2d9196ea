"""Functions under guard: what `@breaker` makes of a function, and what a `with` block remembers.

Which era let a call in is kept where only that call finds it: a decorated function has it in a
variable of its own. A `with` block has none; see `under_way`.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar, cast

from perflab.patterns.parts.eras import Era

F = TypeVar("F", bound=Callable[..., Any])
UnderWay = tuple["Breaker", Era, "UnderWay"] | None

# The `with` blocks that this thread or task is in, innermost first: (breaker, era, the rest). A
# context variable, since tasks take turns within a thread; one for all breakers, since a context
# never lets go of a variable that was set in it.
under_way: ContextVar[UnderWay] = ContextVar("under_way", default=None)


class Breaker(Protocol):
    """What guards: see `CircuitBreaker`."""

    era: Era

    def admit(self) -> Era: ...

    def succeeded(self, era: Era) -> None: ...

    def failed(self, era: Era, error: BaseException) -> None: ...


def recall(breaker: Breaker) -> Era | None:
    """Forget the innermost block of this breaker, wherever it is, and return its era.

    It is not the first where generators take turns within their blocks. None where there is none:
    the block was entered in another context, as one of a generator may be.
    """
    passed, entry = [], under_way.get()
    while entry is not None and entry[0] is not breaker:
        passed.append(entry)
        entry = entry[2]
    if entry is None:
        return None
    rest = entry[2]
    for other, era, _ in reversed(passed):
        rest = (other, era, rest)
    under_way.set(rest)
    return entry[1]


def guarded(breaker: Breaker, fn: F) -> F:
    """The function, each call of it guarded by the breaker from its beginning to its end."""
    if inspect.iscoroutinefunction(fn):
        guard: Callable[..., Any] = _coroutine
    elif inspect.isgeneratorfunction(fn):
        guard = _generator
    elif inspect.isasyncgenfunction(fn):
        guard = _async_generator
    else:
        guard = _function
    wrapped: Any = functools.wraps(fn)(guard(breaker, fn))
    return cast(F, wrapped)


def _function(breaker: Breaker, fn: Callable[..., Any]) -> Callable[..., Any]:
    """Closed, with no failure to forget, a call costs two looks and one call into C."""

    def call(*args: Any, **kwargs: Any) -> Any:
        era = breaker.era
        if not era.closed:
            era = breaker.admit()
        try:
            result = fn(*args, **kwargs) if kwargs else fn(*args)  # ** costs, empty as well
        except BaseException as error:
            breaker.failed(era, error)
            raise
        if era.quiet:
            next(era.tally)
        else:
            breaker.succeeded(era)
        return result

    return call


def _coroutine(breaker: Breaker, fn: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        era = breaker.admit()
        try:
            result = await fn(*args, **kwargs)
        except BaseException as error:
            breaker.failed(era, error)
            raise
        breaker.succeeded(era)
        return result

    return call


def _generator(breaker: Breaker, fn: Callable[..., Any]) -> Callable[..., Any]:
    """A generator is one call, from its first item to its end.

    One that is given up before its end says nothing about the dependency.
    """

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        era = breaker.admit()
        try:
            result = yield from fn(*args, **kwargs)
        except BaseException as error:
            breaker.failed(era, error)
            raise
        breaker.succeeded(era)
        return result

    return call


def _async_generator(breaker: Breaker, fn: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        era = breaker.admit()
        try:
            async with aclosing(fn(*args, **kwargs)) as items:
                async for item in items:
                    yield item
        except BaseException as error:
            breaker.failed(era, error)
            raise
        breaker.succeeded(era)

    return call
