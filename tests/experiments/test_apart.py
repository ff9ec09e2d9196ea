"""A function in a fresh interpreter: what goes in and comes out, and what is refused."""

import os
import sys
from statistics import mean

import pytest

from perflab.errors import PerflabError
from perflab.experiments.apart import apart


def of_main(source):
    """A function as a notebook defines it: of __main__, with a source that inspect finds."""
    import linecache

    linecache.cache["<cell>"] = (len(source), None, source.splitlines(True), "<cell>")
    names = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), names)
    return names["function"]


def test_a_modules_function_is_imported_there():
    """Its arguments go there, and its result comes back."""
    assert apart(mean, [1, 2, 6]) == 3


def test_what_it_prints_is_no_answer():
    """Only what it returns comes back."""
    function = of_main("def function():\n    print('[1]')\n    return 2\n")
    assert apart(function) == 2


def test_a_notebooks_function_is_sent_as_its_source():
    """It imports what it needs itself, and nothing of this process is there."""
    function = of_main(
        "def function():\n    import os, sys\n    return [os.getpid(), len(sys.modules)]\n"
    )
    pid, modules = apart(function)
    assert pid != os.getpid()
    assert modules < len(sys.modules)


def test_what_it_raises_is_told():
    """The last line of the child's traceback is the message."""
    function = of_main("def function():\n    return {}['missing']\n")
    with pytest.raises(PerflabError, match="KeyError: 'missing'"):
        apart(function)


@pytest.mark.parametrize("function", [None, 1, len, lambda: 1])
def test_what_has_no_name_or_source_is_refused(function):
    """ValueError names the argument before a process is started."""
    with pytest.raises(ValueError, match="function"):
        apart(function)


def test_arguments_that_json_does_not_know_are_refused():
    """A set does not become a list on its way."""
    with pytest.raises(ValueError, match="arguments"):
        apart(mean, {1, 2})
