"""Chapter 1: an answer to each exercise, and wrong ones with what their hint must name."""

import statistics
import time

import numpy as np

# ── 1: take turns


def _elapsed(work, clock):
    began = clock()
    work()
    return clock() - began


def turns(a, b, clock):
    a(), b()
    ratios = []
    for number in range(40):
        if number % 2:
            second, first = _elapsed(b, clock), _elapsed(a, clock)
        else:
            first, second = _elapsed(a, clock), _elapsed(b, clock)
        ratios.append(second / first)
    even, odd = statistics.median(ratios[::2]), statistics.median(ratios[1::2])
    return (even * odd) ** 0.5


def one_after_the_other(a, b, clock):
    first = sum(_elapsed(a, clock) for _ in range(50))
    return sum(_elapsed(b, clock) for _ in range(50)) / first


def same_order_always(a, b, clock):
    a(), b()
    ratios = []
    for _ in range(50):
        first = _elapsed(a, clock)
        ratios.append(_elapsed(b, clock) / first)
    return statistics.median(ratios)


def mean_of_turns(a, b, clock):
    a(), b()
    totals = [0.0, 0.0]
    for number in range(50):
        for which in (0, 1) if number % 2 else (1, 0):
            totals[which] += _elapsed((a, b)[which], clock)
    return totals[1] / totals[0]


def upside_down(a, b, clock):
    return 1 / turns(a, b, clock)


# ── 2: the slow stage


def grouped(orders, banned):
    product_of = {}
    for order, product in orders:
        product_of.setdefault(order, product)
    out = set(banned)
    counts = {}
    for product in product_of.values():
        if product not in out:
            counts[product] = counts.get(product, 0) + 1
    return sorted(counts.items(), key=lambda pair: pair[0])


def only_the_last_stage(orders, banned):
    seen, once = [], []
    for order, product in orders:
        if order not in seen:
            seen.append(order)
            once.append(product)
    counts = {}
    for product in once:
        if product not in banned:
            counts[product] = counts.get(product, 0) + 1
    return sorted(counts.items(), key=lambda pair: pair[0])


def repeats_counted(orders, banned):
    out, counts = set(banned), {}
    for _, product in orders:
        if product not in out:
            counts[product] = counts.get(product, 0) + 1
    return sorted(counts.items(), key=lambda pair: pair[0])


def last_listed(orders, banned):
    out, counts = set(banned), {}
    for product in dict(orders).values():
        if product not in out:
            counts[product] = counts.get(product, 0) + 1
    return sorted(counts.items(), key=lambda pair: pair[0])


def different_pairs(orders, banned):
    return repeats_counted(set(orders), banned)


def as_slow(orders, banned):
    seen, once, counts = [], [], []
    for order, product in orders:
        if order not in seen:
            seen.append(order)
            once.append((order, product))
    allowed = [product for _, product in once if product not in banned]
    for product in allowed:
        if product not in [name for name, _ in counts]:
            counts.append((product, sum(1 for other in allowed if other == product)))
    return sorted(counts)


# ── 3: the highest rate


def bisected(gaps, service, target):
    def p95(rate):
        wait, responses = 0.0, []
        for gap, work in zip(gaps / rate, service, strict=True):
            wait = max(0.0, wait - gap)
            responses.append(wait + work)
            wait += work
        return sorted(responses)[int(np.ceil(0.95 * len(responses))) - 1]

    low, high = 0.0, 1 / service.mean()
    while high - low > 0.002 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if p95(middle) <= target else (low, middle)
    return low


def capacity(gaps, service, target):
    return 1 / service.mean()


def mean_instead(gaps, service, target):
    rho = 1 - service.mean() / target
    return rho / service.mean()


def without_the_wait(gaps, service, target):
    return 1 / np.percentile(service, 95)


def too_careful(gaps, service, target):
    return 0.95 * bisected(gaps, service, target)


def negative(gaps, service, target):
    return -1


# ── 4: the work that never happened


def tried_twice(functions):
    first, second = [3, 1, 4, 1, 5, 9, 2, 6] * 5, [2, 7, 1, 8, 2, 8, 1, 8] * 5
    caught = set()
    for name, function in functions.items():
        for data in (first, second):
            if function(data) != sum(value * value for value in data):
                caught.add(name)
    return caught


def the_fast_ones(functions):
    data, times = list(range(5_000)), {}
    for name, function in functions.items():
        times[name] = min(_elapsed(lambda: function(data), time.perf_counter) for _ in range(3))  # noqa: B023 - called at once
    middle = statistics.median(times.values())
    return {name for name, taken in times.items() if taken < middle / 3}


def tried_once(functions):
    data = list(range(100))
    return {name for name, f in functions.items() if f(data) != sum(v * v for v in data)}


def everyone(functions):
    return set(functions)


def a_name(functions):
    return "A"


def the_letters_of_the_table(functions):
    return {"A", "B", "C", "D", "E"}


SOLUTIONS = {1: turns, 2: grouped, 3: bisected, 4: tried_twice}
WRONG = {
    1: {
        one_after_the_other: "Take turns",
        same_order_always: "Swap the order",
        mean_of_turns: "median",
        upside_down: "on top",
    },
    2: {
        only_the_last_stage: "begin with the largest",
        repeats_counted: "listed again counts once",
        last_listed: "you count the last",
        different_pairs: "must stay identical",
        as_slow: "not faster at all",
    },
    3: {
        capacity: "never empties",
        mean_instead: "95th percentile",
        without_the_wait: "room to spare",
        too_careful: "room to spare",
        negative: "above 0",
    },
    4: {
        the_fast_ones: "«",
        tried_once: "got away",
        everyone: "Speed proves nothing",
        a_name: "a set of letters",
        the_letters_of_the_table: "«",
    },
}
