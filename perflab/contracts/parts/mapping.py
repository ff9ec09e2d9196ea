"""What must hold of an Executor's map; part of its contract."""

from collections.abc import Iterator

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.jobs import Gate
from perflab.contracts.parts.tasks import Make
from perflab.contracts.threads import eventually


@check(
    "map reads no more of its input than it can work on",
    "Submitting all of it first never ends for an endless input, and holds a long one in memory. "
    "Submit a window, and one more for each result that is taken.",
    may_hang=True,
)
def map_is_lazy(make: Make) -> Evidence:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(5000):
            read.append(number)
            yield number

    with make(2, 10) as pool:
        results = pool.map(abs, numbers())
        first = [next(results) for _ in range(3)]
        taken = len(read)
        del results
    found = f"3 of 5,000 asked for, {taken:,} read"
    return Evidence(first == [0, 1, 2] and taken <= 20, found)


@check(
    "who leaves map early leaves nothing waiting",
    "Cancel what has not begun when the iterator is closed or dropped.",
    may_hang=True,
)
def map_left(make: Make) -> Evidence:
    gate = Gate()
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        if number:
            gate(number)
        return number

    pool = make(2, 10)
    results = pool.map(call, range(10))
    next(results)
    eventually(lambda: gate.inside == 2)
    del results
    gate.open()
    pool.shutdown()
    return Evidence(len(begun) <= 3, f"1 result taken, 2 under way, {len(begun)} begun")


@check(
    "map gives results in the order of its input, and an error in its place",
    "Ask the tasks in the order in which they were submitted.",
    may_hang=True,
)
def map_in_order(make: Make) -> Evidence:
    got: list[int] = []
    error = "no error"
    with make(3, 4) as pool:
        try:
            got.extend(pool.map(lambda number: 100 // (5 - number), range(10)))
        except ZeroDivisionError as raised:
            error = type(raised).__name__
    in_order = got == [20, 25, 33, 50, 100] and error == "ZeroDivisionError"
    return Evidence(in_order, f"{got}, then {error}")
