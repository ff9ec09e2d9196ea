"""What must hold of a bulkhead as Python uses it: threads, blocks, executors, both kinds in a line.

Under test is a class like `perflab.patterns.Bulkhead`, with its arguments. What must hold of any
bulkhead, the guide's among them, stands in `perflab.contracts.bulkhead`, and the races between
threads that it has to win in `perflab.contracts.parts.slotraces`.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import slotraces
from perflab.contracts.parts.work import in_line, leave, takeable
from perflab.contracts.threads import Running, at_once, eventually
from perflab.errors import BulkheadFullError
from perflab.measure.virtual import run_virtual

Bulkheads = Callable[..., Any]


@check(
    "limit 3: three of eight threads at once, all are served",
    "Decide under a lock whether a slot is free, or take it in one step.",
)
def threads(bulkheads: Bulkheads) -> Evidence:
    bulkhead, lock, gate = bulkheads(3), threading.Lock(), threading.Event()
    inside, most = 0, 0

    def call(_: int) -> None:
        nonlocal inside, most
        with bulkhead:
            with lock:
                inside += 1
                most = max(most, inside)
            gate.wait()
            with lock:
                inside -= 1

    calls = at_once(8, call)
    eventually(lambda: inside == 3 and bulkhead.stats().waiting == 5)
    gate.set()
    served = sum(one.join() for one in calls)
    return Evidence(most == 3 and served == 8, f"{most} at once, {served} of 8 served")


lost_wake_up, freed = slotraces.lost_wake_up, slotraces.freed
late_hand_off, overtaken = slotraces.late_hand_off, slotraces.overtaken


@check(
    "threads and tasks stand in one line, first come, first served",
    "A slot that is freed goes to the first in line, whichever kind it is.",
)
def one_line(bulkheads: Bulkheads) -> Evidence:
    bulkhead, order = bulkheads(1), list[int]()
    bulkhead.__enter__()

    def by_thread(number: int) -> None:
        with bulkhead:
            order.append(number)

    def by_task(number: int) -> None:
        async def main() -> None:
            async with bulkhead:
                order.append(number)

        asyncio.run(main())

    calls = [
        in_line(bulkhead, lambda n=n: (by_task if n % 2 else by_thread)(n))  # type: ignore[misc]  # a default binds it
        for n in range(6)
    ]
    leave(bulkhead)
    for call in calls:
        call.join()
    return Evidence(order == list(range(6)), f"served {' '.join(map(str, order))}")


@check(
    "max_wait is what a caller waits, however often others are served",
    "The clock starts when the caller comes, and does not start again.",
)
def max_wait(bulkheads: Bulkheads) -> Evidence:
    """Eight in line for 100 ms; each slot is held for 30 ms: three of them get one."""
    bulkhead, waits = bulkheads(1, 0.1), list[float]()

    async def main() -> int:
        clock = asyncio.get_running_loop().time

        async def call() -> None:
            began = clock()
            try:
                async with bulkhead:
                    await asyncio.sleep(0.03)
            except BulkheadFullError:
                waits.append(clock() - began)

        await asyncio.gather(*(call() for _ in range(8)))
        return len(waits)

    refused = run_virtual(main())
    right = refused == 4 and all(abs(wait - 0.1) < 1e-6 for wait in waits)
    longest = max(waits, default=0.0)
    return Evidence(right, f"{refused} of 8 refused, after {1e3 * longest:.0f} ms")


@check(
    "what runs in a thread holds its slot though its task is cancelled",
    "Cancelling the task does not stop the thread. Let the thread's future free the slot.",
)
def beyond_the_task(bulkheads: Bulkheads) -> Evidence:
    bulkhead, gate = bulkheads(1), threading.Event()

    async def main(executor: ThreadPoolExecutor) -> int:
        task = asyncio.create_task(bulkhead.run(gate.wait, executor=executor))
        await asyncio.sleep(0)
        while bulkhead.stats().in_use == 0:
            await asyncio.sleep(0)
        await asyncio.to_thread(eventually, lambda: executor._work_queue.empty())
        task.cancel()
        await asyncio.wait({task})
        held: int = bulkhead.stats().in_use
        return held

    with ThreadPoolExecutor(1) as executor:
        held = Running(lambda: asyncio.run(main(executor))).result()
        gate.set()
    left = takeable(bulkhead, 1)
    return Evidence(held == left == 1, f"{held} of 1 held, then {left} free")


@check(
    "submitted work holds its slot until it ends or will never begin",
    "Free the slot when the future is done: after a result, an error, and when it was cancelled.",
)
def submitted(bulkheads: Bulkheads) -> Evidence:
    bulkhead, gate = bulkheads(2), threading.Event()
    with ThreadPoolExecutor(1) as executor:
        working: Future[Any] = bulkhead.submit(executor, gate.wait)
        waiting: Future[Any] = bulkhead.submit(executor, gate.wait)
        both = bulkhead.stats().in_use
        waiting.cancel()
        one = bulkhead.stats().in_use
        gate.set()
        working.result()
    with contextlib.suppress(RuntimeError):  # it was shut down
        bulkhead.submit(executor, gate.wait)
    left = bulkhead.stats().in_use
    return Evidence((both, one, left) == (2, 1, 0), f"held {both}, then {one}, then {left}")
