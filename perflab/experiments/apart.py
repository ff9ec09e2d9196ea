"""Run a function in a fresh interpreter: its memory, its collector and its allocator are its own.

A notebook's kernel is a bad place to measure resident memory. Libraries and earlier cells have
filled its heap, freed parts of it, and taught its allocator what to expect. A process that has
done nothing before starts from the same state every time.
"""

import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from perflab.errors import PerflabError, require

TIMEOUT = 300.0  # seconds
ANSWER = "\nanswer of apart: "  # what the function itself prints stands before it


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` as a fresh interpreter answers it.

    A function of a module is imported there. One that was written in a notebook is sent as its
    source, so it imports what it needs itself. Arguments and result go through JSON: numbers,
    texts, lists, dicts with texts as keys. ValueError for a function without a name or source,
    and for arguments that JSON does not know; PerflabError for what was raised in the
    child, and where it took more than five minutes.
    """
    named = inspect.isfunction(function) and function.__name__.isidentifier()
    require(named, "function", function, "a function with a name")
    try:
        given = json.dumps(arguments)
    except (TypeError, ValueError):
        given = ""
    require(bool(given), "arguments", arguments, "what JSON can write")
    code = f"{_definition(function)}\nimport json as _json, sys as _sys\n"
    code += f"_answer = {function.__name__}(*_json.loads(_sys.argv[1]))\n"
    code += f"print({ANSWER!r} + _json.dumps(_answer))"
    command = [sys.executable, "-c", code, given]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise PerflabError(f"{function.__name__} took longer than {TIMEOUT:g} s") from None
    if ran.returncode != 0:
        last = ran.stderr.strip().splitlines()[-1:] or [f"it ended with {ran.returncode}"]
        raise PerflabError(f"{function.__name__} in a process of its own: {last[0]}")
    return json.loads(ran.stdout.rpartition(ANSWER)[2])


def _definition(function: Callable[..., Any]) -> str:
    """Code that defines the function: an import, or its source where it has no module."""
    if function.__module__ != "__main__":
        return f"from {function.__module__} import {function.__name__}"
    try:
        return textwrap.dedent(inspect.getsource(function))
    except OSError:
        require(False, "function", function, "one whose source can be found")
        raise
