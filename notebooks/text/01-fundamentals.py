# %% [markdown]
# # 1 Fundamentals
#
# **Chapter 1 of 10** · 50 minutes to read and predict · the experiments run for about 40 seconds
#
# The guide that this book puts to the test begins with a figure of metrics and five principles, the
# first of them «measure first». So this chapter measures. It asks what a number from your own
# machine is worth, which numbers tell what a user feels, and why a service that looks idle can be
# full.
#
# You need Python and a rough idea of HTTP, nothing else. Everything runs on this machine, against
# real servers that start with a cell and end with it.
#
# **You will be able to**
#
# - compare two versions so that the machine's moods do not decide;
# - say what a mean hides, and how far to trust a p99;
# - tell from a trace how many requests are in flight, and why that matters;
# - find the limit of a service whose CPU is idle;
# - say how latency grows with load, before you try it.

# %% [markdown]
# ## How to read a chapter
#
# Each section takes one **claim**. You predict, the cell runs, a figure shows latency and memory,
# and a **verdict** follows: *holds*, *does not hold*, or *inconclusive on this machine*. A verdict
# rests on evidence that is the same everywhere: counts, arithmetic, exact traces. What the clock
# showed on your machine stands below it, with its interval.
#
# Run the cells one at a time (Shift+Enter) and commit to a prediction before you run what comes
# after it. Nobody checks; but people who commit first learn more.

# %%
from time import perf_counter

import numpy as np
import pandas as pd

from perflab.book import Chapter, Interval, Place, YesNo, knob, show_source
from perflab.book.figures import fundamentals as figures
from perflab.contracts import timing
from perflab.measure import compare, trace_memory
from perflab.systems import Closed, Open, neighbour, run_load, webapp

ch = Chapter(1)

# %% [markdown]
# ## The mystery
#
# A shop takes payments through its web API. When one client asks, an answer takes 5 ms. When
# sixty-four ask at once, it takes 80 ms. Somebody looks at the server: its processor is nearly
# idle, and memory is flat. Nothing in the code has changed.
#
# Who is to blame? Vote now; the evidence comes in section 1.5.

# %%
ch.mystery(
    "Who turns 5 ms into 80 ms?",
    (
        "the processor: Python is too slow for 64 clients",
        "the network: 64 connections get in each other's way",
        "a queue: something inside has only a few places",
    ),
)

# %% [markdown]
# ## 1.1 One version after the other
#
# The usual benchmark runs version A a hundred times, then version B a hundred times, and divides.
# It treats the machine as a constant. But a machine warms up, slows down, and has neighbours.
#
# Here is that benchmark. `clock` is an argument, so that we can also hand it a clock of our own.


# %%
def blocked(a, b, clock, calls=100):
    """How many times as long b takes as a: all calls of a first, then all of b."""
    began = clock()
    for _ in range(calls):
        a()
    between = clock()
    for _ in range(calls):
        b()
    return (clock() - between) / (between - began)


# %% [markdown]
# Now a machine that drifts: each call is a little slower than the one before, so that after a
# hundred calls everything takes twice as long. A and B are **the same work**, so the true ratio is
# 1.00. What will `blocked` say?

# %%
ch.predict(
    "1.1", Place("Equal work on the drifting machine: blocked reports a ratio of", "×", (0.5, 4))
)

# %% [markdown]
# The remedy is old: take turns. `compare` runs the variants in rounds, in an order drawn anew for
# each round, and looks at the ratio within each round. If the work is equal, whoever goes first
# meets whatever the machine does first. That makes each round a fair coin, whatever the machine
# does, and an interval follows from counting coins (the signed-rank test).


# %%
def interleaved(a, b, clock):
    """The same question, answered by taking turns."""
    return compare({"a": a, "b": b}, budget_s=2000, clock=clock, seed=1).other.ratio


# %% [markdown]
# A **contract** is a list of checks of what must hold. Each check below puts both functions on a
# model machine on virtual time: no real clock is involved, so the result is the same everywhere.

# %% tags=["nbval-check-output"]
ch.contract(timing, blocked=blocked, interleaved=interleaved)

# %% [markdown]
# The blocked benchmark passes on a steady machine and fails on all that real machines do. Taking
# turns passes every check, and it still finds a true difference.
#
# That was a model. Now the real machine: the same function twice, and in the middle of the run a
# neighbour starts to compute in another thread. First blocked, then by turns.


# %%
def work():
    """Some ten milliseconds of plain Python."""
    return sum(number * number for number in range(150_000))


def timed(calls):
    """The time of each call."""
    times = []
    for _ in range(calls):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return np.array(times)


# %%
calls = ch.pick(quick=50, full=300)
came = calls * np.median(timed(5))
with trace_memory() as memory, neighbour(after=came):
    first, second = timed(calls), timed(calls)
apparent = second.mean() / first.mean()

with neighbour(after=came):
    turns = compare({"first": work, "second": work}, budget_s=5 * came)
print(turns)

# %%
figures.step(ch, first, second, memory.trace, came)

# %% [markdown]
# «first» and «second» are one and the same function. The step between them is the neighbour. A
# benchmark that runs one after the other cannot know that, and puts the whole step on the second
# version. Memory is flat: nothing in the code explains the difference. `compare`, printed above,
# met the same neighbour and gives the second function a ratio near 1, with an interval that tells
# how hard the neighbour made it to see.

# %% tags=["nbval-check-output"]
by_blocks = timing.measured(blocked, timing.drifting)
by_turns = timing.measured(interleaved, timing.drifting)
ch.verdict(
    "1.1",
    abs(by_blocks - 1) < 0.05,
    {
        "equal work on the drifting clock, blocked": f"{by_blocks:.2f}×",
        "equal work on the drifting clock, by turns": f"{by_turns:.2f}×",
    },
)

# %%
again = turns.other
ch.measured(
    "1.1",
    f"same code twice beside a neighbour: blocked {apparent:.2f}×, "
    f"by turns {again.ratio:.2f}× ({again.low:.2f}–{again.high:.2f})",
    holds=bool(again.low <= apparent <= again.high),
    outcome=by_blocks,
)

# %% [markdown]
# **What to do.** Take turns, in random order, and report a ratio with an interval. Exercise 1 lets
# you write such a function yourself; the contract above is the judge.

# %% [markdown]
# ## 1.2 What the mean hides
#
# «The average answer takes 2 ms» sounds like a promise to every user. This is the shop's product
# page. Most pages are a row by its key. For one product in a hundred the number sold was not
# counted beforehand, so the page counts it: a scan of all order items, real work.
#
# The mean will look good. What about the slowest hundredth of all requests: from how many
# milliseconds on does it begin?

# %%
ch.predict(
    "1.2", Interval("p99 of the product page, while its median is near 1 ms", "ms", (0.5, 500))
)

# %%
products = [f"/products/{number}" for number in range(1, 1001)]
visits = Open(rate=400, duration=ch.pick(quick=4, full=30), arrivals="poisson")
with webapp(slow_every=100) as shop:
    live = ch.live("product pages")
    pages = run_load(shop, visits, route=products, warm_up=0.5, watch=live)
pages

# %%
figures.long_tail(ch, pages)

# %% [markdown]
# Read the curve from the left: how many requests are still unanswered after so long? It falls
# steeply, then it runs on to the right at one in a hundred: the pages that count. The mean lies
# between the two groups and describes neither.
#
# And the slow requests do not stay with a few unlucky users. A page in a shop makes many requests:
# prices, pictures, reviews. Say 100. The chance that all of them miss the slowest hundredth is
# 0.99¹⁰⁰, or 37 %. The run below makes 50 pages of 100 requests each, in an order drawn from a
# fixed seed, and counts the pages that met a slow one.

# %%
with webapp(slow_every=100) as shop:
    fifty = run_load(shop, Closed(users=8, requests=5_000), route=products, seed=1)

# %% tags=["nbval-check-output"]
slow_path = np.array([number % 100 == 0 for number in range(1, 1001)])
asked = slow_path[fifty.route].reshape(50, 100)
meets = 1 - 0.99**100
ch.verdict(
    "1.2",
    meets < 0.05,
    {
        "pages of 100 requests that meet the slowest hundredth": f"{100 * meets:.0f} %",
        "the same, counted in 50 live pages": f"{asked.any(axis=1).sum()} of 50",
        "requests that took the slow path": f"{asked.sum()} of {asked.size:,}",
    },
)

# %%
from perflab.measure import percentile_interval

answered = pages.response_time[pages.ok]
mean, p50, p99 = answered.mean(), pages.percentile(50), pages.percentile(99)
low, high = percentile_interval(answered, 99)
ch.measured(
    "1.2",
    f"mean {mean * 1e3:.2f} ms, median {p50 * 1e3:.2f} ms, "
    f"p99 {p99 * 1e3:.1f} ms ({low * 1e3:.1f}–{high * 1e3:.1f})",
    holds=bool(low <= mean <= high),
    outcome=p99 * 1e3,
)

# %% [markdown]
# **A percentile has an interval too.** A p99 rests on the slowest hundredth of the samples; with
# few samples that is a handful of requests. Draw samples from the run above again and again, and
# take the p99 of each: nine out of ten lie between these multiples of the run's own.


# %%
def spread(size, times=400):
    """Where nine out of ten p99s of so many samples lie, as multiples of the run's own."""
    drawn = np.random.default_rng(1).choice(answered, (times, size))
    p99s = np.percentile(drawn, 99, axis=1, method="inverted_cdf") / p99
    return dict(zip(("from", "to"), np.quantile(p99s, (0.05, 0.95)).round(2), strict=True))


pd.DataFrame({f"{size:,} samples": spread(size) for size in (100, 1_000, 10_000)}).T

# %% [markdown]
# From 100 samples a p99 is close to a lottery ticket: it is the slowest or the second slowest
# request of the lot. That is why `percentile` in this book refuses a percentile with fewer than ten
# samples beyond it.

# %% [markdown]
# ## 1.3 The mean of percentiles
#
# A dashboard keeps one p99 per minute. For the hour it shows their mean. Take 59 quiet minutes with
# 1,000 requests each, 1 to 100 ms, and one busy minute with 20,000 requests, 1 to 2,000 ms.

# %%
from perflab.measure import LatencyHistogram, percentile

quiet = np.linspace(0.001, 0.1, 1_000)
busy = np.linspace(0.001, 2.0, 20_000)
minutes = [quiet] * 59 + [busy]
of_means = np.mean([percentile(minute, 99) for minute in minutes])
of_all = percentile(np.concatenate(minutes), 99)

merged = LatencyHistogram()
for minute in minutes:
    one = LatencyHistogram()
    one.record_many(minute)
    merged.merge(one)
of_merged = merged.percentile(99)

# %% tags=["nbval-check-output"]
ch.verdict(
    "1.3",
    abs(of_means / of_all - 1) < 0.05,
    {
        "mean of sixty p99s": f"{of_means * 1e3:,.0f} ms",
        "p99 of the hour": f"{of_all * 1e3:,.0f} ms",
        "p99 of sixty merged histograms, within 1 % of it": abs(of_merged / of_all - 1) < 0.01,
        "a histogram, in tenths of the busy minute's samples": 10 * merged.nbytes // busy.nbytes,
    },
)

# %% [markdown]
# The mean gives each minute one vote, the busy minute too, although a quarter of all users were in
# it. Percentiles do not add up. Histograms do: keep counts per bucket, merge the counts, and ask
# for the percentile last.

# %% [markdown]
# ## 1.4 The metric that is missing
#
# The guide's figure of key metrics shows latency (P50 100 ms, P95 500 ms, P99 1,000 ms), throughput
# (10,000 requests a second) and utilisation. It does not say how many requests are in the system at
# once. Pools, threads, memory and connections are all sized by that number.

# %%
ch.predict(
    "1.4",
    YesNo("Do those percentiles and that rate tell, within 10 %, how many requests are in flight?"),
)

# %% [markdown]
# Little's law says: requests in flight = arrival rate × mean time in the system. It needs the mean,
# and percentiles only bound it. Below are two sets of latencies with exactly the guide's P50, P95
# and P99: one with everything as low as these allow, one with everything as high.

# %%
fewest = np.repeat([0.0, 0.1, 0.5, 1.0], [49_999, 45_000, 4_000, 1_001])
most = np.repeat([0.1, 0.5, 1.0], [50_000, 45_000, 5_000])
for name, latencies in {"fewest": fewest, "most": most}.items():
    told = [percentile(latencies, p) * 1e3 for p in (50, 95, 99)]
    print(f"{name}: p50, p95, p99 = {told} ms, mean {latencies.mean() * 1e3:.0f} ms")

# %% [markdown]
# Now a live run, to see the law at work: the shop's payment page, with payments that arrive at
# random, as people do. The load generator writes down when each request started and ended. The
# number in flight is counted from these comings and goings alone.

# %%
from perflab.measure import in_flight

coming = Open(rate=500, duration=ch.pick(quick=3, full=15), arrivals="poisson")
with webapp(slots=4, service_ms=5) as shop:
    payments = run_load(shop, coming, route="/pay", watch=ch.live("payments at 500/s"))
start_ns = (payments.start * 1e9).astype(np.int64)
end_ns = (payments.end * 1e9).astype(np.int64)
flying = in_flight(start_ns, end_ns)

# %%
figures.flying(ch, payments, flying)

# %% [markdown]
# The middle panel is what the guide's figure lacks. Where it rises, latency above rises with it.

# %% tags=["nbval-check-output"]
rate = 10_000
stays = int((end_ns - start_ns).sum())
ch.verdict(
    "1.4",
    most.mean() < 1.1 * fewest.mean(),
    {
        "in flight at 10,000/s with these percentiles, at least": f"{rate * fewest.mean():,.0f}",
        "with the same percentiles it can be": f"{rate * most.mean():,.0f}",
        "live trace: area under the in-flight curve = sum of all stays": flying.area_ns == stays,
    },
)

# %%
seconds = (flying.time_ns[-1] - flying.time_ns[0]) / 1e9
arrivals = len(payments.start) / seconds
stay = (end_ns - start_ns).mean() / 1e9
ch.measured(
    "1.4",
    f"{arrivals:,.0f}/s × {stay * 1e3:.2f} ms = {arrivals * stay:.2f} in flight; "
    f"counted {flying.mean:.2f}",
    outcome="yes" if most.mean() < 1.1 * fewest.mean() else "no",
)

# %% [markdown]
# The two agree to the last nanosecond, and they have to: Little's law is no approximation. Each
# request adds its own stay to the area under the curve. Use it wherever two of the three are known.

# %% [markdown]
# ## 1.5 Idle, and full
#
# Back to the mystery. The payment page calls a remote party, another company's computer. That one
# is **modelled here**: it takes time and none of our processor. Everything on our side of it is
# real. Four clients get several hundred payments a second. How many do sixty-four get?

# %%
ch.predict("1.5", Interval("Payments a second with 64 clients", "/s", (50, 20_000)))

# %%
seconds, runs = ch.pick(quick=0.8, full=5), {}
with webapp(slots=4, service_ms=5) as shop:
    for users in (1, 2, 4, 8, 16, 32, 64):
        shop.reset_trace()
        live = ch.live(f"clients: {users}")
        runs[users] = run_load(shop, Closed(users, seconds), route="/pay", warm_up=0.2, watch=live)
    trace = shop.trace()

# %%
figures.clients(ch, runs, most=4 / 0.005)

# %% [markdown]
# Up to four clients every new one adds throughput. From there on it adds nothing but waiting: the
# line of latency bends up just where the line of throughput goes flat. Processor and memory do not
# know about it.
#
# The remote party has four places, and a call holds one for 5 ms. Its trace tells for each call
# when it came, when it got a place, and when it left.

# %%
waiting = in_flight(trace.arrival_ns, trace.started_ns)
holding = in_flight(trace.started_ns, trace.finished_ns)
taken = holding.at(waiting.time_ns[waiting.count > 0])

# %% tags=["nbval-check-output"]
ch.verdict(
    "1.5",
    bool((taken < 4).any()),
    {
        "places taken whenever somebody waited": f"{taken.min()} of 4",
        "more than four at once": bool((holding.count > 4).any()),
    },
)

# %%
four, many = runs[4], runs[64]
ch.measured(
    "1.5",
    f"64 clients: {many.throughput:,.0f}/s, {many.percentile(50) * 1e3:.0f} ms, "
    f"CPU {100 * many.server_cpu:.0f} % of a core; "
    f"4 clients: {four.throughput:,.0f}/s, {four.percentile(50) * 1e3:.1f} ms",
    holds=bool(many.throughput > 2 * four.throughput),
    outcome=many.throughput,
)
ch.solved("a queue: something inside has only a few places")

# %% [markdown]
# **The mystery is solved.** Whenever a payment waited, all four places were taken: the remote party
# was 100 % busy while the processor idled. Utilisation of the *wrong* resource says nothing. Ask
# what a request can wait for (connections, threads, locks, places), and measure how much of *that*
# is taken.
#
# **Turn it.** How many places do 64 clients need, and what does it cost in CPU? Move the knob.


# %%
def places(slots=16, users=64):
    """The same load on a remote party with more places."""
    with webapp(slots=slots, service_ms=5) as shop:
        result = run_load(shop, Closed(users, duration=0.8), route="/pay", warm_up=0.2)
    print(
        f"{slots} places, {users} clients: {result.throughput:,.0f}/s, "
        f"p50 {result.percentile(50) * 1e3:.1f} ms, CPU {100 * result.server_cpu:.0f} % of a core"
    )


knob(places, slots=(1, 64), users=(1, 128))

# %% [markdown]
# ## 1.6 Latency and load
#
# One place now, random arrivals, random service times of 5 ms on average. At a utilisation of 30 %
# an answer takes 7 ms on average. Triple the load, to 90 %. How long does it take now, on average
# over a long run?

# %%
ch.predict("1.6", Interval("Mean response time at 90 % utilisation", "ms", (5, 500)))

# %%
loads = (0.3, 0.5, 0.7, 0.9)
seconds, offered, traces = ch.pick(quick=2.0, full=30), {}, {}
with webapp(slots=1, service_ms=5, service="exponential") as shop:
    for load in loads:
        shop.reset_trace()
        arrivals = Open(rate=load / 0.005, duration=seconds, arrivals="poisson")
        live = ch.live(f"utilisation {load:.0%}")
        offered[load] = run_load(shop, arrivals, route="/pay", warm_up=0.3, grace=2, watch=live)
        traces[load] = shop.trace()

# %% [markdown]
# A single place, first come, first served, can be computed: a request waits for what the one before
# it still had to wait and to work, less the gap between the two (Lindley's recursion, 1952). From
# the recorded arrivals and service times it has to give back the recorded response times. From
# random numbers it gives the long-run mean that a short live run can only guess at.

# %%
from perflab.measure import response_times

show_source(response_times)


# %%
def recomputed(trace):
    """Whether Lindley's recursion gives back each recorded response time, to the nanosecond."""
    gaps = np.diff(trace.arrival_ns, prepend=trace.arrival_ns[0])
    computed = response_times(gaps, trace.finished_ns - trace.started_ns)
    return np.array_equal(computed, trace.finished_ns - trace.arrival_ns)


def simulated(load, seed, requests=200_000):
    """Mean response time in ms of a long run at this utilisation, by Lindley's recursion."""
    arrivals, service = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    gaps = arrivals.exponential(5 / load, requests)
    return response_times(gaps, service.exponential(5, requests)).mean()


# %%
long_run = [simulated(load, seed=1) for load in loads]
figures.load(ch, offered, traces, long_run)

# %% [markdown]
# Theory and long simulation lie on each other. The live points scatter around them, and most of all
# at 90 %: near full load the queue breathes so slowly that a few seconds show only a part of one
# breath. That is a lesson of its own. A short test near saturation says little about the long run.

# %% tags=["nbval-check-output"]
agree = sum(recomputed(trace) for trace in traces.values())
growth = [simulated(0.9, seed) / simulated(0.3, seed) for seed in (1, 2, 3)]
ch.verdict(
    "1.6",
    max(growth) < 3.5,
    {
        "3× the load, at least 5× the latency, in each of three seeded runs": min(growth) > 5,
        "live traces that Lindley's recursion gives back to the nanosecond": f"{agree} of 4",
    },
)

# %%
seen = [f"{trace.response.mean() * 1e3:.1f} ms" for trace in traces.values()]
ch.measured(
    "1.6",
    f"live, {ch.pick(quick=2.0, full=30)} s each: "
    + ", ".join(f"{mean} at {load:.0%}" for load, mean in zip(loads, seen, strict=True)),
    outcome=long_run[-1],
)

# %% [markdown]
# **What to do.** Plan for the utilisation at which latency is still acceptable, not for 100 %. From
# 90 % to 95 % the wait doubles again; the last tenth of a machine is the dearest. Exercise 3 asks
# for the highest rate that keeps a promise.

# %% [markdown]
# ## 1.7 Two fixes
#
# One fix makes a program four times as fast, another one 1.2 times. Both together: 4.8 times? The
# program below finds names in a list, then sorts what it found. We count looks at names instead of
# seconds, so the result is exact.

# %%
from bisect import bisect_left

from perflab.measure import Counted


def scan(names, wanted):
    """Find by looking at one after the other."""
    return [next(name for name in names if name == one) for one in wanted]


def search(names, wanted):
    """Find by halving: the names are sorted."""
    return [names[bisect_left(names, one)] for one in wanted]


def insertion(found):
    """Sort by putting each in its place from the left."""
    placed = []
    for one in found:
        at = next((i for i, other in enumerate(placed) if one < other), len(placed))
        placed.insert(at, one)
    return placed


def looks(find, order):
    """The looks at names that the whole program takes."""
    names = [Counted(number) for number in range(400)]
    before = Counted.looks
    order(find(names, [Counted(number * 149 % 400) for number in range(200)]))
    return Counted.looks - before


# %%
base = looks(scan, insertion)
gains = pd.Series(
    {
        "find by halving": base / looks(search, insertion),
        "sort better": base / looks(scan, sorted),
        "both": base / looks(search, sorted),
    },
    name="times fewer looks",
)
gains.round(2).to_frame()

# %% tags=["nbval-check-output"]
product = gains["find by halving"] * gains["sort better"]
ch.verdict(
    "1.7",
    abs(gains["both"] / product - 1) < 0.1,
    {
        "the product of the two gains": f"{product:.1f}×",
        "both together, more than twice that": gains["both"] > 2 * product,
    },
)

# %% [markdown]
# Each fix alone leaves the other stage in place, and that stage hides the gain. Together they do
# more than their product. The same arithmetic bounds a single fix from above (Amdahl's law): mend
# the larger stage first.
#
# In a pipeline whose stages run at the same time it is sharper still: only the slowest counts. This
# one is asyncio code on virtual time; a simulated minute takes a moment.

# %%
import asyncio

from perflab.measure import run_virtual


async def line(first_ms, second_ms, seconds=60):
    """Items that leave two stages, which work at the same time, in so many virtual seconds."""
    between, done = asyncio.Queue(maxsize=1), 0

    async def stage_one():
        while True:
            await asyncio.sleep(first_ms / 1e3)
            await between.put("item")

    producer = asyncio.create_task(stage_one())
    loop = asyncio.get_running_loop()
    while loop.time() < seconds:
        await between.get()
        await asyncio.sleep(second_ms / 1e3)
        done += 1
    producer.cancel()
    return done


before, fast, slow = (run_virtual(line(*ms)) for ms in ((2.6, 5), (1.3, 5), (2.6, 2.5)))
print(f"halve the fast stage: {fast / before:.2f}×")
print(f"halve the slow stage: {slow / before:.2f}×, and now the other one is the slowest")

# %% [markdown]
# ## 1.8 Trade-offs
#
# Writing orders to disk costs a commit each. Put more orders into one commit and the rate rises,
# but each order waits for the whole batch. SQLite tells us about every commit that it makes.

# %%
import sqlite3
import tempfile
from pathlib import Path


def write(rows, size, folder):
    """Write so many orders in batches of this size; the seconds it took, and the commits."""
    commits = []
    orders = sqlite3.connect(Path(folder) / f"batches of {size}.db", isolation_level=None)
    orders.execute("create table orders (id integer primary key, total real)")
    orders.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    began = perf_counter()
    for _ in range(rows // size):
        orders.execute("BEGIN")
        orders.executemany("insert into orders (total) values (?)", [(9.5,)] * size)
        orders.execute("COMMIT")
    seconds = perf_counter() - began
    orders.close()
    return seconds, len(commits)


rows, lines = ch.pick(quick=100, full=2_000), {}
with tempfile.TemporaryDirectory() as folder:
    for size in (1, 10, 100):
        seconds, commits = write(rows, size, folder)
        lines[size] = {
            "commits": commits,
            "rows/s": rows / seconds,
            "ms a commit": 1e3 * seconds / commits,
        }
batches = pd.DataFrame(lines).T.rename_axis("rows a commit")
batches.round(2)

# %% tags=["nbval-check-output"]
per_hundred = (100 * batches["commits"] / rows).astype(int)
ch.verdict(
    "1.8",
    bool((per_hundred * per_hundred.index == 100).all()),
    {f"commits for 100 rows, {size} at a time": count for size, count in per_hundred.items()},
)

# %%
single, large = batches.iloc[0], batches.iloc[-1]
ch.measured(
    "1.8",
    f"batches of 100: {large['rows/s'] / single['rows/s']:.0f}× the rows a second; "
    f"a commit takes {large['ms a commit']:.2f} ms instead of {single['ms a commit']:.2f}",
    holds=bool(large["rows/s"] > single["rows/s"] and large["ms a commit"] > single["ms a commit"]),
)

# %% [markdown]
# Two more trades from the guide's list, in one table: memory for time (a set beside the list that
# it duplicates), and the choice of a structure by its size.

# %%
from sys import getsizeof


def membership(size):
    """How long «is it in there?» takes in a set, as a multiple of a list, and what both weigh."""
    as_list = list(range(size))
    as_set = set(as_list)
    seen = compare(
        {
            "list": lambda: [number in as_list for number in range(size)],
            "set": lambda: [number in as_set for number in range(size)],
        },
        budget_s=0.3,
    ).other
    return {
        "time, set ÷ list": f"{seen.ratio:.3f} ({seen.low:.3f}–{seen.high:.3f})",
        "verdict": seen.verdict,
        "bytes of the list": getsizeof(as_list),
        "bytes of the set": getsizeof(as_set),
    }


pd.DataFrame({size: membership(size) for size in (1, 8, 64, 1_024)}).T.rename_axis("items")

# %% [markdown]
# The set pays where there is something to search. It always costs memory. No rule of thumb says
# where the line is; a table like this one does.

# %% [markdown]
# ## 1.9 Two runs that differ
#
# Last week's run took 102 ms, today's 108. Did the code get slower? Below, 40 teams run **the same
# code** twice on a noisy machine and raise the alarm at 2.5 %. Another 40 compare code that really
# is 5 % slower. The noise comes from a seed and passes on a clock of its own.

# %%
from perflab.measure import VirtualClock

NOISE = 0.03


def one_pair(slower, team):
    """One run of each; an alarm if the second took 2.5 % longer."""
    rng = np.random.default_rng(team)
    return slower * rng.lognormal(0, NOISE) > 1.025 * rng.lognormal(0, NOISE)


def by_turns(slower, team):
    """The same noise, some thirty rounds by turns; an alarm if the whole interval is above 1."""
    rng, clock = np.random.default_rng(team), VirtualClock()

    def costing(factor):
        return lambda: clock.advance(factor * rng.lognormal(0, NOISE))

    both = {"before": costing(1.0), "after": costing(slower)}
    return compare(both, budget_s=60, clock=clock, seed=team).other.verdict == "slower"


alarms = pd.DataFrame(
    {
        method.__name__: [sum(method(slower, team) for team in range(40)) for slower in (1.0, 1.05)]
        for method in (one_pair, by_turns)
    },
    index=["same code", "5 % slower"],
).rename_axis("alarms among 40 teams")
alarms

# %% tags=["nbval-check-output"]
false, true = alarms.loc["same code"], alarms.loc["5 % slower"]
ch.verdict(
    "1.9",
    bool(false["one_pair"] == 0),
    {
        "one pair of runs: false alarms, more than 1 in 10": bool(false["one_pair"] > 4),
        "by turns: false alarms, at most 1 in 40": bool(false["by_turns"] <= 1),
        "one pair of runs: real slowdowns missed, more than 1 in 10": bool(true["one_pair"] < 36),
        "by turns: real slowdowns missed, at most 1 in 10": bool(true["by_turns"] >= 36),
    },
)

# %% [markdown]
# A single pair of runs raises false alarms *and* misses real ones. When you cannot take turns,
# since last week's code ran last week, at least compare like with like: the same experiment, on the
# same machine. The book keeps your runs in `my/book.db` for that, and refuses to compare two
# machines.

# %%
ch.against_baseline(
    "1.9", "payments, 4 clients", p50_ms=runs[4].percentile(50) * 1e3, rate=runs[4].throughput
)

# %% [markdown]
# ## 1.10 Resources beside latency
#
# No claim here, only a view that the rest of the book uses: one run, one time axis, latency above,
# resources below. Payments arrive at 300, 600 and 1,000 a second, a second each. Four places can
# serve 800.

# %%
steps = np.concatenate(
    [at + np.arange(0, 1, 1 / rate) for at, rate in enumerate((300, 600, 1_000))]
)
with webapp(slots=4, service_ms=5) as shop:
    stepped = run_load(shop, Open(arrivals=steps), route="/pay", grace=3, watch=ch.live("steps"))

# %%
figures.steps(ch, stepped)

# %% [markdown]
# ## Exercises
#
# Each cell runs as it stands and says «not attempted». Replace the body of the function. Use what
# you like of Python and numpy, but nothing of `perflab`.
#
# **Exercise 1: take turns.** Write `ratio`: how many times as long `b()` takes as `a()`. `clock()`
# tells the time in seconds. It has to pass every check of the contract that `blocked` failed in
# 1.1.


# %%
def ratio(a, b, clock):
    raise NotImplementedError("your turn")


ch.check(1, ratio)

# %% [markdown]
# **Exercise 2: the slow stage.** `sold` counts how often each product was sold. Write a version
# that returns exactly the same and takes at most a fifth of the looks at keys. Look at the stages
# first: which one takes most of them?

# %%
from perflab.book.exercises.fundamentals import candidates, sold

show_source(sold)


# %%
def faster(orders, banned):
    raise NotImplementedError("your turn")


ch.check(2, faster)

# %% [markdown]
# **Exercise 3: the highest rate.** You promise that 95 % of all answers take at most 50 ms. `gaps`
# are the gaps between arrivals at a rate of *one* a second (divide by a rate to get its gaps),
# `service` the service times, both in seconds, one place, first come, first served. Return the
# highest rate that keeps the promise, within 2 %. `some_traffic(seed)` gives you both to try.


# %%
from perflab.book.exercises.fundamentals import some_traffic

gaps, service = some_traffic(seed=1)
print(f"{len(gaps):,} requests, mean service time {1e3 * service.mean():.1f} ms")


def highest_rate(gaps, service, target):
    raise NotImplementedError("your turn")


ch.check(3, highest_rate)

# %% [markdown]
# **Exercise 4: the work that never happened.** Eight functions say that they sum the squares of a
# list. A benchmark of them gives the table below. Some of them never do the work.

# %%
import timeit

data = list(range(50_000))
microseconds = {
    name: 1e6 * min(timeit.repeat(lambda: function(data), number=1, repeat=3))  # noqa: B023
    for name, function in candidates().items()
}
pd.Series(microseconds, name="µs").round(1).sort_values().to_frame()

# %% [markdown]
# Write `liars`: given the functions by name, return the names of those that did not do the work. It
# is tried on a fresh set of the same eight functions. Being fast is no crime.


# %%
def liars(functions):
    raise NotImplementedError("your turn")


ch.check(4, liars)

# %% [markdown]
# ## Scoreboard

# %%
ch.scoreboard()

# %% [markdown]
# ## What to remember
#
# - A machine is not a constant. Take turns, in random order; report a ratio with an interval.
# - A mean describes nobody. Of pages with 100 requests, 63 % meet the slowest hundredth.
# - Percentiles do not average. Merge histograms.
# - In flight = rate × time, exactly. It is the number that pools and memory are sized by.
# - A service is full when the thing that its requests wait for is full, whatever the CPU says.
# - Latency grows as 1 ÷ (1 − ρ), not in proportion. The last tenth of capacity is the dearest.
# - A fix is worth what the rest of the program leaves of it.
# - Two runs are two runs. One pair proves nothing.
