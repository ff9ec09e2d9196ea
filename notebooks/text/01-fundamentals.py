# %% [markdown]
# # 1 Fundamentals
#
# **Chapter 1 of 10** · 50 minutes to read and predict, exercises apart · the experiments run for
# about a minute
#
# This book takes a performance guide of the kind that teams pass around, some 1,400 lines of advice
# and code for backends, and puts its claims to the test. The guide begins with a figure of metrics
# and the principle «measure first». So this chapter measures: what is a number from your own
# machine worth, which numbers tell what a user feels, and where does the time of a slow answer go?
#
# You need Python and a rough idea of HTTP. Everything runs on this machine, against real servers
# that start with a cell and end with it.
#
# **You will be able to**
#
# - compare two versions so that the machine's changes do not decide;
# - say what a mean hides, and how far to trust a p99;
# - tell how many requests are in flight, and why that matters;
# - find out what a slow service waits for;
# - say how latency grows with load, before you try it.

# %% [markdown]
# ## How to read a chapter
#
# Each section takes one **claim**. You predict, the cell runs, and a **verdict** follows: *holds*,
# *does not hold*, or, where only the clock can tell and it cannot, *inconclusive on this machine*.
# A verdict rests on evidence that is the same everywhere: counts, arithmetic, exact traces. What
# the clock showed on your machine stands below it, with its interval.
#
# Run the cells one at a time (Shift+Enter). Where a question appears, answer it in the form below
# it, or in code: `mine=(3, 20)` for a range, `mine=1.5` for a number, `mine=("no", 80)` for a
# choice of which you are 80 % sure. A narrow range that holds the result scores more than a wide
# one; a confidence pays when it is honest. Nobody checks, but people who commit first learn more.
#
# Two words come up all the time. The **p99** is the latency that 99 of 100 requests do not exceed;
# the **p50** is the median.

# %%
from time import perf_counter

import numpy as np
import pandas as pd

from perflab.book import Chapter, Interval, Place, YesNo, knob
from perflab.book.figures import fundamentals as figures
from perflab.contracts import timing
from perflab.measure import compare, trace_memory
from perflab.systems import Closed, Open, neighbour, run_load, webapp

ch = Chapter(1)

# %% [markdown]
# ## The mystery
#
# A shop takes payments through its web API. When one client asks, an answer takes about 5 ms. When
# sixty-four ask at once, it takes more than ten times as long. The operators look at the server:
# its processor is mostly idle, memory is flat, and nothing in the code has changed.
#
# What makes them wait? Vote now; the evidence comes in section 1.5.

# %%
ch.mystery(
    "What makes sixty-four clients wait?",
    (
        "the interpreter: one lock, and sixty-four requests that want it",
        "the network: sixty-four connections get in each other's way",
        "a queue: something behind the API takes only a few at a time",
    ),
)

# %% [markdown]
# ## 1.1 One version after the other
#
# > **Claim 1.1** Timing one version after the other tells which is faster.
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
# Now a machine that drifts: each call takes 0.7 % longer than the one before, so that the time
# doubles every hundred calls. A and B are **the same work**, so the true ratio is 1.00. What will
# `blocked` say?

# %%
ch.predict("1.1", Place("Equal work on the drifting machine: blocked says", "×", (0.5, 4)))

# %% [markdown]
# The remedy is old: take turns. `compare` runs the variants in rounds, in an order drawn anew for
# each round, and takes the ratio within each round. If the work is equal, the second is as likely
# to come out faster as slower in any round, whatever the machine does. From how lopsided the rounds
# are it computes an interval (the signed-rank test). It says «same» where the whole interval lies
# within 3 % of 1, «faster» or «slower» where it lies on one side, else «inconclusive».


# %%
def interleaved(a, b, clock):
    """The same question, answered by taking turns."""
    return compare({"a": a, "b": b}, budget_s=2000, clock=clock, seed=1).other.ratio


# %% [markdown]
# A **contract** is a list of checks of what must hold. Each check below puts both functions on a
# model of a machine, on virtual time: no real clock is involved, so the result is the same
# everywhere.

# %% tags=["nbval-check-output"]
ch.contract(timing, blocked=blocked, interleaved=interleaved)

# %% [markdown]
# The blocked benchmark passes while the machine is steady and fails as soon as it changes. Taking
# turns passes every check, and it still finds a true difference.
#
# That was a model. Now the real machine: the same function twice, and in the middle a neighbour
# begins to compute. It is a thread of this process, so the two share the interpreter's lock as
# processes share a core.


# %%
def work():
    """Some milliseconds of plain Python."""
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
with trace_memory() as memory:
    first = timed(calls)
    with neighbour():
        second = timed(calls)
apparent = second.mean() / first.mean()

with neighbour(after=first.sum()):
    again = compare({"first": work, "second": work}, budget_s=5 * first.sum()).other

# %%
figures.step(ch, first, second, memory.trace)

# %% [markdown]
# «first» and «second» are one and the same function. The step between them is the neighbour. A
# benchmark that runs one after the other cannot know that, and blames the second version. The
# memory of the process does not change: here is nothing to see but another's work.

# %% tags=["nbval-check-output"]
by_blocks = timing.measured(blocked, timing.drifting)
by_turns = timing.measured(interleaved, timing.drifting)
ch.verdict(
    "1.1",
    abs(by_blocks - 1) < 0.05,
    {
        "equal work on the drifting machine, blocked": f"{by_blocks:.2f}×",
        "equal work on the drifting machine, by turns": f"{by_turns:.2f}×",
    },
)

# %%
ch.measured(
    "1.1",
    f"same code twice beside a neighbour: blocked {apparent:.2f}×, "
    f"by turns {again.ratio:.2f}× ({again.low:.2f}–{again.high:.2f})",
    holds=bool(again.low <= apparent <= again.high),
    outcome=by_blocks,
)

# %% [markdown]
# The interval by turns is as wide as the neighbour made it. A wide one is an honest answer: on this
# machine, at this moment, nobody could tell.
#
# **At work:** `print(compare({"old": old, "new": new}))` is all it takes for two functions. For two
# deployments or commits, start both and send requests to each in turn.

# %% [markdown]
# ## 1.2 What the mean hides
#
# > **Claim 1.2** The mean tells what a user feels.
#
# This is the shop's product page. Most pages are one row, found by its key. For one product in
# fifty the number sold was not counted beforehand, so the page counts it now: it reads all order
# items. The median answer takes less than a millisecond or so. What is the p99?

# %%
ch.predict("1.2", Interval("p99 of the product page", "ms", (0.5, 500)))

# %% [markdown]
# The load generator below is a process of its own. `Open(rate=400)` sends 400 requests a second
# whether answers come or not, as the public does. (`Closed(users=8)` is the other kind: eight
# clients who each wait for an answer before they ask again.)

# %%
products = [f"/products/{number}" for number in range(1, 1001)]
counts = np.array([number % 50 == 0 for number in range(1, 1001)])
visits = Open(rate=400, duration=ch.pick(quick=4, full=30), arrivals="poisson")
with webapp(slow_every=50) as shop:
    live = ch.live("product pages")
    pages = run_load(shop, visits, route=products, warm_up=0.5, watch=live)
pages

# %%
figures.two_groups(ch, pages, counts)

# %% [markdown]
# Two kinds of requests. The mean moves with both and shows neither: no request need have taken that
# long. A percentile is the latency of a request that really happened. Whether the p99 falls among
# the slow kind depends on how many there are, here one in fifty, and on what else the machine does.
#
# Nor do slow requests stay with a few unlucky users. A page in a shop makes many requests: prices,
# pictures, reviews. Say 100. The chance that all of them miss the slowest hundredth is 0.99¹⁰⁰, or
# 37 %. The run below makes 50 pages of 100 requests each, in an order drawn from a fixed seed, and
# counts the pages that met a slow one.

# %%
with webapp(slow_every=50) as shop:
    fifty = run_load(shop, Closed(users=8, requests=5_000), route=products, seed=1)
    told = shop.stats()["counted"]

# %% tags=["nbval-check-output"]
asked = counts[fifty.route].reshape(50, 100)
met = asked.any(axis=1)
ch.verdict(
    "1.2",
    bool(met.mean() < 0.5),
    {
        "requests for products without a count": f"{asked.sum()} of {asked.size:,}",
        "pages for which the server had to count": f"{told}",
        "pages of 100 requests that met one of them": f"{met.sum()} of {len(met)}",
        "pages that meet the slowest hundredth, by arithmetic": f"{100 * (1 - 0.99**100):.0f} %",
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
    outcome=p99 * 1e3,
)

# %% [markdown]
# **A percentile has an interval too.** A p99 rests on the slowest hundredth of the samples; with
# few samples that is a handful of requests. Draw samples from the run above again and again (that
# is called resampling) and take the p99 of each. Nine out of ten lie between these multiples of the
# run's own p99:


# %%
def spread(size, times=400):
    """Where nine out of ten p99s of so many samples lie, as multiples of the run's own."""
    drawn = np.random.default_rng(1).choice(answered, (times, size))
    p99s = np.percentile(drawn, 99, axis=1, method="inverted_cdf") / p99
    return dict(zip(("from", "to"), np.quantile(p99s, (0.05, 0.95)).round(2), strict=True))


pd.DataFrame({f"{size:,} samples": spread(size) for size in (100, 1_000, 10_000)}).T

# %% [markdown]
# With 100 samples a p99 is the second slowest request, whatever that was. The rule of this book: at
# least ten samples beyond a percentile, so 1,000 for a p99; `percentile` refuses fewer. And mind
# what the interval covers: which requests happened to come, not what the machine did meanwhile.
# Another run on the same machine may well lie outside.

# %% [markdown]
# ## 1.3 The mean of percentiles
#
# > **Claim 1.3** The p99 of an hour is the mean of its minutes' p99s.
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
        "requests in the sixty merged histograms": f"{merged.count:,}",
        "their p99 is within 1 % of it": abs(of_merged / of_all - 1) < 0.01,
        "a histogram takes a tenth of the samples' memory, or less": 10 * merged.nbytes
        <= busy.nbytes,
    },
)

# %% [markdown]
# The mean gives each minute one vote, the busy minute too, although a quarter of all requests were
# in it. Percentiles do not add up. Histograms do: keep counts per bucket, merge the counts, and ask
# for the percentile last.

# %% [markdown]
# ## 1.4 Three kinds of metrics
#
# > **Claim 1.4** Latency, throughput and utilisation are all the key metrics there are.
#
# So says the guide's figure: P50 100 ms, P95 500 ms and P99 1,000 ms; 10,000 requests a second; a
# processor 70 % busy. Pools, threads and memory are sized by another number: how many requests are
# in the system at once.

# %%
ch.predict("1.4", YesNo("Do these figures tell, within 10 %, how many requests are in flight?"))

# %% [markdown]
# Little's law: requests in flight = arrival rate × mean time in the system. The mean is what the
# figure does not give, and percentiles bound it from below only. Here are the lowest latencies that
# have exactly the guide's percentiles, and others with the same percentiles. With slower stragglers
# in the last hundredth there would be no limit at all.

# %%
fewest = np.repeat([0.0, 0.1, 0.5, 1.0], [49_999, 45_000, 4_000, 1_001])
others = np.repeat([0.1, 0.5, 1.0], [50_000, 45_000, 5_000])
for name, latencies in {"fewest": fewest, "others": others}.items():
    told = ", ".join(f"{1e3 * percentile(latencies, p):,.0f}" for p in (50, 95, 99))
    print(f"{name}: p50, p95, p99 = {told} ms; mean {latencies.mean() * 1e3:.0f} ms")

# %% [markdown]
# Now a live run, to see the law at work: the shop's payment page, with payments that arrive at
# random. The load generator writes down when each request started and ended. The number in flight
# is counted from these comings and goings alone.

# %%
from perflab.measure import in_flight

coming = Open(rate=500, duration=ch.pick(quick=3, full=15), arrivals="poisson")
with webapp() as shop:
    payments = run_load(shop, coming, route="/pay", watch=ch.live("payments at 500/s"))
start_ns = (payments.start * 1e9).astype(np.int64)
end_ns = (payments.end * 1e9).astype(np.int64)
flying = in_flight(start_ns, end_ns)

# %%
figures.flying(ch, payments, flying)

# %% [markdown]
# The middle panel is what the guide's figure lacks. It moves up and down while the rate that was
# asked for never changes: arrivals are random. A pool that is sized by the mean is too small for
# much of the time.

# %% tags=["nbval-check-output"]
rate = 10_000
stays = int((end_ns - start_ns).sum())
ch.verdict(
    "1.4",
    others.mean() < 1.1 * fewest.mean(),
    {
        "in flight at 10,000/s with these percentiles, at least": f"{rate * fewest.mean():,.0f}",
        "with the same percentiles it can be": f"{rate * others.mean():,.0f}",
        "live: the area under the in-flight curve is the sum of all stays": flying.area_ns == stays,
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
    outcome="yes" if others.mean() < 1.1 * fewest.mean() else "no",
)

# %% [markdown]
# The two have to agree: each request adds just its own stay to the area under the curve. Little's
# law is bookkeeping, not a model, and so it holds for any system, any arrivals, any order of
# service.
#
# **At work:** a database pool that serves 300 queries a second of 20 ms each has 6 in use on
# average. Measure two of the three, and you have the third.

# %% [markdown]
# ## 1.5 Idle, and full
#
# > **Claim 1.5** Low CPU means spare capacity.
#
# Back to the mystery. The payment page calls a remote party, another company's computer. That one
# is **modelled here**: it takes time and none of our processor. Everything on our side of it is
# real. Four clients get several hundred payments a second. How many do sixty-four get?

# %%
ch.predict("1.5", Interval("Payments a second with 64 clients", "/s", (50, 20_000)))

# %%
seconds, runs = ch.pick(quick=0.8, full=5), {}
with webapp() as shop:
    for users in (1, 2, 4, 8, 16, 32, 64):
        shop.reset_trace()
        live = ch.live(f"clients {users}")
        runs[users] = run_load(shop, Closed(users, seconds), route="/pay", warm_up=0.2, watch=live)
    trace = shop.trace()

# %%
figures.clients(ch, runs, most=4 / 0.005)

# %% [markdown]
# Up to four clients every new one adds throughput. From there on new clients add little but
# waiting: the line of latency bends up where the line of throughput goes flat. The processor has
# most of a core to spare all along.
#
# The remote party has four places, and a call holds one for 5 ms (timers wake up late, so it is a
# little more, and the dashed line is not quite reached). Its trace tells for each call when it
# came, when it got a place, and when it left.

# %%
waiting = in_flight(trace.arrival_ns, trace.started_ns)
holding = in_flight(trace.started_ns, trace.finished_ns)
taken = holding.at(waiting.time_ns[waiting.count > 0])
idle = 100 * (1 - runs[64].server_cpu)

# %% tags=["nbval-check-output"]
ch.verdict(
    "1.5",
    bool(idle < 50 or taken.min() < 4),
    {
        "at 64 clients: more than half of a core is idle": bool(idle > 50),
        "places taken whenever somebody waited": f"{taken.min()} of 4",
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
ch.solved("a queue: something behind the API takes only a few at a time")

# %% [markdown]
# **The mystery is solved.** Whenever a payment waited, all four places were taken: the remote party
# was 100 % busy while our processor idled. Utilisation of the *wrong* resource says nothing. Ask
# what a request can wait for (connections of a pool, threads, locks, places at somebody else's) and
# measure how much of *that* is taken.
#
# **Try it.** How many places do 64 clients need before the processor becomes the limit?


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
# Throughput and CPU rise with the places. The next limit is the server's own core: turn the places
# up until more of them add nothing.

# %% [markdown]
# ## 1.6 Latency and load
#
# > **Claim 1.6** Latency grows in proportion to load.
#
# One place now. Calls arrive at random and hold it for 5 ms on average, at random too. Its
# **utilisation ρ** is the share of time that it is taken: rate × service time. At ρ = 30 % an
# answer takes 7 ms on average. Triple the load, to 90 %. How long does an answer take, on average
# over a long run?

# %%
ch.predict("1.6", Interval("Mean response time at 90 % utilisation", "ms", (5, 500)))

# %%
seconds, offered, traces = ch.pick(quick=2.0, full=30), {}, {}
with webapp(slots=1, service_ms=5, service="exponential") as shop:
    for rate in (50, 90, 130, 160):
        shop.reset_trace()
        arrivals = Open(rate, seconds, arrivals="poisson")
        live = ch.live(f"{rate} calls/s")
        offered[rate] = run_load(shop, arrivals, route="/pay", warm_up=0.3, grace=2, watch=live)
        traces[rate] = shop.trace()

# %% [markdown]
# A single place, first come, first served, can be computed. Each call waits for what the one before
# it still had to wait and to work, less the time that has passed between the two (Lindley's
# recursion, 1952). Three calls, one second apart, of three seconds each: the first waits 0 s, the
# second 2 s, the third 4 s. `response_times` does that for arrays.
#
# From the recorded arrivals and service times it has to give back the recorded response times. From
# random numbers it gives the long-run mean that a short live run can only guess at. Theory says 5
# ms ÷ (1 − ρ).

# %%
from perflab.measure import response_times


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
long_run = {load: simulated(load, seed=1) for load in (0.3, 0.5, 0.7, 0.9)}
figures.load(ch, offered, traces, long_run)

# %% [markdown]
# The long simulation lies on the theory. The live points are seconds long and scatter: each stands
# at the utilisation that its own calls made of the rate. Near full load a queue builds up and
# empties so slowly that a short test sees only part of it. A short test there says little about the
# long run, in either direction.

# %% tags=["nbval-check-output"]
agree = sum(recomputed(trace) for trace in traces.values())
growth = [simulated(0.9, seed) / simulated(0.3, seed) for seed in (1, 2, 3)]
steep = sum(times > 5 for times in growth)
ch.verdict(
    "1.6",
    max(growth) < 3.5,
    {
        "seeded runs in which 3× the load makes more than 5× the latency": f"{steep} of 3",
        "live traces that Lindley's recursion gives back exactly": f"{agree} of 4",
    },
)

# %%
seen = [
    f"{trace.response.mean() * 1e3:.1f} ms at {rate * trace.holding.mean():.0%}"
    for rate, trace in traces.items()
]
ch.measured("1.6", f"live, {seconds:g} s each: {', '.join(seen)}", outcome=long_run[0.9])

# %% [markdown]
# **At work:** plan for the utilisation at which latency is still acceptable, 60 to 70 % for much of
# what people wait for. From 90 to 95 % the latency doubles again. Exercise 3 asks for the highest
# rate that keeps a promise.

# %% [markdown]
# ## 1.7 Two fixes
#
# > **Claim 1.7** The gains of two fixes multiply.
#
# The program below finds names in a list, then sorts what it found. We count looks at names
# (`Counted` counts each comparison) instead of seconds, so the result is exact. One fix makes
# finding faster, the other sorting. Alone, the first makes the whole program about 4 times as fast,
# the second 1.2 times. Both together: 5 times?

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


# %%
def looks(find, order):
    """The looks at names that each stage takes: 400 names, 200 of them wanted in mixed order."""
    names = [Counted(number) for number in range(400)]
    wanted = [Counted(number * 149 % 400) for number in range(200)]
    begin = Counted.looks
    found = find(names, wanted)
    between = Counted.looks
    order(found)
    return {"find": between - begin, "sort": Counted.looks - between}


programs = {
    "as it was": looks(scan, insertion),
    "better find": looks(search, insertion),
    "better sort": looks(scan, sorted),
    "both": looks(search, sorted),
}
table = pd.DataFrame(programs).T
table["all"] = table.sum(axis=1)
table["times fewer"] = (table["all"].iloc[0] / table["all"]).round(2)
table

# %% tags=["nbval-check-output"]
gain = table["all"].iloc[0] / table["all"]
product = gain["better find"] * gain["better sort"]
ch.verdict(
    "1.7",
    abs(gain["both"] / product - 1) < 0.1,
    {
        "the product of the two gains": f"{product:.1f}×",
        "both together, more than twice that": gain["both"] > 2 * product,
    },
)

# %% [markdown]
# Each fix alone leaves the other stage in place, and that stage limits the gain: fix a share *p* of
# the work completely, and the whole is at most 1 ÷ (1 − *p*) times as fast (Amdahl's law). Together
# they do more than their product. Two fixes of *one* stage may well multiply.
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
# > **Claim 1.8** A bigger batch trades latency for throughput.
#
# Writing an order to disk costs a commit. Put more orders into one commit and there are fewer
# commits; but the first order of a batch waits until the last has come. Orders arrive at 100 a
# second, on a clock of our own; the commits are real, and SQLite tells about each.

# %%
import sqlite3

from perflab.systems import scratch


def write(orders, size, folder):
    """Write so many orders in batches of this size; the seconds it took, and the commits."""
    commits = []
    db = sqlite3.connect(folder / f"batches of {size}.db", isolation_level=None)
    db.execute("create table orders (id integer primary key, total real)")
    db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    began = perf_counter()
    for _ in range(orders // size):
        db.execute("BEGIN")
        db.executemany("insert into orders (total) values (?)", [(9.5,)] * size)
        db.execute("COMMIT")
    seconds = perf_counter() - began
    db.close()
    return seconds, len(commits)


def waits(orders, size, rate=100):
    """How long each order waits for the last of its batch, in ms."""
    number = np.arange(orders)
    last = (number // size + 1) * size - 1
    return 1e3 * (last - number) / rate


# %%
orders, lines = ch.pick(quick=100, full=2_000), {}
with scratch() as folder:
    for size in (1, 10, 100):
        seconds, commits = write(orders, size, folder)
        wait = waits(orders, size).mean()
        lines[size] = {"commits": commits, "mean wait (ms)": wait, "orders/s": orders / seconds}
batches = pd.DataFrame(lines).T.rename_axis("orders a commit")
batches.round(1)

# %% tags=["nbval-check-output"]
per_hundred = (100 * batches["commits"] / orders).astype(int)
wait = batches["mean wait (ms)"]
ch.verdict(
    "1.8",
    bool(per_hundred.is_monotonic_decreasing and wait.is_monotonic_increasing),
    {
        f"batches of {size}: commits for 100 orders; mean wait": f"{commits}; {wait[size]:.0f} ms"
        for size, commits in per_hundred.items()
    },
)

# %%
ch.measured(
    "1.8",
    f"batches of 100 write {batches['orders/s'].iloc[-1] / batches['orders/s'].iloc[0]:.0f}× "
    f"as many orders a second as single commits",
    holds=bool(batches["orders/s"].iloc[-1] > batches["orders/s"].iloc[0]),
)

# %% [markdown]
# A trade has a price on both sides, and the table shows both. The guide names two more: memory for
# time, and the choice of a data structure. Both at once: «is it in there?», asked of a list and of
# a set beside it.

# %%
from sys import getsizeof


def membership(size):
    """How long it takes in a set, as a multiple of the time in a list, and what both weigh."""
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
        "the set is": seen.verdict,
        "bytes of the list": getsizeof(as_list),
        "bytes of the set": getsizeof(as_set),
    }


pd.DataFrame({size: membership(size) for size in (1, 8, 64, 1_024)}).T.rename_axis("items")

# %% [markdown]
# The set pays where there is something to search, and it always costs memory. No rule of thumb says
# where the line is; a table like this one does.

# %% [markdown]
# ## 1.9 Two runs that differ
#
# > **Claim 1.9** Two runs that differ show that the code differs.
#
# Last week's run took 102 ms, today's 108. Did the code get slower? Below, 40 teams compare **the
# same code** with itself, and 40 more compare code that really is 5 % slower. Their machine is
# noisy (3 % from run to run) and gets 10 % slower over the hour, all of it from seeds and on
# virtual time. One team in three runs each version once and raises the alarm at 2.5 %; one runs
# thirty of the old and then thirty of the new; one takes turns.

# %%
from perflab.measure import VirtualClock


class Hour:
    """A noisy hour: each run is off by some 3 %, and all of them get slower."""

    def __init__(self, seed):
        self.rng, self.clock = np.random.default_rng(seed), VirtualClock()

    def run(self, factor):
        drift = 1 + 0.1 * self.clock() / 60
        seconds = factor * drift * self.rng.lognormal(0, 0.03)
        self.clock.advance(seconds)
        return seconds


# %%
def one_pair(slower, hour):
    """One run of each."""
    return hour.run(slower) / hour.run(1.0) > 1.025


def thirty_each(slower, hour):
    """Thirty of the old, then thirty of the new."""
    old = np.median([hour.run(1.0) for _ in range(30)])
    return np.median([hour.run(slower) for _ in range(30)]) / old > 1.025


def by_turns(slower, hour):
    """The same hour by turns; an alarm if the whole interval is above 1.03."""
    both = {"old": lambda: hour.run(1.0), "new": lambda: hour.run(slower)}
    return compare(both, budget_s=60, clock=hour.clock, seed=1).other.verdict == "slower"


methods = (one_pair, thirty_each, by_turns)
alarms = pd.DataFrame(
    {
        method.__name__: [sum(method(slower, Hour(n)) for n in range(40)) for slower in (1.0, 1.05)]
        for method in methods
    },
    index=["same code", "5 % slower"],
).rename_axis("alarms among 40 teams")
alarms

# %% tags=["nbval-check-output"]
same_code, slower_code = alarms.loc["same code"], alarms.loc["5 % slower"]
ch.verdict(
    "1.9",
    bool(same_code["one_pair"] <= 1),
    {
        "one pair: false alarms in more than 1 of 10 teams": bool(same_code["one_pair"] > 4),
        "one pair: misses a real slowdown in more than 1 of 10": bool(slower_code["one_pair"] < 36),
        "thirty each, one after the other: false alarms in more than half": bool(
            same_code["thirty_each"] > 20
        ),
        "by turns: false alarms in at most 1 of 40": bool(same_code["by_turns"] <= 1),
        "by turns: misses at most 1 of 10": bool(slower_code["by_turns"] >= 36),
    },
)

# %% [markdown]
# One pair of runs raises false alarms *and* misses real slowdowns. More runs do not help as long as
# the machine drifts between the two halves: they make the error more certain. Turns help. As for
# 102 and 108 ms: with 3 % of noise in each, a single pair that is 6 % apart proves nothing.
#
# When you cannot take turns, since last week's code ran last week, at least compare like with like:
# the same experiment, on the same machine. The book keeps your runs in `my/book.db` for that, and
# refuses to compare two machines. Run the chapter again tomorrow, and this line has something to
# say.

# %%
now = runs[4]
ch.against_baseline(
    "1.9", "payments, 4 clients", p50_ms=now.percentile(50) * 1e3, rate=now.throughput
)

# %% [markdown]
# ## 1.10 Resources beside latency
#
# No claim here, only a view that the rest of the book uses: one run, one time axis, latency above,
# resources below. Payments arrive at 300, 600 and 1,000 a second, a second each.

# %%
rates = (300, 600, 1_000)
steps = np.concatenate([at + np.arange(0, 1, 1 / rate) for at, rate in enumerate(rates)])
with webapp() as shop:
    stepped = run_load(shop, Open(arrivals=steps), route="/pay", grace=3, watch=ch.live("steps"))

# %%
figures.steps(ch, stepped)

# %% [markdown]
# In the third second more payments arrive than four places can serve, so the backlog grows by the
# difference, and each new payment waits for all of it. After the third second nothing new arrives,
# and what is still answered is the backlog. CPU follows the work that is done, not the queue.

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
from perflab.book import show_source
from perflab.book.exercises.fundamentals import candidates, sold

show_source(sold)


# %%
def faster(orders, banned):
    raise NotImplementedError("your turn")


ch.check(2, faster)

# %% [markdown]
# **Exercise 3: the highest rate.** You promise that 95 % of all answers take at most 50 ms, at one
# place, first come, first served, as in 1.6. `service` holds the service times, and `gaps` the gaps
# between arrivals at one a second, so at rate *r* the gaps are `gaps / r`. Return the highest rate
# that keeps the promise, within 2 %. `some_traffic(seed)` gives you both to try.

# %%
from perflab.book.exercises.fundamentals import some_traffic

gaps, service = some_traffic(seed=1)
print(f"{len(gaps):,} requests, mean service time {1e3 * service.mean():.1f} ms")


def highest_rate(gaps, service, target):
    raise NotImplementedError("your turn")


ch.check(3, highest_rate)

# %% [markdown]
# **Exercise 4: the work that never happened.** Eight functions say that they sum the squares of a
# list of whole numbers. A benchmark of them gives the table below. Some of them never do the work.

# %%
import timeit

data = list(range(50_000))
microseconds = {
    name: 1e6
    * min(timeit.repeat(f"{name}(data)", number=1, globals={name: function, "data": data}))
    for name, function in candidates(seed=1).items()
}
pd.Series(microseconds, name="µs").round(1).to_frame()

# %% [markdown]
# Write `liars`: given the functions by letter (a dictionary), return the set of letters of those
# that did not do the work. It is tried on the same eight functions, made anew and under other
# letters. Speed alone proves nothing against anybody.


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
# - A p99 needs 1,000 samples. Percentiles do not average; merge histograms.
# - In flight = rate × time, exactly. Pools and memory are sized by it.
# - A service is full when the thing that its requests wait for is full, whatever the CPU says.
# - Latency grows as 1 ÷ (1 − ρ), not in proportion. The last tenth of capacity costs most.
# - A fix is worth what the rest of the program leaves of it.
# - One pair of runs proves nothing, and more of them one after the other prove it more firmly.
