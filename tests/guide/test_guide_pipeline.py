"""The guide's pipeline: what it does right, and its leaks counted one by one."""

import random
import threading

import pytest

from perflab.contracts.threads import eventually
from perflab.guide.parts.channels import Channel
from perflab.guide.pipeline import FilterStage, Pipeline, TransformStage

CHOICES = pytest.mark.parametrize("choose", [min, max, random.Random(1).choice])


def producer(channel, items):
    """A goroutine that sends the items and closes the channel."""

    def produce():
        for item in items:
            channel.send(item)
        channel.close()

    threading.Thread(target=produce, daemon=True).start()


class Started:
    """Threads started since, that are alive."""

    def __init__(self):
        self._before = set(threading.enumerate())

    def __len__(self):
        return len(set(threading.enumerate()) - self._before)

    def become(self, count):
        return eventually(lambda: len(self) == count)


@CHOICES
def test_read_to_its_end_it_gives_what_a_loop_gives_and_leaves_nothing(choose):
    """Filter and transformation, in order; every thread ends."""
    started, source = Started(), Channel()
    stages = FilterStage(lambda n: n % 3, choose=choose), TransformStage(str, choose=choose)
    output = Pipeline(*stages).process(source)
    producer(source, range(50))
    assert list(output) == [str(n) for n in range(50) if n % 3]
    assert started.become(0)


@pytest.mark.parametrize("stages", [1, 2, 4])
@CHOICES
def test_a_consumer_that_leaves_leaves_all_stages_and_the_producer(choose, stages):
    """k stages: k + 1 threads, until somebody reads on."""
    started, source = Started(), Channel()
    made = (TransformStage(lambda n: n, choose=choose) for _ in range(stages))
    output = Pipeline(*made).process(source)
    producer(source, range(50))
    output.receive()
    assert eventually(lambda: len(source.senders) == 1)  # it is stuck, and so is all before it
    assert len(started) == stages + 1
    assert len(list(output)) == 49  # which sets them free
    assert started.become(0)


@CHOICES
def test_stop_leaves_the_producer(choose):
    """The stages end and the output closes; who sends to the first stage waits for ever."""
    started, source = Started(), Channel()
    made = Pipeline(*(TransformStage(lambda n: n, choose=choose) for _ in range(3)))
    output = made.process(source)
    producer(source, range(50))
    for _ in range(5):
        output.receive()
    made.stop()
    came = 5 + len(list(output))  # with `min` the stages prefer what is sent to them, all of it
    if choose is not min:
        assert came < 50
    assert eventually(lambda: len(started) == bool(source.senders))
    for _ in source:  # sets it free
        pass
    assert started.become(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_in_python_a_stage_that_raises_ends_its_output_as_if_complete():
    """Five of a hundred come out, and an end: in Go the process would have ended."""
    source = Channel()
    started = Started()
    output = Pipeline(TransformStage(lambda n: 1 // (n - 5))).process(source)
    producer(source, range(100))
    assert len(list(output)) == 5
    for _ in source:  # sets the producer free
        pass
    assert started.become(0)  # by then the exception has been reported, and to this test
