"""Pipelines: ours, the guide's for both choices of its select, and wrong ones."""

import functools

from perflab.contracts import pipeline as met
from perflab.contracts.threads import eventually
from perflab.guide import pipeline as guide
from perflab.guide.parts.channels import Channel
from perflab.patterns.parts.bell import Bell, LockedBell
from perflab.patterns.parts.crew import Crew
from perflab.patterns.parts.flow import Flow
from perflab.patterns.parts.handover import DROPPED, END, STOP, UNDER_WAY
from perflab.patterns.pipeline import Pipeline, Results, filter_by, transform

CONTRACT = met


def of(pipeline, **options):
    """The function under test that a class like ours is."""
    return met.on_iterators(functools.partial(pipeline, **options), transform, filter_by)


def as_printed(choose):
    return met.on_channels(
        guide.Pipeline,
        functools.partial(guide.TransformStage, choose=choose),
        functools.partial(guide.FilterStage, choose=choose),
        Channel,
    )


def failing(*checks):
    return {one.statement for one in checks}


OF_THE_GUIDE = failing(
    met.width, met.forgotten, met.stopped, met.source_closed, met.stopped_is_told,
    met.accounted, met.stage_fails, met.source_fails, met.nothing_left,
)  # fmt: skip


class WithoutGil(Pipeline):
    """Ours as it is where the interpreter has no lock of its own."""

    _bell = LockedBell


class Unbounded(Pipeline):
    """Reads its source as fast as that gives."""

    def __init__(self, *stages, **options):
        super().__init__(*stages, **options)
        self._queue_size = 10**9


class OversleptBell(Bell):
    """The lost wake-up, forced: the source's reader finds no place, all places become free, and
    then it lies down without a second look."""

    def wait_for(self, attempt):
        flow = getattr(attempt, "__self__", None)
        if not isinstance(flow, Flow) or flow.taken < 600:  # long runs are enough
            return super().wait_for(attempt)
        eventually(lambda: flow.halted.on or flow.settled == flow.taken, 0.3)
        if flow.halted.on:
            return True
        looks = iter([None])  # the second look finds nothing, whatever is there
        return super().wait_for(lambda: next(looks, attempt()))


class Overslept(Pipeline):
    _bell = OversleptBell


class PortionsFlow(Flow):
    """Hands over four at a time: an item of a slow source waits for three more."""

    def __init__(self, *args):
        super().__init__(*args)
        held, enter = [], self._enter

        def by_fours(*entering):
            held.append(entering)
            if len(held) == 4 or entering[1] is END:
                for one in held:
                    enter(*one)
                held.clear()

        self._enter = by_fours


class Portions(Pipeline):
    _flow = PortionsFlow


class EarlyCrew(Crew):
    """Tells that an item was dropped while it still has the ticket in its hands. The consumer
    passes over it, the ticket carries another item, and that one is dropped in its stead."""

    told = False

    def _drop(self, ticket, tally):
        outcome = super()._drop(ticket, tally)
        if not self.told:
            self.told = True
            ticket.state = outcome
            eventually(lambda: ticket.state is UNDER_WAY and ticket.value % 3, 0.5)
        return outcome


class EarlyFlow(Flow):
    def _wide(self, stage, lane, onward):
        return EarlyCrew(stage, lane, onward, self.halted.set)


class Early(Pipeline):
    _flow = EarlyFlow


class DeafFlow(Flow):
    """A stop wakes everybody but the consumer."""

    def stop(self):
        self.out.bell.ring_all = lambda: None
        super().stop()


class Deaf(Pipeline):
    _flow = DeafFlow


class PoliteFlow(Flow):
    """A stop waits behind whatever waits already."""

    def stop(self):
        for crew in self.crews:
            crew.inlet.stop = functools.partial(self._put_behind, crew.inlet, crew.size)
        super().stop()

    def _put_behind(self, lane, takers):
        lane.tickets.extend([STOP] * takers)
        lane.bell.ring_all()


class Polite(Pipeline):
    _flow = PoliteFlow


def returning(results):
    """A pipeline like ours, but for its results."""

    class Other(Pipeline):
        def process(self, source):
            right = super().process(source)
            right.__class__ = results
            return right

    return of(Other)


class KeepsPlaces(Results):
    """What a filter refused keeps its place for ever."""

    def _pass_over(self, ticket):
        if ticket.state is DROPPED:
            self._dropped += 1
        else:
            super()._pass_over(ticket)


class EndsWhenStopped(Results):
    """A stop is an end like any other."""

    def close(self):
        super().close()
        self._over = StopIteration


class NeverForgotten(Results):
    """Nobody tells the threads that their consumer has gone."""

    def __del__(self):
        pass


class NoneIsTheEnd(Results):
    """An item that looks like the end is taken for it."""

    def __next__(self):
        value = super().__next__()
        if value is None:
            raise StopIteration
        return value


class ClosesOnce(Results):
    """Closed twice is an error."""

    def close(self):
        if self._over is not None:
            raise RuntimeError("closed already")
        super().close()


FAILS = [
    (of(Pipeline), set()),
    (of(WithoutGil), set()),
    (as_printed(min), OF_THE_GUIDE),
    (as_printed(max), OF_THE_GUIDE),
    (of(Pipeline, ordered=False), failing(met.order, met.order_inside, met.before_the_error)),
    (of(Unbounded), failing(met.bounded, met.bounded_reordering)),
    (of(Overslept), failing(met.like_a_loop, met.bounded_reordering)),
    (of(Portions), failing(met.prompt, met.stop_wakes)),
    (of(Early), failing(met.like_a_loop)),
    (of(Polite), failing(met.stop_overtakes)),
    (of(Deaf), failing(met.stop_wakes, met.stop_overtakes)),
    (returning(KeepsPlaces), failing(met.like_a_loop)),
    (returning(EndsWhenStopped), failing(met.stopped_is_told)),
    (returning(NeverForgotten), failing(met.forgotten)),
    (returning(NoneIsTheEnd), failing(met.nothings)),
    (returning(ClosesOnce), failing(met.stop_again)),
]

NOT_WHOLE = [None, "x", [], True, 0, -1, 1.5]
NONSENSE = {
    "Pipeline(stages)": (Pipeline, [None, 1, "x", print, []]),
    "Pipeline(queue_size)": (
        lambda bad: Pipeline(transform(str), queue_size=bad),
        [*NOT_WHOLE, float("nan")],
    ),
    "Pipeline(ordered)": (lambda bad: Pipeline(transform(str), ordered=bad), [None, 1, "x"]),
    "Pipeline.process(source)": (Pipeline(transform(str)).process, [None, 1, object()]),
    "transform(function)": (transform, [None, 1, "x"]),
    "transform(workers)": (lambda bad: transform(str, workers=bad), [*NOT_WHOLE, 10**6]),
    "transform(executor)": (lambda bad: transform(str, executor=bad), [1, "x", object()]),
    "filter_by(predicate)": (filter_by, [None, 1, "x"]),
    "filter_by(workers)": (lambda bad: filter_by(str, workers=bad), NOT_WHOLE),
}
