"""What a contract is: named checks that count, run on any implementation.

A contract is a module of functions marked with `@check("what must hold")`. Each takes one thing,
the implementation under test, forces a situation and returns `Evidence`. The same functions
break the guide's code in a chapter, test ours, prove the chapter's claim in CI and judge the
reader's repair.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from perflab.contracts.child import in_child
from perflab.errors import require


@dataclass(frozen=True)
class Evidence:
    """What a check found: whether its statement holds, and the count that shows it."""

    holds: bool
    found: str


@dataclass(frozen=True)
class Check:
    """A statement that must hold, the function that tries it, and a hint for who fails it."""

    statement: str
    hint: str
    run: Callable[[Any], Evidence]
    may_hang: bool = False


def check(
    statement: str, hint: str = "", *, may_hang: bool = False
) -> Callable[[Callable[[Any], Evidence]], Check]:
    """Mark a function as one check of the contract that its module is.

    What `may_hang`, leak threads or spin for ever is tried in a child process with a deadline:
    the check then fails, and nothing of it stays behind.
    """

    def mark(function: Callable[[Any], Evidence]) -> Check:
        if not may_hang:
            return Check(statement, hint, function)
        return Check(statement, hint, lambda thing: Evidence(*in_child(function, thing)), True)

    return mark


def checks_of(contract: ModuleType) -> list[Check]:
    """The checks of a contract, in the order in which they are written.

    ValueError for what is no module with checks.
    """
    is_module = isinstance(contract, ModuleType)
    found = (
        [thing for thing in vars(contract).values() if isinstance(thing, Check)]
        if is_module
        else []
    )
    require(bool(found), "contract", contract, "a module with functions marked @check")
    return found


def judge(contract: ModuleType, implementation: Any) -> dict[str, Evidence]:
    """Run every check on one implementation; what it raises is a failed check, not an error.

    Where the contract sets AT_ONCE, so many checks run side by side: those that mostly wait. What
    runs in a child does so before, for a fork beside busy threads may inherit a lock that is held.
    """
    checks, found = checks_of(contract), dict[str, Evidence]()
    at_once = getattr(contract, "AT_ONCE", 1)
    beside = [one for one in checks if at_once > 1 and not one.may_hang]
    found |= {one.statement: _tried(one, implementation) for one in checks if one not in beside}
    if beside:
        with ThreadPoolExecutor(at_once) as pool:
            seen = pool.map(lambda one: _tried(one, implementation), beside)
            found |= zip([one.statement for one in beside], seen, strict=True)
    return {one.statement: found[one.statement] for one in checks}


def _tried(one: Check, implementation: Any) -> Evidence:
    try:
        return one.run(implementation)
    except Exception as error:
        said = " ".join(f"raised {type(error).__name__}: {error}".split())  # one row of a table
        return Evidence(False, said[:120])
