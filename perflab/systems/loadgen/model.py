"""The load generator on virtual time: the same engine and plans, against a model of a server."""

import heapq
from array import array
from collections.abc import Iterator
from typing import Any, Protocol

from perflab.errors import require
from perflab.measure.model import Answer
from perflab.measure.virtual import VirtualClock
from perflab.systems.loadgen.engine import Engine, make_plan
from perflab.systems.loadgen.progress import Tracker
from perflab.systems.loadgen.result import LoadResult
from perflab.systems.loadgen.run import result_of
from perflab.systems.loadgen.scenario import Scenario, scenario_of
from perflab.systems.loadgen.transport import Done, Outcome, Slot
from perflab.systems.loadgen.wire import ERRORS
from perflab.systems.loadgen.workload import Workload

NONE, STATUS, TIMEOUT = (ERRORS.index(kind) for kind in ("none", "status", "timeout"))


class Model(Protocol):
    """A model of a server: `perflab.measure.ModelServer`, or whatever answers like it."""

    def arrive(self, now: float) -> Answer:
        """The answer to a request that arrives now; `now` never goes back."""


class ModelTransport:
    """Asks the model for each answer and moves the clock to when it comes.

    State: the clock; what is under way, as a heap of when it ends; the status of each answer.
    """

    def __init__(self, server: Model, timeout: float, clock: VirtualClock) -> None:
        self._server, self._timeout, self._clock = server, timeout, clock
        self._coming: list[tuple[float, int, Slot, int]] = []
        self._sent = 0

    def slot(self) -> Slot:
        return Slot()

    def aim(self, slot: Slot, route: int) -> None:
        """The model knows no routes."""

    def send(self, slot: Slot) -> Done:
        answer = self._server.arrive(slot.start)
        late = answer.seconds > self._timeout
        failure = TIMEOUT if late else STATUS if answer.status >= 400 else NONE
        end = slot.start + min(answer.seconds, self._timeout)
        slot.handle = (0 if late else answer.status, answer.seconds, slot.handle is None)
        self._sent += 1  # of equals the first sent ends first
        heapq.heappush(self._coming, (end, self._sent, slot, failure))
        return ()

    def wait(self, now: float, until: float) -> Iterator[Done]:
        first = self._coming[0][0] if self._coming else until
        self._clock.now = max(now, min(first, until))
        while self._coming and self._coming[0][0] <= self._clock.now:
            _, _, slot, failure = heapq.heappop(self._coming)
            yield ((slot, failure),)

    def outcome(self, slot: Slot, failure: int) -> Outcome:
        status, seconds, opened = slot.handle
        return (0.0, 0.0, seconds if status else 0.0, 0, slot.route, status, failure, int(opened))

    def release(self, slot: Slot) -> None:
        """Nothing to give back."""


class Collector:
    """The engine's sink: straight to the tracker. State: samples not yet handed on."""

    def __init__(self, tracker: Tracker) -> None:
        self.samples, self.readings = bytearray(), bytearray()
        self._tracker = tracker

    def flush(self) -> None:
        self._tracker.add_samples(bytes(self.samples))
        self.samples.clear()


def run_model(server: Model, workload: Workload | Scenario, **options: Any) -> LoadResult:
    """Put a load on a model of a server, on virtual time, by the code that loads real ones.

        run_model(ModelServer(slots=4, service=0.005), Open(rate=700, arrivals="poisson"))

    Takes what `run_load` takes (route, warm_up, timeout, grace, connections, seed), ends at once
    and gives the same on every machine. Memory is not in the result: nothing is held. A request
    that times out is an error here while the model works on it, as servers do. ValueError for
    what is no model, and for numbers that make no sense.
    """
    arrive = getattr(server, "arrive", None)
    require(callable(arrive), "server", server, "a ModelServer, or what has its arrive(now)")
    scenario = scenario_of(workload, options)
    clock = VirtualClock(0.0 - scenario.warm_up)
    tracker = Tracker(scenario.workload, scenario.warm_up)
    sink, settings = Collector(tracker), scenario.settings("model")
    times = array("d", scenario.times().tobytes())
    transport = ModelTransport(server, scenario.timeout, clock)
    plan = make_plan(settings, times)
    engine = Engine(settings, plan, sink, transport, gauge=None, clock=clock, headstart=0.0)
    engine.run()
    sink.flush()
    return result_of(scenario, "model", tracker, {"t0": engine.t0, "not_sent": engine.not_sent()})
