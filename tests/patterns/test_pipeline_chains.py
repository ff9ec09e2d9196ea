"""Any chain of stages, of any widths and bounds, against the loop that does the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.errors import StageError
from perflab.patterns.parts.bell import LockedBell
from perflab.patterns.pipeline import Pipeline, filter_by, transform


class Locked(Pipeline):
    """The path without a GIL."""

    _bell = LockedBell


BOTH = pytest.mark.parametrize("pipeline", [Pipeline, Locked])


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4
)


def chain(steps):
    """Stages, and the loop that does the same."""
    stages = [
        filter_by(lambda n, k=k: n % (k + 1), workers=workers)
        if filters
        else transform(lambda n, k=k: n * 3 + k, workers=workers)
        for filters, workers, k in steps
    ]

    def loop(items):
        for filters, _, k in steps:
            items = [n for n in items if n % (k + 1)] if filters else [n * 3 + k for n in items]
        return items

    return stages, loop


@BOTH
@given(STEPS, st.integers(0, 30), st.integers(1, 5), st.booleans())
def test_any_chain_gives_what_a_loop_gives(pipeline, steps, size, queue_size, ordered):
    """Nothing lost, nothing twice; in order where order was asked for."""
    stages, loop = chain(steps)
    with pipeline(*stages, queue_size=queue_size, ordered=ordered).process(range(size)) as results:
        found = list(results)
    true = loop(range(size))
    assert (found if ordered else sorted(found)) == (true if ordered else sorted(true))
    stats = results.stats()
    assert (stats.taken, stats.unfinished) == (size, 0)
    assert stats.dropped == sum(one.dropped for one in stats.stages) == size - len(true)


@BOTH
@given(STEPS, st.integers(1, 30), st.integers(1, 5), st.data())
def test_any_chain_that_fails_has_delivered_what_came_before(
    pipeline, steps, size, queue_size, data
):
    """The first item in order that fails is the one that is told."""
    bad = data.draw(st.integers(0, size - 1))

    def check(item):
        if item >= bad:
            raise ArithmeticError
        return item

    stages, loop = chain(steps)
    whole = pipeline(transform(check, workers=steps[0][1]), *stages, queue_size=queue_size)
    found = []
    with whole.process(range(size)) as results, pytest.raises(StageError) as caught:
        found.extend(results)
    assert caught.value.item == bad
    assert found == loop(range(bad))
