"""What an answer has borrowed from perflab: by name, by inheritance, or by copying it.

A name counts wherever the answer's code can reach it: in a function, in a class's methods, and in
the helpers beside it that they call. A copy is found by its instructions, so other names, other
comments and other types do not hide it. The guide's code may be taken: it is there to be mended.
"""

import dis
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

PACKAGE = Path(__file__).parents[2]
OURS, PRINTED = ("patterns", "measure"), ("guide",)
LEAST = 40  # instructions: shorter functions are alike by chance
RENAMED = "LOAD_FAST", "STORE_FAST", "DELETE_FAST", "LOAD_DEREF", "STORE_DEREF", "LOAD_CLOSURE"
NAMING = (*RENAMED, "LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "STORE_ATTR", "LOAD_METHOD")

Print = tuple[Any, ...]


def borrowed(answer: Any) -> str:
    """What the answer has from perflab, in words; empty where it is somebody's own."""
    for base in getattr(answer, "__mro__", ()):
        if _is_ours(base.__module__):
            return f"it is made from {base.__name__}"
    for function in _functions(answer, set()):
        names = sorted(set(_ours_by_name(function)))
        if names:
            return f"it uses {names[0]}"
        where = copied_from(function.__code__)
        if where:
            return f"{function.__name__} is that of {where}"
    return ""


def _is_ours(module: object) -> bool:
    return str(module).split(".")[0] == "perflab"


def _functions(thing: Any, seen: set[int]) -> Iterator[FunctionType]:
    """The functions that a function or class consists of, and its helpers from the same place."""
    thing = getattr(thing, "__func__", thing)  # a class method, a static one, a bound one
    if id(thing) in seen or _is_ours(getattr(thing, "__module__", "")):
        return
    seen.add(id(thing))
    if isinstance(thing, type):
        for method in chain.from_iterable(vars(base).values() for base in thing.__mro__):
            yield from _functions(getattr(method, "fget", None) or method, seen)
        return
    inner = getattr(thing, "func", None) or getattr(thing, "__wrapped__", None)
    if callable(inner):  # a partial, a decorated one
        yield from _functions(inner, seen)
    if isinstance(thing, FunctionType):
        yield thing
        for name in _names(thing.__code__):
            helper = thing.__globals__.get(name)
            if getattr(helper, "__module__", None) == thing.__module__:
                yield from _functions(helper, seen)


def _ours_by_name(function: FunctionType) -> Iterator[str]:
    """Names in its code that stand for something of perflab's."""
    known: Mapping[str, Any] = function.__globals__
    for name in _names(function.__code__):
        thing = known.get(name)
        home = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", "")
        if _is_ours(name) or _is_ours(home):
            yield name


def _names(code: CodeType) -> Iterable[str]:
    """Global names and imported modules, not attributes: np.percentile is nobody's percentile."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            yield str(step.argval)
    for inner in within(code):
        yield from _names(inner)


def within(code: CodeType) -> Iterator[CodeType]:
    """The functions, classes and comprehensions written in it, not those within these."""
    return (one for one in code.co_consts if isinstance(one, CodeType))


def fingerprint(code: CodeType) -> Print:
    """What a function does, whatever its names are: instructions, with names numbered as they
    first appear, and numbers as they stand."""
    order: dict[str, int] = {}
    found: list[Any] = []
    for step in dis.get_instructions(code):
        value: Any = None
        if step.opname.startswith(NAMING):
            value = order.setdefault(str(step.argval), len(order))
        elif isinstance(step.argval, CodeType):
            value = fingerprint(step.argval)
        elif step.opname.endswith("CONST") and isinstance(step.argval, int | float):
            value = step.argval
        found.append((step.opname, value))
    return tuple(found)


def copied_from(code: CodeType) -> str:
    """The file of ours that has this very function; empty where none has, or where it is short."""
    return _patterns().get(fingerprint(code), "") if _is_long(code) else ""


def _is_long(code: CodeType) -> bool:
    return sum(1 for _ in dis.get_instructions(code)) >= LEAST


@cache
def _patterns() -> dict[Print, str]:
    """Where each longer function of ours stands, by fingerprint; none that the guide has too."""
    printed = {fingerprint(code) for _, code in _longer(PRINTED)}
    found = {fingerprint(code): where for where, code in _longer(OURS)}
    return {what: where for what, where in found.items() if what not in printed}


def _longer(folders: Iterable[str]) -> Iterator[tuple[str, CodeType]]:
    for path in sorted(chain.from_iterable((PACKAGE / one).rglob("*.py") for one in folders)):
        where = path.relative_to(PACKAGE.parent).as_posix()
        for code in _all_within(compile(path.read_bytes(), where, "exec")):
            yield where, code


def _all_within(code: CodeType) -> Iterator[CodeType]:
    for inner in within(code):
        is_function = bool(inner.co_flags & 0x02)  # CO_NEWLOCALS: no class body
        if is_function and _is_long(inner):
            yield inner
        yield from _all_within(inner)
