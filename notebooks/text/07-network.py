# %% [markdown]
# # 7 Network
#
# **Chapter 7 of 10** · 50 minutes to read and predict, exercises apart · the experiments run for
# about 40 seconds
#
# Of the network the guide says two things: keep connections in a pool, and compress what you send.
# Both are good advice, and both come with code. This chapter counts what they bring. It counts at
# the socket, at the server, or in a **link**: a program between client and server that is as slow
# as we ask it to be, and that notes every connection, every byte, and every change of direction.
# Some claims are not the guide's: formats, small writes, the backlog and the first round trips are
# beliefs that one meets wherever services talk to each other.
#
# You need chapter 1: percentiles, and requests in flight.
#
# **You will be able to**
#
# - say how many round trips a request takes, before you send it;
# - set the limits of an HTTP client, and tell what a limit that is too low looks like;
# - compute the bandwidth below which compression pays;
# - judge a middleware that compresses;
# - recognise two waits that no profile of the processor shows: 40 ms and one second.

# %%
import heapq
import http.client
import json
from collections import Counter
from time import perf_counter, thread_time

import msgpack
import numpy as np
import pandas as pd
import psutil

from perflab.book import Chapter, Interval, Place, YesNo, knob, show_source
from perflab.book.figures import network as figures
from perflab.contracts import checks_of, compression, judge
from perflab.experiments import ports, tcp
from perflab.experiments.countedserver import in_bursts
from perflab.experiments.filesite import fetch, filesite
from perflab.experiments.linkerror import link_error
from perflab.experiments.rawclient import RawClient, asked
from perflab.experiments.webpages import ROUTES, listed, products
from perflab.guide.compression import compression_middleware
from perflab.guide.httpclients import HTTPClientPool, new_http_client
from perflab.measure import ModelServer, allocations, compare, in_flight, trace_memory
from perflab.systems import Open, link, run_load, run_model, webapp
from perflab.systems.compression import ENCODERS, CompressionMiddleware

ch = Chapter(7)

# %% [markdown]
# ## The mystery
#
# A small service answers within a millisecond, as long as each request comes over a new connection.
# A team reads that connections should be kept alive, and keeps them. Now almost every answer takes
# a bit more than 40 ms. Nothing else has changed, and no processor is busy.
#
# Where do the 40 ms come from? Vote now; the evidence comes in section 7.7.

# %%
ch.mystery(
    "What takes 40 ms on a connection that is kept?",
    (
        "the server: it looks at its idle connections only now and then",
        "the answer: it is written in two pieces, and the second one waits",
        "the client: it checks that the connection still lives before it asks",
    ),
)

# %% [markdown]
# ## 7.1 Keeping a connection
#
# > **Claim 7.1** Keeping a connection alive saves time.
#
# Before the first byte of a request can leave, TCP has to agree on a connection: one **round
# trip**, there and back. Under https, TLS then agrees on keys (the **handshake**). TLS 1.2 takes
# two more round trips for it, or one where the client **resumes** a session that both sides
# remember. TLS 1.3 takes one, resumed or not. (It has a mode that saves this one too, «0-RTT»,
# which is not used here.) The request itself takes one.
#
# A link is an instrument, and no instrument is exact. So before it is used: what does it give for
# what it is asked?

# %%
link_error().round(1)

# %% [markdown]
# For a bandwidth, answers that should take a tenth of a second came over one connection; for a
# round trip, 200 bytes went there and back. A round trip is some part of a millisecond longer than
# asked, for the link and both ends have to be woken up each time. Differences below that are not
# the network's.
#
# The link below makes a round trip of 20 ms, as between two cities. With TLS 1.2, how many times as
# long does a request take on a new connection as on a kept one?

# %%
ch.predict("7.1", Place("A request on a new TLS 1.2 connection takes", "×", (1, 10)))

# %%
runs = {}
for name, tls in {"plain": "", "TLS 1.2": "1.2", "TLS 1.3": "1.3"}.items():
    with webapp(tls=tls) as shop:
        runs[f"{name}, kept"] = asked(shop, 10)
        runs[f"{name}, new"] = asked(shop, 10, kept=False)
        if tls:
            runs[f"{name}, resumed"] = asked(shop, 10, kept=False, resume=True)

# %%
shown = ("TLS 1.2, new", "TLS 1.3, new", "plain, new", "TLS 1.2, kept")
figures.kept(ch, {name: runs[name] for name in shown})

# %% [markdown]
# Each line lies a little above its number of round trips; what it lies above is computing. («Plain»
# is http, without TLS.) The kept connection pays for its opening once, in its first request, and
# then only for the way there and back. Memory does not move: what a closed connection held is given
# back.
#
# The link has counted: a round trip for each TCP connection, and one for each time that the
# direction turned towards the client. Ten requests over one kept TLS 1.2 connection should come to
# 1 for TCP, 2 for TLS and 10 for the requests.

# %%
trips = pd.DataFrame(
    {
        name: {
            "connections": run.connections,
            "of them resumed": run.resumed,
            "round trips": run.round_trips,
            "median (ms)": round(1e3 * np.median(run.seconds)),
        }
        for name, run in runs.items()
    }
).T
trips.rename_axis("ten requests")

# %% tags=["nbval-check-output"]
ch.verdict(
    "7.1",
    all(
        runs[f"{name}, kept"].round_trips < runs[f"{name}, new"].round_trips
        for name in ("plain", "TLS 1.2", "TLS 1.3")
    ),
    {
        f"{name}: round trips for ten requests": f"{run.round_trips}, over {run.connections} "
        f"connection{'s' if run.connections > 1 else ''}"
        for name, run in runs.items()
    },
)

# %%
ratio = np.median(runs["TLS 1.2, new"].seconds) / np.median(runs["TLS 1.2, kept"].seconds)
with webapp(tls="1.3") as shop:
    kept, new = RawClient(shop, shop.authority), RawClient(shop, shop.authority, kept=False)
    both = {"kept": lambda: kept.get(), "new": lambda: new.get()}
    near = compare(both, budget_s=ch.pick(quick=1.0, full=5.0)).other
    kept.close()
ch.measured(
    "7.1",
    f"TLS 1.2 over 20 ms: a new connection {ratio:.1f}× a kept one; TLS 1.3 without a link "
    f"{near.ratio:.0f}× ({near.low:.0f}–{near.high:.0f})",
    holds=bool(ratio > 1 and near.low > 1),
    outcome=ratio,
)

# %% [markdown]
# The claim holds, and for two different reasons. Far away, round trips cost. On the same machine
# there is no distance, and the second number above is the processor's: a handshake computes keys
# and checks a certificate. That is why one resumes a session under TLS 1.3 as well: it saves no
# round trip, but some of this work.
#
# **At work:** `run_load` reports `connect_time` and `tls_time` of each request. A client library
# that opens a connection for each call shows up there at once.

# %% [markdown]
# ## 7.2 Clients in turn
#
# > **Claim 7.2** Several clients taken in turn beat one client.
#
# An HTTP client keeps connections for you. The guide makes several such clients and hands them out
# in turn. Ported:

# %%
show_source(HTTPClientPool)

# %% [markdown]
# In Go the counter is behind a lock, and that part is right. Each client has connections of its
# own. It opens as many as its requests need: over HTTP/1.1 a connection carries one request at a
# time (for HTTP/2 see 7.8). When a request is done, its connection is **idle**, and a client keeps
# at most 10 idle ones to a host (Go's own default is 2); the rest it closes.
#
# Below, 20 bursts of 50 requests, over a link with a round trip of 10 ms. The server holds its
# answers back until all 50 are there, so no request can use the connection that another has just
# finished with. How many connections will **one** such client have opened in the end?

# %%
ch.predict("7.2", Interval("Connections of one client after 20 bursts of 50", "", (10, 2_000)))


# %%
def one_client(connect):
    client = new_http_client(connect)
    return lambda: client


def five_in_turn(connect):
    return HTTPClientPool(5, connect).get


def right_limit(connect):
    client = connect(idle=50)
    return lambda: client


# %% [markdown]
# `connect(idle=…)` makes a client that keeps so many idle connections. `new_http_client`, the
# guide's, calls it with 10.

# %%
ways = {"one client": one_client, "five in turn": five_in_turn, "right limit": right_limit}
burst_runs = {name: await in_bursts(clients) for name, clients in ways.items()}
figures.bursts(ch, burst_runs)

# %% [markdown]
# One client with the guide's limit opens 50 connections in the first burst, keeps 10, and throws 40
# away. The next burst opens 40 again, and its requests pay the round trip of a new connection. Five
# clients keep 5 × 10, which happens to be 50, so none is thrown away. It is the fifty connections
# kept that make five clients faster than one, and not the turns: they hid a limit. One client whose
# limit fits does the same with less to get wrong. (The first bursts are slow for everybody: all
# have to connect.)
#
# And where nobody bursts? One user, twenty requests, one after the other:

# %%
alone = {name: await in_bursts(clients, burst=1) for name, clients in ways.items()}

# %% tags=["nbval-check-output"]
opened = {name: int(run.connections[-1]) for name, run in burst_runs.items()}
in_sequence = {name: int(run.connections[-1]) for name, run in alone.items()}
ch.verdict(
    "7.2",
    opened["five in turn"] < opened["right limit"]
    or in_sequence["five in turn"] < in_sequence["right limit"],
    {
        f"{name}: connections for bursts, and for one user": f"{opened[name]}, {in_sequence[name]}"
        for name in ways
    },
)

# %%
slow = {name: 1e3 * np.median(run.seconds) for name, run in burst_runs.items()}
ch.measured(
    "7.2",
    "slowest of a burst, median: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in slow.items()),
    outcome=opened["one client"],
)

# %% [markdown]
# For one user, five clients in turn open five connections where one is enough, and four of the five
# are paid for with a round trip each.
#
# **At work:** in Go set `MaxIdleConnsPerHost` to the requests that you have under way at once, and
# `MaxIdleConns`, the limit for all hosts together, no lower. In httpx `max_keepalive_connections`
# is for all hosts together. A limit that is too low shows at the server: it sees new connections
# all the time, though its clients stay the same.

# %% [markdown]
# ## 7.3 A limit at the client
#
# > **Claim 7.3** The limit of a client's pool protects the server.
#
# The limit of 7.2 was for idle connections: a client beyond it opens new ones. A limit for **all**
# connections is another matter (`MaxConnsPerHost` in Go; the guide's client sets none). A client
# that may use four connections never has more than four requests at the server. The others wait,
# and they wait where the server cannot see them. On virtual time, with a server that takes 5 ms
# whatever comes, and 380 requests a second that arrive at random (1.9 in flight on average):


# %%
def limited(connections):
    """What a limit does: most at the server, its time for each, and waits at the client, in ms."""
    load = Open(380, ch.pick(quick=10, full=100), "poisson")
    run = run_model(ModelServer(slots=1_000, service=0.005), load, connections=connections)
    there = in_flight((run.start * 1e9).astype(np.int64), (run.end * 1e9).astype(np.int64))
    wait = [1e3 * run.percentile(p, "wait_time") for p in (50, 99)]
    return there.count.max(), 1e3 * run.percentile(99, "service_time"), *wait


columns = ["most at the server", "server p99 (ms)", "wait p50 (ms)", "wait p99 (ms)"]
limits = pd.DataFrame([limited(k) for k in (2, 3, 4, 16)], (2, 3, 4, 16), columns)
limits.rename_axis("connections").round(1)

# %% [markdown]
# The «wait» is the time that a request spends in the client, until a connection is free. A
# dashboard at the server shows 5 ms in every row. Only the client knows of the wait.
#
# Who waits matters too. Some pools keep their waiters on a stack: the newest is served first. Below
# come 720 requests a second to four connections, 5 ms each; the same arrivals twice, served oldest
# first and newest first.


# %%
def waits(newest_first, places=4, service=0.005, rate=720, count=20_000):
    """The wait of each request in ms, oldest or newest served first."""
    arrivals = np.cumsum(np.random.default_rng(1).exponential(1 / rate, count))
    free, waiting, waited = [0.0] * places, [], []
    for arrival in [*arrivals, np.inf]:
        while waiting and free[0] <= arrival:
            came = waiting.pop(-1 if newest_first else 0)
            begin = max(free[0], came)
            waited.append(1e3 * (begin - came))
            heapq.heapreplace(free, begin + service)
        waiting.append(arrival)
    return np.array(waited)


# %% [markdown]
# `free` is a heap: its first entry tells when the next connection is free.

# %%
oldest, newest = waits(newest_first=False), waits(newest_first=True)
pd.DataFrame(
    {
        name: {"mean": one.mean(), "p50": np.median(one), "p99": np.percentile(one, 99)}
        for name, one in {"oldest first": oldest, "newest first": newest}.items()
    }
).T.round(1).rename_axis("wait (ms)")

# %% tags=["nbval-check-output"]
ch.verdict(
    "7.3",
    all(most <= limit for limit, most in limits["most at the server"].items()),
    {
        "most at the server with 2, 3, 4 connections": ", ".join(
            f"{most:.0f}" for most in limits["most at the server"][:3]
        ),
        "the server's p99 is the same for every limit": limits["server p99 (ms)"].round(6).nunique()
        == 1,
        "newest first has the lower median wait": bool(np.median(newest) < np.median(oldest)),
        "newest first has the higher p99": bool(
            np.percentile(newest, 99) > np.percentile(oldest, 99)
        ),
        "the mean wait is the same": bool(np.isclose(newest.mean(), oldest.mean())),
    },
)

# %%
seen = {}
with webapp(slots=16, service_ms=5) as shop:
    for limit in (2, 16):
        shop.reset_trace()
        load = Open(250, ch.pick(quick=1.5, full=10), "poisson")
        run = run_load(shop, load, route="/pay", connections=limit, grace=3)
        server, client = 1e3 * np.median(shop.trace().response), 1e3 * run.percentile(95)
        seen[limit] = f"{limit} connections: server p50 {server:.1f} ms, client p95 {client:.0f} ms"
ch.measured("7.3", "live, 250/s: " + "; ".join(seen.values()))

# %% [markdown]
# The claim holds, and the client pays for it: it waits. Whoever looks at the median alone would
# choose newest first, which leaves a few waiting very long. Look at the p99, and serve in the order
# of arrival.

# %% [markdown]
# ## 7.4 When compression pays
#
# > **Claim 7.4** Compression makes answers faster.
#
# It takes time to compress, and it saves time on the wire. So there is a bandwidth at which the two
# are equal: bits saved ÷ seconds of computing. Below it compression pays. The list below is a
# hundred kilobytes of JSON; gzip has levels from 1, the quickest, to 9, the smallest. At which
# bandwidth does level 9 stop paying?

# %%
ch.predict("7.4", Interval("Gzip at level 9 stops paying at", "Mbit/s", (1, 10_000)))


# %%
def cost(data, level, encoding="gzip", times=15):
    """Bytes of the compressed data; medians of the seconds of computing, and until it is done."""
    seconds = []
    for _ in range(times):
        began = thread_time(), perf_counter()
        packed = ENCODERS[encoding](level).end(data)
        seconds.append((thread_time() - began[0], perf_counter() - began[1]))
    return len(packed), *np.median(seconds, axis=0)


body, levels = listed(), (1, 6, 9)
costs = {f"gzip {level}": cost(body, level) for level in levels}
costs |= {"zstd 3": cost(body, 3, "zstd"), "brotli 11": cost(body, 11, "br", times=2)}
even = {name: 8e-6 * (len(body) - size) / cpu for name, (size, cpu, _) in costs.items()}

# %%
columns = ["bytes", "computes (ms)", "takes (ms)"]
weighed = pd.DataFrame(costs, columns).T * [1, 1e3, 1e3]
weighed.assign(**{"pays below (Mbit/s)": even}).round(1).astype({"bytes": int})

# %% [markdown]
# «Computes» is time of the processor, «takes» is time on the clock. zstd and brotli are younger
# formats than gzip. Brotli's highest level is for what is compressed once and sent often.
#
# That was computed. Now the same list really comes over a link, at four bandwidths, plain and
# compressed by turns. Where a level's line is below the grey one, it pays. The dashed lines are
# where the table says that a level stops paying.

# %%
mbits, resident = (5, 20, 80, 250), []
kinds = {"plain": "plain/0", **{f"gzip {level}": f"gzip/{level}" for level in levels}}
took = {name: {mbit: [] for mbit in mbits} for name in kinds}
with webapp(routes=ROUTES) as shop, link(shop) as wire, RawClient(wire) as client:
    for mbit in mbits:
        wire.set(bandwidth=1e6 * mbit)
        for _ in range(ch.pick(quick=6, full=60)):
            for name, path in kinds.items():
                took[name][mbit].append(client.get(f"/list/{path}"))
        resident.append(psutil.Process(shop.pid).memory_info().rss)

# %%
figures.compressed(ch, took, resident, even)

# %% [markdown]
# On the left every level wins, for there the size decides. To the right the size matters less and
# less, and a line flattens out at the time that its level computes. A high level buys a few bytes
# with much time: compare the levels in the table. Memory stays as it is; a compressor is given back
# after each answer.
#
# Not everything gets smaller. These sizes do not depend on the machine, and the last row is
# arithmetic, for a level that saves 80 kB in 20 ms:

# %% tags=["nbval-check-output"]
random = np.random.default_rng(1).bytes(100_000)
size = {
    name: cost(data, 6, times=1)[0]
    for name, data in {"list": body, "eleven": b"hello world", "random": random, "": b""}.items()
}
ch.verdict(
    "7.4",
    size["list"] < len(body) and size["eleven"] < 11 and size["random"] < len(random),
    {
        "the list shrinks to less than a quarter": size["list"] < len(body) / 4,
        "eleven bytes become more": size["eleven"] > 11,
        "random bytes become more": size["random"] > len(random),
        "an empty answer becomes": f"{size['']} bytes",
        "a level that takes 20 ms for 80 kB stops paying at": f"{8 * 80e3 / 0.02 / 1e6:.0f} Mbit/s",
    },
)


# %%
def gain(name, mbit):
    """How many times as long the plain answer takes: median, lowest and highest of the rounds."""
    rounds = np.array(took["plain"][mbit]) / np.array(took[name][mbit])
    return f"{np.median(rounds):.1f}× ({rounds.min():.1f}–{rounds.max():.1f})"


ch.measured(
    "7.4",
    f"plain ÷ gzip 6 at {mbits[0]} Mbit/s {gain('gzip 6', mbits[0])}; plain ÷ gzip 9 at "
    f"{mbits[-1]} Mbit/s {gain('gzip 9', mbits[-1])}; gzip 9 by computation up to "
    f"{even['gzip 9']:.0f} Mbit/s",
    outcome=even["gzip 9"],
)

# %% [markdown]
# So the claim as it stands does not hold: below a bandwidth yes, above it no, and for what is small
# or compressed already never.
#
# Do the lines of the figure cross «plain» at their dashed lines? Where the machine has other things
# to do (here the client and the link run on it too) they cross further left, the high levels most
# of all. The table's two columns of times hint at the reason: what computes for more than some
# milliseconds is interrupted by what else wants the processor, and takes longer than it computes. A
# server under load is such a machine. The break-even that counts is the one under load.
#
# **Try it.** Which level would you take for your users?


# %%
def pays(level=6, mbit=50):
    """What compression costs and saves on such a link."""
    size, cpu, _ = cost(body, level, times=3)
    saved = 8e-3 * (len(body) - size) / mbit
    print(f"level {level}: costs {1e3 * cpu:.1f} ms, saves {saved:.1f} ms on the wire")


knob(pays, level=(1, 9), mbit=(1, 1_000))

# %% [markdown]
# ## 7.5 Who may be sent what
#
# > **Claim 7.5** The guide's middleware negotiates compression as HTTP demands.
#
# The guide wraps each handler: if the header `Accept-Encoding` contains «gzip», the answer goes
# through a gzip writer. As printed it does not compile in Go, because its writer inherits two
# things called `Header`, a method and a field, and Go chooses neither. Ported is what it does once
# that is mended.
#
# HTTP's standard (RFC 9110) has more to say on the matter than one word. Four terms:
#
# - the names in `Accept-Encoding` may have **weights**: `br, gzip;q=0.5` likes gzip half as much,
#   and `gzip;q=0` does not want it;
# - `Vary` tells caches on the way which headers of the request the answer depends on;
# - an `ETag` names a version of the answer. A **strong** one promises the same bytes; a **weak**
#   one, `W/"…"`, the same content;
# - status 206 brings a part of a file, counted in its bytes; 204 and 304 have no body.
#
# Of the nineteen checks below, how many will the guide's middleware pass?

# %%
ch.predict("7.5", Place("The guide's middleware passes", "of 19 checks", (0, 19)))

# %%
ch.contract(compression, guide=compression_middleware, ours=CompressionMiddleware)

# %% [markdown]
# What a failed check means for a client: here is the guide's middleware in the live server, around
# a handler that says how long its answer is, as well-behaved handlers do.

# %%
with webapp(routes=ROUTES) as shop:
    connection = http.client.HTTPConnection("127.0.0.1", shop.port)
    connection.request("GET", "/declared/", headers={"accept-encoding": "gzip"})
    answer = connection.getresponse()
    try:
        answer.read()
    except http.client.IncompleteRead as error:
        print(f"{answer.headers['content-length']} bytes declared; then the end: {error}")
    connection.close()

# %% [markdown]
# The handler declared its ten thousand bytes, the middleware sent some seventy, and the client sees
# a connection that breaks. In Go the same happens.
#
# And it costs. Each answer gets a compressor of its own, with some 300 kB of tables (in Go 814 kB),
# whatever its size. Ours makes one only when there is something to compress.


# %%
def needs(make, size):
    """Seconds (median), and the most bytes held, for one answer of this size."""
    application, seconds = compression.answer((compression.TEXT * 9)[:size]), []
    for _ in range(30):
        began = perf_counter()
        compression.ask(make, application)
        seconds.append(perf_counter() - began)
    held = allocations(lambda: compression.ask(make, application)).peak_bytes
    return np.median(seconds), held


sizes = [11, 400, 1_000, 10_000, 100_000]
makers = {"guide's": compression_middleware, "ours": CompressionMiddleware}
needed = {name: [needs(make, size) for size in sizes] for name, make in makers.items()}

# %%
figures.middlewares(
    ch,
    sizes,
    {name: [seconds for seconds, _ in rows] for name, rows in needed.items()},
    {name: [held for _, held in rows] for name, rows in needed.items()},
)

# %% [markdown]
# In time there is little between them: ours takes up to some hundredths of a millisecond more. In
# memory there is much. Under 500 bytes ours leaves the answer alone, and needs no tables. A hundred
# small answers under way at once are 30 MB in the guide's version.

# %% tags=["nbval-check-output"]
judged = {name: list(judge(compression, make).values()) for name, make in makers.items()}
of_guide, of_ours = (sum(one.holds for one in found) for found in judged.values())
statements = [one.statement for one in checks_of(compression)]
ch.verdict(
    "7.5",
    of_guide == len(statements),
    {
        "checks that the guide's passes": f"{of_guide} of {len(statements)}",
        "checks that ours passes": f"{of_ours} of {len(statements)}",
        "the first that the guide's breaks": next(
            one for one, found in zip(statements, judged["guide's"], strict=True) if not found.holds
        ),
    },
)

# %%
(_, guide_holds), (_, ours_holds) = (rows[0] for rows in needed.values())
ch.measured(
    "7.5",
    f"for 11 bytes the guide's holds {guide_holds / 1e3:.0f} kB, ours {ours_holds / 1e3:.0f} kB",
    outcome=of_guide,
)

# %% [markdown]
# **At work:** let the proxy in front do it (nginx, Caddy), or a middleware that is tested by
# others, and try that one too: Starlette's own fails five of the nineteen checks.

# %% [markdown]
# ## 7.6 Smaller formats
#
# > **Claim 7.6** A smaller format saves bytes on the wire.
#
# MessagePack writes the same data as JSON in a binary form, without quotes and commas. Below it is
# the list of 7.4, with as few blanks in its JSON as can be.

# %%
rows = products()
formats = {
    "JSON": json.dumps(rows, separators=(",", ":")).encode(),
    "MessagePack": msgpack.packb(rows),
}
sizes_of = pd.DataFrame(
    {name: {"bytes": len(data), "gzipped": cost(data, 6)[0]} for name, data in formats.items()}
).T
sizes_of

# %% tags=["nbval-check-output"]
plain, packed = sizes_of["bytes"], sizes_of["gzipped"]
ch.verdict(
    "7.6",
    bool(packed["MessagePack"] < packed["JSON"]),
    {
        "MessagePack is smaller than JSON": bool(plain["MessagePack"] < plain["JSON"]),
        "gzipped, MessagePack is smaller than JSON": bool(packed["MessagePack"] < packed["JSON"]),
        "gzipped JSON is smaller than MessagePack": bool(packed["JSON"] < plain["MessagePack"]),
    },
)


# %%
def timed(work, times=20):
    """Median of the milliseconds that it takes."""
    seconds = []
    for _ in range(times):
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return 1e3 * np.median(seconds)


ch.measured(
    "7.6",
    f"writing: JSON {timed(lambda: json.dumps(rows)):.2f} ms, MessagePack "
    f"{timed(lambda: msgpack.packb(rows)):.2f} ms; reading: JSON "
    f"{timed(lambda: json.loads(formats['JSON'])):.2f} ms, MessagePack "
    f"{timed(lambda: msgpack.unpackb(formats['MessagePack'])):.2f} ms",
)

# %% [markdown]
# Uncompressed the claim holds, by a few per cent. But quotes and commas repeat, and what repeats
# costs next to nothing after gzip. So little is gained by leaving them out, and compressed, this
# list is even smaller as JSON. Choose a binary format for the time that it takes to write and read.

# %% [markdown]
# ## 7.7 Two small writes
#
# > **Claim 7.7** Small writes to a socket are free.
#
# Back to the mystery. The service sends each answer in two writes: the header, then the body. TCP's
# receiver tells its sender what has arrived: it **acknowledges**. Two old rules meet there.
# **Nagle's** rule, at the sender: while a small packet is unacknowledged, hold the next small one
# back. **Delayed acknowledgement**, at the receiver: wait up to 40 ms before you acknowledge, for
# perhaps there is something to send along. The sender waits for the acknowledgement, the receiver
# waits for data. The socket option `TCP_NODELAY` turns Nagle's rule off.
#
# Suppose that the service sends the same bytes in one write. Do the 40 ms go away?

# %%
ch.predict("7.7", YesNo("Do the same bytes in one write avoid the wait?"))

# %%
count = ch.pick(quick=20, full=200)
with trace_memory() as memory:
    writing = {
        "two writes, kept": tcp.small_writes(count),
        "two writes, new": tcp.small_writes(count, kept=False),
        "two, TCP_NODELAY": tcp.small_writes(count, no_delay=True),
        "one write, kept": tcp.small_writes(count, writes=1),
    }

# %%
figures.writes(ch, writing, memory.trace)

# %% [markdown]
# On Linux a new connection acknowledges at once for its first few packets; that is why nobody saw
# the wait before. On a kept connection nearly every answer runs into it. Nothing computes
# meanwhile, and memory is the same in all four: neither a CPU profile nor a memory profile shows
# it, and a profile by the wall clock shows a client that waits for its answer, and not why.
#
# The kernel can be asked. Right after the server's last write: has it sent everything? (Linux
# tells; elsewhere the claim is not judged.)

# %% tags=["nbval-check-output"]
held = {name: run.held_back for name, run in writing.items()}
waiting = tcp.on_linux(bool(held["two writes, kept"] and held["two writes, kept"] > count / 2))
ch.verdict(
    "7.7",
    not waiting,
    {
        "writes for an answer": f"{writing['two writes, kept'].writes}, repaired "
        f"{writing['one write, kept'].writes}",
        "two writes, kept: the kernel holds most answers back": waiting,
        "with TCP_NODELAY it holds none back": tcp.on_linux(held["two, TCP_NODELAY"] == 0),
        "in one write it holds none back": tcp.on_linux(held["one write, kept"] == 0),
    },
)

# %%
ms = {name: 1e3 * np.quantile(run.seconds, (0.05, 0.5, 0.95)) for name, run in writing.items()}
ch.measured(
    "7.7",
    "median (range of nine in ten): "
    + "; ".join(f"{name} {m:.2f} ms ({low:.2f}–{high:.2f})" for name, (low, m, high) in ms.items()),
    outcome="yes" if ms["one write, kept"][1] < 20 else "no",
)
ch.solved("the answer: it is written in two pieces, and the second one waits")

# %% [markdown]
# **The mystery is solved.** The two writes were there before; keeping the connection made them
# show.
#
# **At work:** put an answer together before you write it. Most HTTP servers do, and most set
# TCP_NODELAY (Go, Node.js and nginx by default). On a bare socket in Python or C you have to see to
# both yourself.

# %% [markdown]
# ## 7.8 Side by side
#
# > **Claim 7.8** Requests run side by side only over more connections.
#
# Sixty small files over TLS, on a link with a round trip of 20 ms: over one connection in turn;
# over six, as browsers do with HTTP/1.1; and over one that speaks HTTP/2, where requests share a
# connection.

# %%
ways = {"in turn": {}, "six": {"connections": 6}, "HTTP/2": {"http2": True}}
fetched, counted = {}, {}
with filesite(60) as site, link(site, delay=0.010) as wire:
    for name, how in ways.items():
        wire.forget()
        fetched[name] = fetch(wire, site.paths, site.authority, **how)
        counted[name] = wire.counts()

# %%
figures.files(ch, fetched)

# %% [markdown]
# The flat beginning is the opening of the connection. In turn each file waits for the one before
# it. HTTP/2 asks for all sixty in one go, and the answers come interleaved. The link counted
# connections, bytes, and turns, which are changes of direction: two make a round trip.

# %% tags=["nbval-check-output"]
turns = {name: one.turns for name, one in counted.items()}
ch.verdict(
    "7.8",
    turns["HTTP/2"] > 60,
    {
        "connections": ", ".join(f"{name} {one.connections}" for name, one in counted.items()),
        "in turn: a round trip a file": turns["in turn"] >= 2 * 60 - 1,
        "HTTP/2: a tenth of that, or less": 10 * turns["HTTP/2"] <= turns["in turn"],
        "HTTP/2: less than half the bytes up": 2 * counted["HTTP/2"].bytes_up
        < counted["in turn"].bytes_up,
    },
)

# %%
ch.measured(
    "7.8",
    "; ".join(
        f"{name} {1e3 * run.seconds:,.0f} ms, {counted[name].bytes_up:,} bytes up"
        for name, run in fetched.items()
    ),
)

# %% [markdown]
# The bytes that it saves are headers: each request repeats them, and HTTP/2 sends those that repeat
# as one byte or two. What the link does not do is lose packets. Where they are lost, all requests
# of the one connection wait for the packet that is missing.

# %% [markdown]
# ## 7.9 A full backlog
#
# > **Claim 7.9** A full backlog slows every client a little.
#
# Connections that the kernel has made and that the server has not yet accepted wait in its
# **backlog**. Forty clients come at once, and the server is busy for a fifth of a second before it
# begins to accept. With room for 128, and with room for 8:

# %%
long, short = (tcp.backlog(limit, clients=40) for limit in (128, 8))
backlogs = {"backlog 128": long, "backlog 8": short}
figures.queue(ch, backlogs)

# %% [markdown]
# Nobody is slowed a little. (Nine, not eight: Linux lets in one more than the limit.) Who finds the
# queue full gets no refusal either: the packet is dropped, and the client sends it again after a
# second. When later attempts come differs from kernel to kernel; the first second does not.

# %% tags=["nbval-check-output"]
ch.verdict(
    "7.9",
    not tcp.on_linux(short.between == 0),
    {
        "on Linux, with a backlog of 8, nine connect at once": tcp.on_linux(short.at_once == 9),
        "nobody else connects within 0.9 s": tcp.on_linux(short.between == 0),
        "with a backlog of 128 all forty do": tcp.on_linux(long.at_once == 40),
    },
)

# %%
late = short.seconds[short.at_once :]
ch.measured(
    "7.9",
    f"backlog 8: {short.at_once} connected within {1e3 * short.seconds[short.at_once - 1]:.1f} ms, "
    f"the next after {1e3 * np.nanmin(late) if late.size else 0:,.0f} ms",
)

# %% [markdown]
# **At work:** latencies that pile up just above one second are dropped connection attempts until
# proved otherwise (`nstat -az TcpExtListenDrops`).

# %% [markdown]
# ## 7.10 The first round trips
#
# > **Claim 7.10** A new connection has the full speed of the link at once.
#
# A sender does not know how much the network can take. So it begins with ten packets, and sends
# twice as many in each further round trip: **slow start**. Below this is a model: the most that can
# have arrived. Real systems pace themselves and acknowledge late.

# %%
PACKET, FIRST = 1_448, 10
after = PACKET * FIRST * (2.0 ** np.arange(1, 9) - 1)
rates = {"100 Mbit/s, 20 ms": 100e6 * 0.020 / 8, "10 Mbit/s, 20 ms": 10e6 * 0.020 / 8}
figures.slow_start(ch, {name: each * np.arange(1, 9) for name, each in rates.items()}, after)

# %% [markdown]
# The other two lines are what a link could carry from the start. Where a link's line is the higher
# one, slow start is the limit; where it is the lower one, the link is. A large answer therefore
# costs several round trips on a new connection, however fast the link is.
#
# On any connection, round trips are also saved by asking for many things at once: fifty items,
# asked for one by one, or all in one write on the same connection (**pipelining**). This the link
# counts.


# %%
def trips_for(size):
    """Round trips until so many bytes have arrived on a new connection, at least."""
    return int(np.argmax(after >= size)) + 1


with webapp() as shop, link(shop, delay=0.002) as wire:
    with RawClient(wire) as client:
        for number in range(1, 51):
            client.ask([f"/products/{number}"])
    singly = (wire.counts().turns + 1) // 2
    wire.forget()
    with RawClient(wire) as client:
        client.ask([f"/products/{number}" for number in range(1, 51)])
    together = (wire.counts().turns + 1) // 2

# %% tags=["nbval-check-output"]
ch.verdict(
    "7.10",
    bool(after[0] >= rates["100 Mbit/s, 20 ms"]),
    {
        "a link of 100 Mbit/s carries in 20 ms": f"{rates['100 Mbit/s, 20 ms'] / 1e3:.0f} kB",
        "a new connection sends in its first round trip": f"{after[0] / 1e3:.1f} kB",
        "round trips for 14 kB, 100 kB, 1 MB": ", ".join(
            f"{trips_for(size)}" for size in (14e3, 1e5, 1e6)
        ),
        "fifty items singly, round trips": singly,
        "fifty items in one write, round trips": together,
    },
)

# %% [markdown]
# **Try it.** Where does a larger answer cost a round trip more?


# %%
def arrives(kilobytes=100, round_trip_ms=20):
    """The least time that an answer takes on an open, new connection of any bandwidth."""
    trips = trips_for(1e3 * kilobytes)
    print(f"{kilobytes} kB: {trips} round trips of data, {trips * round_trip_ms} ms")


knob(arrives, kilobytes=(1, 3_000), round_trip_ms=(1, 200))

# %% [markdown]
# This is one more reason to keep connections, and why the first 14 kB of a page come sooner than
# the rest. (A connection that was idle for long starts slowly again, on Linux by default.)

# %% [markdown]
# ## 7.11 Ports
#
# > **Claim 7.11** A client never runs short of ports.
#
# A connection is four numbers: two addresses and two ports. Towards one server a client has only
# its own port to vary, some 28,000 of them by default on Linux. And the side that closes first
# keeps the port for a minute (**TIME_WAIT**), so that late packets reach nobody else. Three
# hundred connections, opened and closed by the client; and a client with twenty ports that wants
# twenty-five connections (`EADDRNOTAVAIL` means that no port is left). But first one that asks on
# an idle connection which the server has closed.

# %%
idle = ports.on_a_closed_connection()
print("on a connection that the server has closed:", idle)
left, became = ports.left_behind(300), ports.with_few_ports(20, 25)
print("TIME_WAIT:", left)
print("twenty ports:", dict(Counter(became)))

# %% tags=["nbval-check-output"]
first_failure = 1 + [one == "connected" for one in became].index(False)
ch.verdict(
    "7.11",
    not tcp.on_linux(left == 300),
    {
        "300 connections leave 300 in TIME_WAIT": left == 300,
        "with twenty ports the twenty-first fails": first_failure == 21,
        "a request on a connection that the server has closed gets": idle,
    },
)

# %% [markdown]
# 28,000 ports a minute are 470 connections a second to one server, and then connecting fails at
# once, with no queue in between. Kept connections avoid it.
#
# They have a price as well, the first line. The guide's client keeps idle connections for 90 s. If
# the server closes after 60, there are moments in which the client sends into a connection that is
# gone. Go asks again where that is safe (a GET), and reports an error where it is not (a POST);
# other libraries differ. Let the client give up first: its idle time below the server's.

# %% [markdown]
# ## Exercises
#
# Each cell runs as it stands and says «not attempted». Replace the body of the function. Use what
# you like of Python and numpy, but nothing of `perflab`.
#
# **Exercise 1: mend the negotiation.** Below is the guide's test. Delete the line that says `your
# turn`, then mend it: return whether a client with this header wants gzip. Names are separated by
# commas, each with an optional weight `;q=…` from 0 to 1, where 0 is a no. Case does not matter.
# `*` stands for all encodings that are not named, and may have a weight too. An empty header is a
# no. What cannot be read, such as `gzip;q=much`, may be judged either way, but must not raise.


# %%
def wants_gzip(accept_encoding):
    raise NotImplementedError("your turn")  # delete this line
    return "gzip" in accept_encoding


ch.check(1, wants_gzip)

# %% [markdown]
# **Exercise 2: at most n at once.** `await get(path)` returns a body. Fetch each path once and
# return a list of the bodies in the order of the paths. Never have more than `n` requests under
# way, and never have fewer while paths are left. The checks run on virtual time.


# %%
async def fetch_all(get, paths, n):
    raise NotImplementedError("your turn")


ch.check(2, fetch_all)

# %% [markdown]
# **Exercise 3: the break-even bandwidth.** An answer of `plain` bytes takes `seconds` to compress
# to `compressed` bytes. Return the bandwidth in bits a second below which that pays. Where
# nothing is saved, return 0.


# %%
def break_even(plain, compressed, seconds):
    raise NotImplementedError("your turn")


ch.check(3, break_even)

# %% [markdown]
# **Exercise 4: the benchmark on loopback.** Eight teams measured an answer plain and gzipped, on
# **loopback**: client and server on one machine. All eight write: «compression never pays». For
# some of them that is right, and for some it is right on loopback only, where bytes cost next to
# nothing. The columns below: the sizes of both answers, the median latency of both on loopback, and
# the bandwidth in Mbit/s that the team's users have. `reports` maps letters to such reports, with
# the columns as attributes (`reports["A"].gzip_ms`). Return the set of the letters whose users
# would be served faster with gzip. For the check, the same eight come back with slightly other
# numbers, under other letters.

# %%
from dataclasses import asdict

from perflab.book.exercises.network import loopback_reports

columns = {letter: asdict(one) for letter, one in loopback_reports().items()}
pd.DataFrame.from_dict(columns, orient="index").sort_index()


# %%
def misled(reports):
    raise NotImplementedError("your turn")


ch.check(4, misled)

# %% [markdown]
# ## Scoreboard

# %%
ch.scoreboard()

# %% [markdown]
# ## What to remember
#
# - Count round trips first: one for TCP, one or two for TLS, one for the request.
# - One client with the right limit. Several in turn hide a limit that is wrong.
# - Behind a client's limit requests wait where the server's dashboard cannot see them.
# - Compression pays below bits saved ÷ seconds of computing, and never for what does not shrink.
# - `Accept-Encoding` has weights, stars and capitals; `Content-Length` and `Vary` have to follow.
# - 40 ms: two small writes. One second: a full backlog. No CPU profile shows either.
# - HTTP/2 puts requests side by side on one connection.
# - A new connection starts slowly, and leaves its port behind for a minute.
