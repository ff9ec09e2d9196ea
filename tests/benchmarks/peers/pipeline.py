"""Pipelines: what a stage costs that does nothing, what waiting costs, how long one item takes.

An operation is a whole pipeline with all its items: set up, run to its end, and gone.
"""

import importlib.metadata
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from perflab.patterns import Pipeline, transform
from tests.benchmarks.racing import Race

QUEUE = 128
ITEMS, WAITS, SINGLE = 5_000, 800, 300  # items of an operation


def same(item):
    return item


def wait(item):
    time.sleep(0.001)
    return item


def exhaust(results):
    for _ in results:
        pass


def each_time(operation):
    """`run(n)`: the operation n times."""

    def run(n):
        for _ in range(n):
            operation()

    return run


def ours(stages, workers, function=same, items=ITEMS):
    def work():
        made = [transform(function, workers=workers) for _ in range(stages)]
        pipeline = Pipeline(*made, queue_size=QUEUE)
        return each_time(lambda: exhaust(pipeline.process(range(items))))

    return work


def pypeln():
    """Its dependency stopit asks setuptools for its own version, in a way that those no longer
    know; that is all it wants of them."""
    asked = SimpleNamespace(get_distribution=importlib.metadata.distribution)
    missing = sys.modules.setdefault("pkg_resources", asked) is asked
    try:
        import pypeln
    finally:
        if missing:
            del sys.modules["pkg_resources"]
    return pypeln.thread


def with_pypeln(stages, workers):
    def work():
        threads = pypeln()

        def operation():
            items = range(ITEMS)
            for _ in range(stages):
                items = threads.map(same, items, workers=workers, maxsize=QUEUE)
            exhaust(items)

        return each_time(operation)

    return work


def with_streamable(stages, workers):
    def work():
        from streamable import stream

        def operation():
            items = stream(range(ITEMS))
            for _ in range(stages):
                items = items.map(same, concurrency=workers)
            exhaust(items)

        return each_time(operation)

    return work


def with_aiostream():
    import asyncio

    from aiostream import pipe, stream

    async def consume():
        items = stream.range(ITEMS)
        for _ in range(3):
            items = items | pipe.map(same)
        async with items.stream() as results:
            async for _ in results:
                pass

    return each_time(lambda: asyncio.run(consume()))


def hand_written(inlet, outlet, end):
    """A stage as one writes it with queue.Queue: no errors, no stop, no count."""
    while (item := inlet.get()) is not end:
        outlet.put(same(item))
    outlet.put(end)


def with_queues():
    def operation():
        end = object()
        queues = [queue.Queue(QUEUE) for _ in range(4)]

        def produce():
            for item in range(ITEMS):
                queues[0].put(item)
            queues[0].put(end)

        threads = [threading.Thread(target=produce)]
        threads += [
            threading.Thread(target=hand_written, args=(*queues[i : i + 2], end)) for i in range(3)
        ]
        for thread in threads:
            thread.start()
        while queues[-1].get() is not end:
            pass
        for thread in threads:
            thread.join()

    return each_time(operation)


def waiting_on_threads():
    executor = ThreadPoolExecutor(8)

    run = each_time(lambda: exhaust(executor.map(wait, range(WAITS))))
    run.close = executor.shutdown
    return run


def one_by_one(pipeline_of):
    """The source gives the next item when the last one has come out."""

    def work():
        through = pipeline_of()

        def operation():
            came = threading.Lock()
            came.acquire()

            def source():
                for item in range(SINGLE):
                    yield item
                    came.acquire()

            for _ in through(source()):
                came.release()

        return each_time(operation)

    return work


def ours_by_one():
    return Pipeline(*[transform(same)] * 3, queue_size=QUEUE).process


def pypeln_by_one():
    threads = pypeln()

    def process(source):
        for _ in range(3):
            source = threads.map(same, source, maxsize=QUEUE)
        return source

    return process


RACES = [
    Race(
        f"{ITEMS:,} items, three stages of one",
        {
            "ours": ours(3, 1),
            "queue.Queue": with_queues,
            "pypeln": with_pypeln(3, 1),
            "aiostream": with_aiostream,
        },
        {"queue.Queue": 3, "pypeln": 8},
        threads=(1,),
    ),
    Race(
        f"{ITEMS:,} items, three stages of four",
        {"ours": ours(3, 4), "pypeln": with_pypeln(3, 4), "streamable": with_streamable(3, 4)},
        {"pypeln": 8, "streamable": 8},
        threads=(1,),
    ),
    Race(
        f"{ITEMS:,} items, one stage of four",
        {"ours": ours(1, 4), "pypeln": with_pypeln(1, 4), "streamable": with_streamable(1, 4)},
        {"pypeln": 8, "streamable": 8},
        threads=(1,),
    ),
    Race(
        f"{WAITS} waits of 1 ms, eight at once",
        {"ours": ours(1, 8, wait, WAITS), "ThreadPoolExecutor": waiting_on_threads},
        {"ThreadPoolExecutor": 1 / 1.05},
        threads=(1,),
    ),
    Race(
        f"{SINGLE} items, one at a time",
        {"ours": one_by_one(ours_by_one), "pypeln": one_by_one(pypeln_by_one)},
        {"pypeln": 2},
        threads=(1,),
    ),
]
