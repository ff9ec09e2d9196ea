"""Chapter 10: an answer to each exercise, and wrong ones with what their hint must name."""

import random
from collections import defaultdict
from statistics import fmean

from tests.solutions import payments

# ── 2: indexes under a write budget

ITEMS = "CREATE INDEX bought ON order_items (product_id, order_id)"
ORDER = "CREATE INDEX pieces ON order_items (order_id)"
CATEGORY = "CREATE INDEX related ON products (category)"


def indexes():
    return [ITEMS, ORDER, CATEGORY]


def covering():
    return [
        "CREATE INDEX bought ON order_items (product_id, order_id, quantity)",
        "CREATE INDEX pieces ON order_items (order_id, quantity)",
        CATEGORY,
    ]


def without_the_order():
    return [ITEMS, CATEGORY]


def columns_turned():
    return ["CREATE INDEX bought ON order_items (order_id, product_id)", CATEGORY]


def without_the_category():
    return [ITEMS, ORDER]


def product_alone():
    return ["CREATE INDEX bought ON order_items (product_id)", ORDER, CATEGORY]


def sorted_by_sold():
    return [ITEMS, ORDER, "CREATE INDEX related ON products (category, sold)"]


def one_for_each_column():
    columns = ("order_items (quantity)", "orders (user_id)", "orders (total)")
    more = [f"CREATE INDEX more_{n} ON {column}" for n, column in enumerate(columns)]
    return [*indexes(), *more]


def no_statements():
    return ["order_items (product_id)"]


# ── 3: a balancer for one slow server


class Learning:
    """The fewest jobs, each weighed by what its server lately took; now and then anybody."""

    def __init__(self, servers):
        self.each, self.turn, self.rng = [0.0] * servers, 0, random.Random(1)

    def choose(self, jobs):
        self.turn += 1
        if self.turn % 50 == 0:
            return self.turn // 50 % len(jobs)
        return min(
            range(len(jobs)),
            key=lambda one: ((jobs[one] + 1) * self.each[one], self.rng.random()),
        )

    def ended(self, server, seconds):
        self.each[server] += 0.2 * (seconds - self.each[server])


class RoundRobin:
    def __init__(self, servers):
        self.turn = 0

    def choose(self, jobs):
        self.turn += 1
        return self.turn % len(jobs)

    def ended(self, server, seconds):
        pass


class FewestJobs(RoundRobin):
    def choose(self, jobs):
        return jobs.index(min(jobs))


class FastestAlone(Learning):
    """Without the jobs: all run to the one that was fastest lately."""

    def choose(self, jobs):
        self.turn += 1
        if self.turn % 50 == 0:
            return self.turn // 50 % len(jobs)
        return self.each.index(min(self.each))


class NeverAgain(Learning):
    """Who was slow is not asked any more."""

    def choose(self, jobs):
        self.turn = 0
        fastest = min(self.each)
        good = [one for one in range(len(jobs)) if self.each[one] < 3 * fastest + 1]
        return min(good, key=lambda one: (jobs[one], self.rng.random()))


class TakesOneJobForItsServer(Learning):
    """Weighs the jobs by the seconds of the last one, which are mostly chance."""

    def ended(self, server, seconds):
        self.each[server] = seconds


class AsksTooOften(Learning):
    """Knows who is slow, and sends every fifth job anywhere, the slow server's queue or not."""

    def choose(self, jobs):
        if self.rng.random() < 0.2:
            return self.rng.randrange(len(jobs))
        return super().choose(jobs)


class NoServer(RoundRobin):
    def choose(self, jobs):
        return len(jobs)


# ── 4: the report that changed the data as well


def times_of(log):
    times = defaultdict(list)
    for one in log:
        times[one.product].append(one.seconds)
    return times


def honest(before, after):
    was, now = times_of(before), times_of(after)
    both = was.keys() & now.keys()
    first = sum(sum(was[product]) for product in both)
    return first / sum(len(was[product]) * fmean(now[product]) for product in both)


def as_reported(before, after):
    return fmean(one.seconds for one in before) / fmean(one.seconds for one in after)


def only_known_ones(before, after):
    """Products in both, but each report with its own visits."""
    both = times_of(before).keys() & times_of(after).keys()
    return as_reported(
        [one for one in before if one.product in both],
        [one for one in after if one.product in both],
    )


def each_alike(before, after):
    was, now = times_of(before), times_of(after)
    return fmean(fmean(was[one]) / fmean(now[one]) for one in was.keys() & now.keys())


def visits_of_the_second(before, after):
    return 1 / honest(after, before)


def in_the_first_sum_all_the_same(before, after):
    """What the second log lacks is left out after, and not before."""
    known = [one for one in before if one.product in times_of(after)]
    return honest(before, after) * all_seconds(before) / all_seconds(known)


def all_seconds(log):
    return sum(one.seconds for one in log)


def upside_down(before, after):
    return 1 / honest(before, after)


def mean_of_the_ratios(before, after):
    was, now = times_of(before), times_of(after)
    known = [one.product for one in before if one.product in now]
    return fmean(fmean(was[one]) / fmean(now[one]) for one in known)


SOLUTIONS = {1: payments.SOLUTION, 2: indexes, 3: Learning, 4: honest}
WRONG = {
    1: payments.WRONG,
    2: {
        without_the_order: "Which column does that query know",
        columns_turned: "order_items is still read",
        without_the_category: "products is still read",
        product_alone: "Which index has them in order",
        sorted_by_sold: "what changes with each order",
        one_for_each_column: "written for nothing",
        no_statements: "CREATE INDEX",
    },
    3: {
        RoundRobin: "look at the jobs",
        FastestAlone: "look at the jobs",
        FewestJobs: "Learn from `ended`",
        NeverAgain: "never asked",
        TakesOneJobForItsServer: "one long job makes no slow server",
        AsksTooOften: "one job in fifty",
        NoServer: "not a number from 0 to 3",
    },
    4: {
        as_reported: "report's own number",
        only_known_ones: "each product",
        each_alike: "Weigh each product",
        visits_of_the_second: "Weigh each product",
        mean_of_the_ratios: "the sum of the times before, divided by",
        in_the_first_sum_all_the_same: "still in the sum before",
        upside_down: "Upside down",
    },
}
