# %% [markdown]
# # 2 Profiling and monitoring
#
# **Chapter 2 of 10** · 50 minutes to read and predict, exercises apart · the experiments run for
# about 40 seconds
#
# The guide shows how to take a CPU profile and a heap snapshot, how to time requests in a
# middleware (a function around the application that every request passes through), and how to watch
# for memory that grows without end, a **leak**, in three languages. All of these are instruments.
# This chapter lays them beside something whose size is known, and looks at what they say.
#
# You need chapter 1: turns instead of one after the other, and what a p99 is.
#
# **You will be able to**
#
# - say which of a profile's numbers to trust, and check them;
# - choose between a tracing profiler, a line profiler and a sampler;
# - time requests so that errors, streams and people who leave are counted;
# - tell a leak from a cache that fills;
# - say what each memory tool cannot see, and what watching costs.

# %%
import cProfile
import mmap
import sys
import threading
import tracemalloc
from time import perf_counter, thread_time, time

import numpy as np
import pandas as pd
import psutil
from line_profiler import LineProfiler
from memory_profiler import memory_usage

from perflab.book import Chapter, Interval, Place, YesNo, knob, show_source
from perflab.book.bylines import memory_by_line, source_line, time_by_function, time_by_line
from perflab.book.figures import profiling as figures
from perflab.contracts import judge, leak, middleware
from perflab.experiments import holders, slowpage
from perflab.experiments.script import Piece, profile_of, sampled, traced_shares, true_shares
from perflab.guide.leak import MemoryLeakDetector, monitor_memory
from perflab.guide.middleware import (
    AtomicU64,
    PerformanceMonitor,
    go_middleware,
    node_middleware,
    rust_middleware,
)
from perflab.guide.profiling import ProfilingAllocator, heap_snapshot, start_cpu_profile
from perflab.measure import LatencyHistogram, LeakDetector, Sampler, allocations, compare
from perflab.measure.monitor import RequestMonitor
from perflab.systems import Closed, run_load, webapp

ch = Chapter(2)

# %% [markdown]
# ## The mystery
#
# A team profiles a slow page. The profile says that one function, with all that it calls, takes
# about 70 % of the time. They find a way to have its result for nothing. The page takes 45 % less
# time, not 70.
#
# Where is the rest? Vote now; the evidence comes in section 2.1.

# %%
ch.mystery(
    "Who took the other 25 %?",
    (
        "the program: with that function gone, another part became slower",
        "the machine: it was busier when they measured the second time",
        "the profiler: it charges small calls for its own work",
    ),
)

# %% [markdown]
# ## 2.1 The hot line
#
# > **Claim 2.1** A CPU profile finds the line that takes the time.
#
# Here is such a page. `taxed` calls `gross` 40,000 times; that calls `tax`, and that `rounded`.
# `bands` works for about as long in two loops that call nothing.

# %%
for part in (slowpage.page, slowpage.taxed, slowpage.gross):
    show_source(part)

# %% [markdown]
# cProfile is Python's own **tracing** profiler: it notes each call and each return.

# %%
prices = slowpage.net_prices()
profile = cProfile.Profile()
profile.runcall(slowpage.page, prices)
traced = time_by_function(profile)
traced

# %% [markdown]
# «own ms» is a function's time without what it calls, «%» its share together with what it calls
# (its callees). If `taxed` cost nothing, the page would be `bands` alone. How much of its time
# would it save?

# %%
ch.predict("2.1", Place("Without taxed the page saves this part of its time", "%", (0, 100)))

# %% [markdown]
# Two other kinds of profiler join in. A **line profiler** times each line of the functions that it
# is given, here by `-f`. A **sampler** looks now and then at what is running, and touches nothing
# in between.

# %%
# %load_ext line_profiler
# found = %lprun -r -f slowpage.page -f slowpage.taxed slowpage.page(prices)
time_by_line(found)

# %% [markdown]
# Each of these lines paid for a timer, 40,000 times in the loop. Now the page unwatched and under
# each of the three, by turns.

# %%
me, process = threading.get_ident(), psutil.Process()
watchers = {
    "unwatched": lambda: Sampler(3600),  # which never comes to look
    "sampler": lambda: Sampler(0.002, thread=me),
    "line_profiler": lambda: LineProfiler(slowpage.page, slowpage.taxed),
    "cProfile": cProfile.Profile,
}
seconds, resident = {name: [] for name in watchers}, []
for _ in range(ch.pick(quick=10, full=50)):
    for name, watcher in watchers.items():
        with watcher():
            began = perf_counter()
            slowpage.page(prices)
            seconds[name].append(perf_counter() - began)
    resident.append(process.memory_info().rss)

# %%
figures.watched(ch, seconds, resident)

# %% [markdown]
# Tracing makes the page several times as slow, and not evenly. cProfile's cost falls on calls, the
# line profiler's on lines, so code with many small calls or quick lines is charged most. The
# sampler leaves the page as it is. What the three keep in memory is small.
#
# How far a profile is off can be computed. Below, a program spends 400 units of time in 400 small
# calls, and 600 in one large one. A tracing profiler reads the clock at the start and the end of
# each call, and one of the two readings falls into what it measures. On our clock a reading takes
# no time or one unit, on a real one some nanoseconds. The sampler looks every 7 units.

# %%
program = [Piece("small", 1.0)] * 400 + [Piece("large", 600.0)]
pd.DataFrame(
    {
        "in truth": true_shares(program),
        "traced, a reading costs nothing": traced_shares(program, cost=0),
        "traced, a reading costs 1": traced_shares(program, cost=1),
        "sampled every 7": {
            name: profile_of(program, 7).share(name) for name in ("small", "large")
        },
    }
).round(2)

# %% [markdown]
# A small call that takes one unit counts as two: 800 of 1,401 units, or 0.57. Where reading the
# clock costs as much as the call itself, the profile names the wrong one.
#
# And the guide's own? In Go it starts a profile in a function that **defers** the stop: Go runs a
# deferred call when the function returns. In Python:

# %%
show_source(start_cpu_profile)

# %% [markdown]
# The caller then does its work, a thousand calls of it. How many are in the profile?


# %%
def recorded(start):
    """How many of a thousand calls a profile has that was started in this way."""
    profile = cProfile.Profile()
    start(profile)
    for _ in range(1_000):
        slowpage.gross(100)
    profile.disable()
    calls = {one.code: one.callcount for one in profile.getstats()}
    return calls.get(slowpage.gross.__code__, 0)


# %% tags=["nbval-check-output"]
small = traced_shares(program, cost=1)["small"]
ch.verdict(
    "2.1",
    bool(small < 0.5),
    {
        "calls in the guide's profile": f"{recorded(start_cpu_profile)} of 1,000",
        "calls when the caller stops it": f"{recorded(cProfile.Profile.enable)} of 1,000",
        "the small calls' share, in truth": f"{true_shares(program)['small']:.0%}",
        "as cProfile has it, where a reading costs 1": f"{small:.0%}",
        "as a sampler has it": f"{profile_of(program, 7).share('small'):.0%}",
    },
)

# %%
with Sampler(0.002, thread=me) as sampler:
    for _ in range(40):
        slowpage.page(prices)
some = prices[:8_000]
pair = {"page": lambda: slowpage.page(some), "bands": lambda: slowpage.bands(some)}
free = compare(pair, budget_s=ch.pick(quick=1.0, full=5.0)).other
saved = 100 * (1 - free.ratio)
ch.measured(
    "2.1",
    f"share of taxed: cProfile {traced.loc['taxed', '%']} %, "
    f"sampler {100 * sampler.profile.share('taxed'):.0f} %; without it the page saves "
    f"{saved:.0f} % of its time ({100 * (1 - free.high):.0f}–{100 * (1 - free.low):.0f})",
    outcome=saved,
)
ch.solved("the profiler: it charges small calls for its own work")

# %% [markdown]
# **The mystery is solved.** The missing part was cProfile's own work at 120,000 small calls, put on
# `taxed`'s bill. A tracing profiler is right about counts; of its times only those of long calls
# are near the truth. Before Python 3.12 cProfile also sees nothing but the thread that started it.
#
# **At work:** look with a sampler first (py-spy and `perf` need no change in the program), count
# calls with cProfile, then take a line profiler to one function.

# %% [markdown]
# ## 2.2 Looking more often
#
# > **Claim 2.2** A sampler that looks more often sees more truly.
#
# With more looks less is left to chance: true in Go, where a signal interrupts whatever runs. A
# sampler in Python is a thread, and to look it needs the interpreter's lock (the **GIL**), which
# only one thread at a time can hold. A sort of 100,000 numbers is one call into C that does not let
# go of it. Below, a sort and a loop in Python take turns. The sort's share is the part of all looks
# that met it.

# %%
ch.predict(
    "2.2", Place("Looking every ms, the sort has this part of its true share", "%", (0, 200))
)

# %% [markdown]
# `sampled` runs both under our sampler, and knows the truth from a clock that it reads in between.
# It adds up the looks in two ways: **by looks**, all alike, and **by time**, each weighed by the
# time since the look before.

# %%
rng = np.random.default_rng(1)
shuffled = rng.random(100_000).tolist()


def sort():
    return sorted(shuffled)


def loop():
    for number in range(rng.integers(200_000, 1_200_000)):  # no two rounds alike
        number * number


rounds = ch.pick(quick=20, full=100)
seen = {ms: sampled(sort, loop, every=ms / 1e3, rounds=rounds) for ms in (30, 10, 3, 1)}
figures.looks(ch, seen)

# %% [markdown]
# While the sort holds the lock nobody looks; when it ends there is one look, late, and it sees the
# sort. The loop is looked at as often as asked. So the more often the sampler looks, the less the
# sort counts. The cure is to ask what each look stands for: weigh it by time. That gives the sort a
# little of the loop's time as well, at most one interval's each time, so it can come out above the
# truth.
#
# A live run scatters. A scripted program, half of it in a sort of 100 ms that holds the lock, gives
# the same everywhere; by time, looking more often now does help. The sort's share (the truth is
# 0.5):

# %%
script = [Piece("loop", 0.1), Piece("sort", 0.1, holds=True)] * 50
weighed = pd.DataFrame(
    {
        f"{ms} ms": {
            by: profile_of(script, ms / 1e3).share("sort", by) for by in ("looks", "seconds")
        }
        for ms in (30, 10, 3, 1)
    }
)
weighed.rename({"looks": "by looks", "seconds": "by time"}).round(3)

# %% tags=["nbval-check-output"]
true = true_shares(script)["sort"]
by_looks, by_seconds = weighed.loc["looks"], weighed.loc["seconds"]
ch.verdict(
    "2.2",
    bool(abs(by_looks["1 ms"] - true) < abs(by_looks["10 ms"] - true)),
    {
        "the sort's share, in truth": f"{true:.0%}",
        "by looks, every 10 ms": f"{by_looks['10 ms']:.0%}",
        "by looks, every ms": f"{by_looks['1 ms']:.0%}",
        "by looks, the more often the less": bool(by_looks.is_monotonic_decreasing),
        "by time, every ms": f"{by_seconds['1 ms']:.0%}",
    },
)

# %%
often, seldom = seen[1], seen[10]
ch.measured(
    "2.2",
    f"looking every ms, the sort has {often.by_looks / often.true:.0%} of its true share by looks, "
    f"{often.by_seconds / often.true:.0%} by time",
    holds=bool(abs(often.by_looks - often.true) < abs(seldom.by_looks - seldom.true)),
    outcome=100 * often.by_looks / often.true,
)

# %% [markdown]
# **Try it.** How long must the sort be until counting looks misses half of its share or more? And
# if you look less often? (On the script; the loop stays at 100 ms.)


# %%
def missed(sort_ms=100, every_ms=5):
    """The sort's share by looks and by time."""
    script = [Piece("loop", 0.1), Piece("sort", sort_ms / 1e3, holds=True)] * 50
    profile = profile_of(script, every_ms / 1e3)
    shares = true_shares(script)["sort"], profile.share("sort", "looks"), profile.share("sort")
    print("sort: {:.0%} in truth; {:.0%} by looks, {:.0%} by time".format(*shares))


knob(missed, sort_ms=(1, 500), every_ms=(1, 100))

# %% [markdown]
# ## 2.3 Two clocks
#
# > **Claim 2.3** Wall clock and CPU clock agree on what is slow.
#
# A wall clock (`perf_counter`) always goes on; a thread's CPU clock (`thread_time`) goes on only
# while the thread computes. An order pays over HTTP, which takes 50 ms of waiting, and then
# computes. cProfile takes any clock. Go's CPU profile, and so the guide's, knows only the second
# kind.

# %%
from http.client import HTTPConnection


def pay(connection):
    connection.request("GET", "/pay")
    return connection.getresponse().read()


def order(connection):
    return pay(connection), slowpage.bands(prices)


def share_of_pay(clock, server, orders=10):
    """The part of an order that paying takes, by this clock."""
    profile, connection = cProfile.Profile(clock), HTTPConnection("127.0.0.1", server.port)
    for _ in range(orders):
        profile.runcall(order, connection)
    connection.close()
    return time_by_function(profile).loc["pay", "%"]


# %%
with webapp(service_ms=50) as shop:
    clocks = {clock.__name__: share_of_pay(clock, shop) for clock in (perf_counter, thread_time)}

# %%
wall, cpu = clocks["perf_counter"], clocks["thread_time"]
ch.verdict(
    "2.3",
    bool((wall > 50) == (cpu > 50)),
    {"share of paying by the wall clock": f"{wall} %", "by the CPU clock": f"{cpu} %"},
)
ch.measured("2.3", f"the share of paying is {wall} % by the wall clock, {cpu} % by the CPU clock")

# %% [markdown]
# Users wait by the wall clock. A CPU profile of a service that waits for its database shows
# everything but the wait.

# %% [markdown]
# ## 2.4 The middleware
#
# > **Claim 2.4** A timing middleware sees what users see.
#
# The guide has one for each of its languages: it reads the clock when the application is called,
# and at the end. Here one to twenty clients ask the shop for pages as fast as it answers. The
# book's own middleware sits in that server; the load generator is the user.

# %%
ch.predict(
    "2.4",
    Interval("20 clients: what a user waits ÷ what the server's timing says", "×", (0.5, 500)),
)

# %%
users, inside = {}, {}
for clients in (1, 3, 8, 20):
    with webapp() as shop:
        asked = Closed(clients, ch.pick(quick=0.6, full=5))
        users[clients] = run_load(
            shop, asked, route="/products/1", watch=ch.live(f"clients {clients}")
        )
        inside[clients] = shop.metrics()["routes"]["/products/{id}"]["mean"]

# %%
figures.middleware(ch, users, inside)

# %% [markdown]
# One thread of the server, its **event loop**, attends to all connections by turns. The
# middleware's clock starts when the loop comes round to the request. What waits before that, in the
# socket and in the loop, it cannot see, nor what the client itself does; with more clients that is
# nearly all of the time. A service can be unusable while its dashboard is flat.
#
# There is more that such a middleware misses. This contract plays the server on virtual time: it
# knows each request that came in, when its last byte left, and who hung up.

# %% tags=["nbval-check-output"]
makes = {
    "node": middleware.by_lines(node_middleware),
    "go": middleware.by_lines(go_middleware),
    "rust": middleware.by_counters(rust_middleware, PerformanceMonitor),
    "ours": middleware.by_stats(RequestMonitor),
}
ch.contract(middleware, **makes)

# %% [markdown]
# Node's listens for «finish», which never comes for a client that has left. Go's writes its line
# after the call, so a handler that panics (Go's raising) has none; and its wrapper has no way to
# flush, to send a part of a stream at once, so parts wait for the end. Rust's `?` returns an error
# at once, before it is recorded; its time ends with the header of a streamed answer and is cut to
# whole milliseconds; and it keeps no status. None tells who left from who was served. Ours counts
# in a `finally`, and learns of the wait from the proxy in front, if that one writes the time of
# arrival into a header.

# %% tags=["nbval-check-output"]
found = {name: judge(middleware, make) for name, make in makes.items()}
waited = next(one for one in found["ours"] if one.startswith("the wait before"))
counted = next(one for one in found["ours"] if one.startswith("requests in are"))
ch.verdict(
    "2.4",
    all(found[name][waited].holds for name in ("node", "go", "rust")),
    {
        "20 at once, 10 ms each: the guide's three": found["go"][waited].found,
        "20 at once, 10 ms each: ours, behind a proxy": found["ours"][waited].found,
        "3 requests, two clients leave: Node's": found["node"][counted].found,
        "3 requests, two clients leave: ours": found["ours"][counted].found,
    },
)

# %%
felt = users[20].response_time[users[20].ok].mean()
ch.measured(
    "2.4",
    f"20 clients: users wait {felt * 1e3:.1f} ms on average, the server's own timing says "
    f"{inside[20] * 1e3:.2f} ms",
    holds=bool(felt < 1.5 * inside[20]),
    outcome=felt / inside[20],
)

# %% [markdown]
# **At work:** measure where the user is, or at least in the proxy. Let nginx write the time of
# arrival into the header `X-Request-Start`, and subtract it from the time when the application is
# called.

# %% [markdown]
# ## 2.5 Three numbers
#
# > **Claim 2.5** A count, a total and a number of slow requests describe latency well enough.
#
# That is what the guide's monitor keeps (in Rust), in whole milliseconds. Two services of 10,000
# requests: one takes 10 ms for each; the other 1 ms, but 91 for every tenth. A third, `quick`, has
# 80,000 requests of 0.2 to 1.06 ms.

# %%
steady = np.full(10_000, 0.010)
uneven = np.where(np.arange(10_000) % 10 == 0, 0.091, 0.001)
quick = np.linspace(0.2e-3, 1.06e-3, 80_000)


def three_numbers(latencies):
    """What the guide's monitor knows after these requests."""
    monitor = PerformanceMonitor()
    for seconds in latencies:
        monitor.record_request(int(seconds * 1e3 + 1e-6))
    return monitor.get_stats()


def histogram(latencies):
    """The same requests in a histogram whose buckets grow with the latency."""
    kept = LatencyHistogram()
    kept.record_many(latencies)
    return kept


# %% [markdown]
# And the monitor reads the three one after the other. A request that ends between the first reading
# and the second is in the total and not in the count:

# %%
monitor = PerformanceMonitor()


class Total(AtomicU64):
    """The total; just before it is read, a request of 990 ms gets in."""

    def load(self):
        monitor.record_request(990)
        return super().load()


monitor.total_duration = Total()
monitor.record_request(10)
count, total, _ = monitor.get_stats()

# %% tags=["nbval-check-output"]
same = three_numbers(steady) == three_numbers(uneven)
p99 = {
    name: np.percentile(one, 99, method="inverted_cdf")
    for name, one in (("steady", steady), ("uneven", uneven))
}
counted, summed, _ = three_numbers(quick)
off = max(abs(histogram(one).percentile(p) / np.percentile(one, p, method="inverted_cdf") - 1)
          for one in (steady, uneven, quick) for p in (50, 90, 99))  # fmt: skip
ch.verdict(
    "2.5",
    not same,
    {
        "10 ms always, or 1 ms and 91 for every tenth: the same three numbers": same,
        "their p99s": f"{p99['steady'] * 1e3:.0f} and {p99['uneven'] * 1e3:.0f} ms",
        "a mean of 0.63 ms, in whole milliseconds": f"{summed / counted:.2f} ms",
        "requests of 10 and 990 ms, read in between: the mean": f"{total / count:,.0f} ms",
        "a histogram's p50, p90 and p99 are within 1 %": bool(off <= 0.01),
        "bytes of 80,000 latencies, and of their histogram": f"{quick.nbytes:,} and "
        f"{histogram(quick).nbytes:,}",
    },
)

# %% [markdown]
# A histogram costs as much however many requests it holds, and it merges: minutes into an hour,
# servers into a service.

# %% [markdown]
# ## 2.6 Is it a leak?
#
# > **Claim 2.6** Memory that stands 100 MB above its start means a leak.
#
# So the guide decides in Node: 100 MB more on the heap, where a language keeps its objects, than at
# the start is a «potential memory leak». In Go 100 MB at all is «high memory usage»; it names no
# leak, but has no other alarm. Below, two services answer requests. One fills a cache with 160 MB
# and then stays as it is. The other keeps 15 MB a second, for good. Each runs for a few seconds,
# and two detectors watch it: Node's («limit») and the book's («floor», explained below).

# %%
ch.predict("2.6", YesNo("Does the rule of 100 MB name the one that leaks, and no other?"))

# %% [markdown]
# Each megabyte is asked from the system by itself, so that it goes back when it is dropped.


# %%
def mapped(size=1_000_000):
    block = mmap.mmap(-1, size)
    block.write(b"x" * size)
    return block


def service(held, seconds):
    """Answers requests and holds `held(t)` MB after t seconds; memory at each, and its latency."""
    kept, looks, took, began = [], [], [], perf_counter()
    first = process.memory_info().rss
    while (now := perf_counter() - began) < seconds:
        kept += [mapped() for _ in range(int(held(now)) - len(kept))]
        slowpage.bands(prices[:5_000])
        more = max(0, process.memory_info().rss - first)
        looks.append(leak.Look(now, heap_used=more, rss=more))
        took.append(perf_counter() - began - now)
    return looks, np.array(took)


by_limit = leak.by_warnings(MemoryLeakDetector)
by_floor = leak.by_floor(lambda: LeakDetector(window=1.6))
behaviours = {"leaks": lambda t: 15 * t, "fills a cache": lambda t: 160 * (1 - np.exp(-t / 0.15))}

# %%
runs = {name: service(held, ch.pick(quick=2.8, full=6)) for name, held in behaviours.items()}
alarms = {
    name: {"limit": by_limit(looks), "floor": by_floor(looks)} for name, (looks, _) in runs.items()
}
figures.leaks(ch, runs, alarms)

# %% [markdown]
# The rule calls the cache a leak, and passes the leak over until that has grown to 100 MB, however
# long it takes. It looks at a height. A leak is a slope. But memory moves up and down with garbage,
# so take the least that was held in each stretch of time, the **floor**: no collection gave that
# back. A leak lifts the floor again and again, by about as much each time. Ours tells it after a
# window of time (1.6 seconds here, two hours by default). It takes **resident memory**, all that
# the process has in the machine's memory, so that what is not on the heap counts as well.
#
# The contract has a look every 30 s, as the guide; each look at which a detector speaks counts as
# an alarm.

# %% tags=["nbval-check-output"]
guides = {"node": by_limit, "go": leak.by_lines(monitor_memory)}
ch.contract(leak, **guides, ours=leak.by_floor(LeakDetector))

# %% [markdown]
# Eight hours each of six processes, drawn from seeds. They are chosen to be hard for a limit: three
# leak and stay below it for the day, three pass it and do not leak. (A fast leak it does find: see
# the contract's first row.)

# %% tags=["nbval-check-output"]
days = {
    "8 MB an hour": (leak.day(1, 8, lambda hour: 30 + 8 * hour), True),
    "from the fourth hour on": (leak.day(2, 8, lambda hour: 30 + 15 * max(0, hour - 4)), True),
    "beside the heap": (leak.day(3, 8, lambda hour: 30, beside=lambda hour: 15 * hour), True),
    "fills a cache": (leak.day(4, 8, lambda hour: 30 + 200 * min(1, hour)), False),
    "much garbage": (leak.day(5, 8, lambda hour: 30, garbage=150), False),
    "one large table": (leak.day(6, 8, lambda hour: 30 + 150 * (hour > 3)), False),
}


def right(detector):
    """How many of the six it judges rightly."""
    return sum(bool(detector(looks)) == leaks for looks, leaks in days.values())


ch.verdict(
    "2.6",
    right(by_limit) == 6,
    {
        "judged rightly by 100 MB above the start": f"{right(by_limit)} of 6",
        "judged rightly by the slope of the floor": f"{right(leak.by_floor(LeakDetector))} of 6",
    },
)

# %%
said = {name: {how: len(times) > 0 for how, times in one.items()} for name, one in alarms.items()}
words = {True: "a leak", False: "no leak"}
ch.measured(
    "2.6",
    "; ".join(
        f"what {name}: by the limit {words[one['limit']]}, by the floor {words[one['floor']]}"
        for name, one in said.items()
    ),
    outcome="yes" if said["leaks"]["limit"] and not said["fills a cache"]["limit"] else "no",
)

# %% [markdown]
# **At work:** alarm on the floor's slope over a window at least as long as your load's own wave, a
# day where the load follows the sun.

# %% [markdown]
# ## 2.7 The heap and the process
#
# > **Claim 2.7** The heap is all the memory that a process uses.
#
# A function holds some 30 MB in SQLite, then in a numpy array, then in half a million small texts.
# memory_profiler asks the system after each line (`%mprun`) or around a statement (`%memit`, in
# MiB). The second sees little or nothing of the array's 30 MB: the process still has memory from
# the run before it, and the array goes there.

# %%
# %load_ext memory_profiler
# found = %mprun -r -f holders.all_three holders.all_three()
# %memit holders.array()
memory_by_line(found)

# %% [markdown]
# tracemalloc hears what goes through Python's allocators, the functions that hand out memory;
# `allocations` asks it. `getsizeof` is what an object says of itself, a list without its texts:

# %%
ways = (holders.database, holders.array, holders.objects)
held = pd.DataFrame(
    {
        make.__name__: {
            "tracemalloc (MB)": allocations(make).held_bytes / 1e6,
            "getsizeof (MB)": sys.getsizeof(make()) / 1e6,
        }
        for make in ways
    }
).T.round(2)
held + 0.0  # which makes 0 of -0

# %% tags=["nbval-check-output"]
db = holders.database()
pages, size = (db.execute(f"pragma {one}").fetchone()[0] for one in ("page_count", "page_size"))
db.close()
traced_bytes = allocations(holders.database).held_bytes
ch.verdict(
    "2.7",
    bool(traced_bytes > 0.5 * pages * size),
    {
        "SQLite says that it holds more than 29 MB": bool(pages * size > 29_000_000),
        "tracemalloc sees less than 0.1 MB of them": bool(traced_bytes < 100_000),
        "tracemalloc sees all of a numpy array": bool(
            allocations(holders.array).held_bytes >= 30_000_000
        ),
    },
)

# %% [markdown]
# What grows in a C library grows unseen by any heap tool. Resident memory sees everything and names
# nothing, and it can stay high after memory was freed. Have both. (memray, on Linux and macOS,
# follows native allocations with their stacks: go there when the two disagree.)

# %% [markdown]
# ## 2.8 What watching costs
#
# > **Claim 2.8** Observing a program is free.
#
# Three habits, and their price. A log line for each request, or for one in a hundred:

# %%
import io
import logging
from collections import Counter

cache, written, log = {n: n for n in range(100)}, io.StringIO(), logging.Logger("requests")
log.addHandler(logging.StreamHandler(written))


def serve(log_every=0):
    """A thousand hits in a dictionary, some of them with a line in the log."""
    for n in range(1_000):
        cache[n % 100]
        if log_every and n % log_every == 0:
            log.info("GET /products/%d - %d - %.3f ms", n, 200, 0.4)


def lines_logged(log_every):
    written.seek(written.truncate(0))
    serve(log_every)
    return written.getvalue().count("\n")


# %% [markdown]
# tracemalloc, which notes for each block the line that asked for it, or 25 frames of the stack. And
# a counter for each URL, or one for each route:


# %%
def build(frames=0):
    """A few hundred small lists, traced with so many frames; the bytes of tracemalloc's notes."""
    if frames:
        tracemalloc.start(frames)
    kept = [[n] for n in range(300)]
    notes = tracemalloc.get_tracemalloc_memory() if frames and kept else 0
    tracemalloc.stop()
    return notes


def labelled(name):
    """The bytes that counters take for 50,000 requests of as many products."""
    return allocations(lambda: Counter(name.format(n) for n in range(50_000))).held_bytes


budget = ch.pick(quick=0.8, full=4.0)
logs = compare({"no log": serve, "1 in 100": lambda: serve(100), "each": lambda: serve(1)}, budget)
traces = compare({"untraced": build, "1 frame": lambda: build(1), "25": lambda: build(25)}, budget)
table = pd.concat([logs.to_frame(), traces.to_frame()], keys=["1,000 hits", "300 lists"])
table["µs"] = 1e6 * table["seconds"]
table[["µs", "ratio", "low", "high"]].round(1)

# %% tags=["nbval-check-output"]
per_url, per_route = labelled("/products/{}"), labelled("/products/id")
ch.verdict(
    "2.8",
    lines_logged(1) == 0,
    {
        "lines for 1,000 requests, one for each": lines_logged(1),
        "lines for 1,000 requests, one in a hundred": lines_logged(100),
        "a counter for each of 50,000 URLs: more than 4 MB": bool(per_url > 4_000_000),
        "a counter for the route: less than 10 kB": bool(per_route < 10_000),
        "tracemalloc's own notes on 300 lists: more than 20 kB": bool(build(1) > 20_000),
    },
)

# %%
ch.measured(
    "2.8",
    f"a log line for each request: {logs['each'].ratio:.0f}× a dictionary hit, one in 100 "
    f"{logs['1 in 100'].ratio:.1f}×; tracemalloc {traces['1 frame'].ratio:.1f}×, with 25 frames "
    f"{traces['25'].ratio:.1f}×",
    holds=bool(logs["each"].ratio < 1.03),
)

# %% [markdown]
# A log line takes some microseconds: next to nothing beside a page of some milliseconds, a great
# deal beside a hit in a dictionary. Compare the cost of watching with the thing watched.
#
# URLs are made by whoever sends them, so labels by URL are memory that strangers can fill. Route
# patterns are ours, and few.

# %% [markdown]
# ## 2.9 A look every thirty seconds
#
# > **Claim 2.9** A look every 30 s sees the spikes.
#
# The guide's monitors look at memory every 30 s. A process holds 50 MB, and ten times in an hour
# 200, for a while. How many of the ten set off Go's alarm, at 100 MB?

# %%
starts = 5 + 337.3 * np.arange(10)
by_lines = leak.by_lines(monitor_memory)


def noticed(length):
    """Of ten spikes of so many seconds, those that a look every 30 s of the guide's falls into."""
    high = [((starts <= t) & (t < starts + length)).any() for t in range(0, 3_600, 30)]
    held = [50_000_000 + 150_000_000 * bool(one) for one in high]
    looks = [leak.Look(30.0 * n, size, size) for n, size in enumerate(held)]
    alarms = np.array(by_lines(looks))
    return sum(((alarms >= start) & (alarms < start + length)).any() for start in starts)


lengths = (0.005, 1, 10, 30)
pd.Series({f"{one:g} s": noticed(one) for one in lengths}, name="noticed of 10").to_frame()

# %% tags=["nbval-check-output"]
ch.verdict(
    "2.9",
    noticed(0.005) == 10,
    {f"ten spikes of {one:g} s, noticed": f"{noticed(one)}" for one in lengths},
)

# %% [markdown]
# The chance to be seen is length ÷ 30 s, up to 30 s. A look tells the present value only. For
# spikes keep the highest since the last look, or a histogram. (The system keeps the highest
# resident memory since the process started: `getrusage`.)

# %% [markdown]
# ## 2.10 Live bytes
#
# > **Claim 2.10** The number of live bytes tells how a program uses memory.
#
# The guide puts a counter into Rust's allocator: plus at each allocation, minus when it is freed.
# Here is the port, and one that keeps three numbers more.

# %%
show_source(ProfilingAllocator)


# %%
class Telling(ProfilingAllocator):
    """Keeps the number of allocations, all bytes and the highest mark as well."""

    def __init__(self):
        super().__init__()
        self.blocks = self.total = self.peak = 0

    def alloc(self, size):
        self.blocks, self.total = self.blocks + 1, self.total + size
        block = super().alloc(size)
        self.peak = max(self.peak, self.allocated_bytes)
        return block


def report(allocator, mb=1_000_000):
    """Loads three tables at once, then formats 19 pages and two covers, one after the other."""
    for block in [allocator.alloc(32 * mb) for _ in range(3)]:
        allocator.dealloc(block)
    for size in [2] * 19 + [0.1] * 2:
        allocator.dealloc(allocator.alloc(int(size * mb)))


# %% tags=["nbval-check-output"]
counter = Telling()
report(counter)
ch.verdict(
    "2.10",
    counter.allocated_bytes == counter.total,
    {
        "the guide's counter, before and after": f"0 and {counter.allocated_bytes}",
        "allocations": counter.blocks,
        "allocated in all": f"{counter.total / 1e6:.0f} MB",
        "held at the highest": f"{counter.peak / 1e6:.0f} MB",
    },
)

# %% [markdown]
# The total tells how much work the allocator has, the peak how large the machine must be. The
# counter alone tells neither, unless it happens to be read at the peak.

# %% [markdown]
# ## 2.11 A heap snapshot
#
# > **Claim 2.11** One heap snapshot names the line that leaks.
#
# The guide takes one, in Node and in Go. In Python it is tracemalloc's. This service holds a large
# cache, as it should, and forgets to drop its sessions.


# %%
size = ch.pick(quick=20_000, full=100_000)


class Service:
    def __init__(self):
        self.cache = [bytes(1_000) for _ in range(size)]
        self.sessions = []

    def request(self):
        self.sessions.append(bytes(5_000))
        slowpage.bands(prices[:2_000])


def timeline(act, seconds=1.0):
    """Requests for so many seconds: when, and how long in ms; in the middle a thread does `act`."""
    moments, rows, began = [], [], time()

    def noted():
        moments.append(time() - began)
        act()
        moments.append(time() - began)

    threading.Timer(seconds / 2, noted).start()
    while time() - began < seconds or len(moments) < 2:
        start = perf_counter()
        leaky.request()
        rows.append((time() - began, 1e3 * (perf_counter() - start)))
    return np.array(rows), moments, began


# %%
tracemalloc.start()
leaky = Service()
[leaky.request() for _ in range(200)]
earlier = heap_snapshot()
[leaky.request() for _ in range(200)]
later = heap_snapshot()
watch = {"interval": 0.02, "timestamps": True, "retval": True}
memory, (latency, stalled, began) = memory_usage((timeline, (heap_snapshot,)), **watch)
tracemalloc.stop()

# %% tags=["nbval-check-output"]
one, two = later.statistics("lineno"), later.compare_to(earlier, "lineno")
ch.verdict(
    "2.11",
    "sessions" in source_line(one[0]),
    {
        "one snapshot names first": source_line(one[0]),
        "the difference of two names first": source_line(two[0]),
    },
)

# %% [markdown]
# The largest is what belongs there. What grew between two looks is the leak. And a snapshot of a
# live service has a price that users pay (memory as memory_profiler's timeline has it):

# %%
figures.snapshot(ch, latency, stalled, [(mib, moment - began) for mib, moment in memory])

# %%
usual, worst = np.median(latency[:, 1]), latency[:, 1].max()
ch.measured(
    "2.11",
    f"the snapshot took {1e3 * np.ptp(stalled):.0f} ms, in which one request took "
    f"{worst:.0f} ms; the median is {usual:.1f} ms",
)

# %% [markdown]
# It holds the lock while it copies, and takes memory for the copy; everybody waits. Node's stops
# its event loop likewise; Go's is drawn from samples and costs little. Take a whole snapshot from a
# process that was taken out of the load balancer.

# %% [markdown]
# ## 2.12 A profile over the network
#
# No claim here. Like Go's `net/http/pprof` (the guide starts it on port 6060), the shop answers
# `/profile?seconds=1` with what a sampler within it has seen. Under load, as a **flame graph**:
# callers above, what they call below, and width is time. Dark boxes are the shop's and the book's
# own functions, light ones are libraries. Look for wide boxes at the bottom.

# %%
from concurrent.futures import ThreadPoolExecutor

products = [f"/products/{number}" for number in range(1, 1_001)]
with webapp(slow_every=20) as shop, ThreadPoolExecutor(1) as pool:
    fetched = pool.submit(shop.profile, seconds=1.5)
    load = run_load(shop, Closed(8, 2.0), route=products, watch=ch.live("product pages"))
figures.flames(fetched.result())

# %% [markdown]
# The event loop's thread on one side, the threads that count what was sold (for one product in
# twenty) on the other. Mind how this sampler looks: from within, when the lock is let go, so a call
# to the database, which lets go, is met more often than its neighbours. py-spy looks from outside.
# Even so, when this graph was first drawn it showed that our own middleware made two histograms for
# every request and threw them away.
#
# Such a page is a door into the process: bind it to the machine itself, as here and in the guide.

# %% [markdown]
# ## 2.13 Counters and threads
#
# > **Claim 2.13** Threads that add to one counter without a lock lose counts.
#
# Adding is three steps: read, add, write. The guide uses atomics in Rust, which do all three at
# once. Here two threads are held, by a barrier, between reading and writing.


# %%
def in_threads(work, threads):
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def add_twice(lock=None):
    """Two threads add 1; without a lock neither writes before both have read."""
    count, both_have_read = [0], threading.Barrier(2)

    def add():
        with lock or threading.Lock():
            now = count[0]
            if lock is None:
                both_have_read.wait()
            count[0] = now + 1

    in_threads(add, 2)
    return count[0]


# %% [markdown]
# Forced, it loses. Unforced, four threads add 100,000 each, with the lock handed on as often as the
# interpreter can:


# %%
def lost(add):
    """Of 400,000 additions, those that are missing."""
    count, usual = [0], sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    in_threads(lambda: [add(count) for _ in range(100_000)], 4)
    sys.setswitchinterval(usual)
    return 400_000 - count[0]


def in_one_line(count):
    count[0] += 1


def with_a_call_between(count):
    count[0] = slowpage.rounded(count[0], 1) + 1


missing = {add.__name__: lost(add) for add in (in_one_line, with_a_call_between)}
pd.Series(missing, name="lost of 400,000").to_frame()

# %% tags=["nbval-check-output"]
ch.verdict(
    "2.13",
    add_twice() < 2,
    {
        "counted of 2, both read before either writes": add_twice(),
        "counted of 2, with a lock": add_twice(threading.Lock()),
    },
)

# %%
ch.measured(
    "2.13",
    f"of 400,000 additions by four threads += lost {missing['in_one_line']:,}, "
    f"with a call between {missing['with_a_call_between']:,}",
)

# %% [markdown]
# On the interpreters that most people run, `+=` alone happens to lose nothing: it may be
# interrupted only where a loop turns back or a call begins. That is no promise, and an interpreter
# without the GIL does not keep it. Go, Java and C++ lose counts by the thousand.

# %% [markdown]
# ## Which tool when
#
# What each cost here, as a multiple of the time unwatched: the first three on the page of 2.1,
# tracemalloc on the small lists of 2.8.

# %%
base = np.median(seconds["unwatched"])
cost = {name: f"{np.median(took) / base:.1f}×" for name, took in seconds.items()}
cost |= {"tracemalloc": f"{traces['1 frame'].ratio:.1f}×"}
tools = {
    "sampler": (
        "where time goes, on a live service",
        "what holds the lock, unless weighed by time",
    ),
    "cProfile": ("how often what is called", "times of small calls; other threads before 3.12"),
    "line_profiler": ("which line of one function", "the cost of its own timer, line by line"),
    "tracemalloc": ("which line allocated; two snapshots", "C libraries"),
    "memory_profiler": ("resident memory by line or statement", "which object it was"),
    "psutil": ("what the system gave to the process", "who has it"),
}
pd.DataFrame(
    {name: {"best at": good, "blind to": blind, "cost here": cost.get(name, "–")}
     for name, (good, blind) in tools.items()}
).T  # fmt: skip

# %% [markdown]
# ## Exercises
#
# Each cell runs as it stands and says «not attempted». Replace the body of the function. Use what
# you like of Python and numpy, but nothing of `perflab`.
#
# **Exercise 1: what each look stands for.** A sampler began to look at `began`. `looks` is the list
# of its looks, each (seconds, function). Some came late, since a function held the lock: such a
# look names that function. Return a dictionary: each function's share of the time, from 0 to 1. It
# may be off by 0.03. `some_looks(seed)` gives you both to try, and the true shares.

# %%
from perflab.book.exercises.profiling import some_looks

began, looked, truth = some_looks(seed=1)
print(f"{len(looked)} looks, the first {looked[:3]}")
print("in truth:", {name: round(share, 2) for name, share in truth.items()})


def time_shares(began, looks):
    raise NotImplementedError("your turn")


ch.check(1, time_shares)

# %% [markdown]
# **Exercise 2: a histogram.** Latencies from 1 ms to 2 s. It has a list (or dictionary) `counts`
# with at most 400 entries, a count for each bucket; `record(seconds)`; `merge(other)`, which adds
# another one of its kind and leaves that as it is; and `percentile(p)`, p above 0 and up to 100, in
# seconds and within 1 %. Of n latencies in order that is the one with number p × n ÷ 100, rounded
# up (the nearest rank). It keeps no latencies.


# %%
class MyHistogram:
    def __init__(self):
        self.counts = [0] * 400

    def record(self, seconds):
        raise NotImplementedError("your turn")

    def merge(self, other):
        raise NotImplementedError("your turn")

    def percentile(self, p):
        raise NotImplementedError("your turn")


ch.check(2, MyHistogram)

# %% [markdown]
# **Exercise 3: mend the middleware.** Here is what the guide's from Go comes down to, without its
# wrapper for the status, as ASGI. That is how a Python server calls an application: `scope` says
# what came, `await receive()` gives the next message from the client, `await send(message)` sends
# one. Messages are dictionaries with a `type`: `http.response.start`, with the `status`, then one
# or more `http.response.body`. To see them, hand the application a `receive` and a `send` of your
# own. Where `scope["type"]` is not `"http"`, call the application as it is and log nothing.
#
# Mend it until it counts errors, streams, cancelled requests and clients that leave. `log` gets one
# line for each request, with the attributes below; `status` is None where none was sent. Exceptions
# go on: the application's to the server, those of `send` to the application. A cancelled request
# raises `asyncio.CancelledError`, which is no `Exception`, and counts as raised. A client that has
# left shows in one of two ways: `send` raises `OSError`, or `receive` returns a message of type
# `http.disconnect`. The time of one who left ends with the leaving, also if the application goes
# on.

# %%
from types import SimpleNamespace


def my_middleware(app, log, clock):
    raise NotImplementedError("your turn")  # delete this line

    async def timed(scope, receive, send):
        start, status = clock(), 200
        await app(scope, receive, send)
        seconds = clock() - start
        log(SimpleNamespace(status=status, seconds=seconds, slow=seconds > 1, ending="answered"))
        # ending: "answered", "raised" or "left"

    return timed


ch.check(3, my_middleware)

# %% [markdown]
# **Exercise 4: the leak report.** Eight processes, six hours each, and the report of a rule like
# the guide's.

# %%
from perflab.book.exercises.profiling import leak_report

processes = leak_report(seed=1)
pd.DataFrame(
    {
        letter: {
            "heap at the start (MB)": round(one.heap[0] / 1e6),
            "heap at the end (MB)": round(one.heap[-1] / 1e6),
            "alarm": "leak" if (one.heap - one.heap[0]).max() > 100 << 20 else "–",
        }
        for letter, one in sorted(processes.items())
    }
).T

# %% [markdown]
# Write `leaking`: given the processes by letter (a dictionary), return the set of letters that
# leak. Each process has the arrays `seconds`, `heap` and `resident` (bytes), with a look every 30
# s; garbage is collected every few minutes. A leak is at least 8 MB an hour, begins in the first
# four hours and goes on to the end; what rises and then stands still is none. The same kinds come
# back with other numbers and under other letters.


# %%
def leaking(processes):
    raise NotImplementedError("your turn")


ch.check(4, leaking)

# %% [markdown]
# ## Scoreboard

# %%
ch.scoreboard()

# %% [markdown]
# ## What to remember
#
# - A tracing profiler counts truly and times falsely: small calls pay for its work.
# - Before you mend it, measure what the page gains if it cost nothing.
# - Weigh a look by its time, or what holds the lock disappears.
# - Ask which clock a profile goes by. Waiting is not on the CPU's.
# - A middleware starts after the queue. Count every request in a `finally`, also those who leave.
# - Three numbers hide a tail. A histogram costs 13 kB and merges.
# - A leak is a slope of the floor, not a height.
# - The heap is not the process. Have resident memory beside it.
# - One snapshot shows what is large, two show what grows.
# - Watching costs. Measure that, too.
