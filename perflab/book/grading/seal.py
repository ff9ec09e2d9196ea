"""Whether an answer has changed what judges it: perflab's modules and Python's built-in names.

Looked at after a right answer, in the process that it shares with its judge. Two more answers, one
that is no attempt and one that breaks, have to be judged as what they are.
"""

import builtins
import sys
from types import FunctionType
from typing import Any

from perflab.book.exercises import Exercise

State = dict[str, Any]


def state() -> State:
    """What stands under each name of perflab's modules, of their classes, and of builtins."""
    found: State = {}
    for module in [*sys.modules.values()]:
        name = getattr(module, "__name__", "")
        if module is builtins or str(name).split(".")[0] == "perflab":
            for key, value in vars(module).items():
                found[f"{name}.{key}"] = _mark(value)
                if isinstance(value, type) and value.__module__ == name != "builtins":
                    parts = {one: _mark(part) for one, part in vars(value).items()}
                    found |= {f"{name}.{key}.{one}": what for one, what in parts.items()}
    return found


def _mark(value: Any) -> Any:
    """What an object is and, where its inside decides a judgement, what it holds."""
    if isinstance(value, FunctionType):
        return id(value), id(value.__code__), repr(value.__defaults__)
    if isinstance(value, dict | list | set | tuple | frozenset):
        return id(value), repr(value)
    if isinstance(value, str | int | float):
        return None if isinstance(value, bool) else type(value)  # a counter of a class counts
    return id(value)


def broken(before: State, task: Exercise) -> str:
    """What is not as it was, by name; empty where all is."""
    now = state()
    changed = sorted(name for name, mark in before.items() if now.get(name) != mark)
    if changed:
        return changed[0]

    def stub(*given: Any, **named: Any) -> Any:
        raise NotImplementedError

    def breaks(*given: Any, **named: Any) -> Any:
        raise ZeroDivisionError

    judged = (task.judge(stub).status, task.judge(breaks).status)
    return "" if judged == ("not attempted", "wrong") else "the judge"
