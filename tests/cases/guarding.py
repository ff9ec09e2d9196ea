"""Circuit breakers in blocks, decorators, coroutines and with hooks: ours, and wrong ones."""

import threading

from perflab.contracts import guarding as contract
from perflab.patterns import CircuitBreaker
from perflab.patterns.parts.guarding import _function
from perflab.patterns.parts.news import News
from tests.cases.breaker import LeakedPlace

CONTRACT = contract


class InTheThread(CircuitBreaker):
    """What a `with` block has to remember is kept with its thread."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._blocks = threading.local()

    def __enter__(self):
        self._stack().append(self.admit())
        return self

    def __exit__(self, kind, error, trace):
        era = self._stack().pop()
        self.succeeded(era) if error is None else self.failed(era, error)

    def _stack(self):
        return self._blocks.__dict__.setdefault("stack", [])


class OneIsEnough(CircuitBreaker):
    """Closes after any good probe."""

    def __init__(self, *args, success_threshold=1, **options):
        super().__init__(*args, **options)


class OneProbe(CircuitBreaker):
    """Half-open it lets one in, whatever it was asked for."""

    def __init__(self, *args, max_probes=1, **options):
        super().__init__(*args, **options)


class AllAlike(CircuitBreaker):
    """Takes coroutine functions and generators for functions."""

    def __call__(self, fn):
        return _function(self, fn)


class IgnoresNothing(CircuitBreaker):
    """Takes whatever is ignored for a success."""

    def failed(self, era, error):
        super().failed(era, error) if self._rules.counts(error) else self.succeeded(era)


class ToldUnderTheLock(CircuitBreaker):
    """Tells of a change while it makes it."""

    def _turn(self, state, now):
        super()._turn(state, now)
        self._news.tell()


class EachItsOwn(News):
    """Whoever has news tells it."""

    def tell(self):
        while self._untold:
            self._listener(*self._untold.popleft())


class ToldByAll(CircuitBreaker):
    """Each thread tells what it has turned."""

    def __init__(self, *args, on_change=None, **options):
        super().__init__(*args, **options)
        self._news = EachItsOwn(on_change, self._lock)


FAILS = [
    (CircuitBreaker, set()),
    (InTheThread, {"tasks that take turns in `with` blocks are not mixed up"}),
    (OneIsEnough, {"with success_threshold=2 one good probe does not close it"}),
    (OneProbe, {"with max_probes=2 half-open admits two of 16"}),
    (
        AllAlike,
        {
            "a coroutine is judged when it ends, by decorator and by call",
            "a generator is judged when it ends, not when it is made",
        },
    ),
    (
        IgnoresNothing,
        {
            "an ignored error is no failure and no success",
            "a probe that ends in an ignored error gives its place back",
        },
    ),
    (
        LeakedPlace,
        {
            "a probe that ends in an ignored error gives its place back",
            "a probe whose task is cancelled gives its place back",
        },
    ),
    (
        ToldUnderTheLock,
        {
            "a hook may use the breaker, and keeps nobody waiting",
            "hooks are told in order, whichever thread turned it",
        },
    ),
    (ToldByAll, {"hooks are told in order, whichever thread turned it"}),
]

NONSENSE = {}
