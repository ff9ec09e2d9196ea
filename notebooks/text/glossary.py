# %% [markdown]
# # Glossary
#
# The words that the chapters use, as this book uses them.

# %% [markdown]
# ### allocation
#
# A piece of memory that a program asks for. Counting allocations, in blocks or bytes, tells what
# code costs on every machine, while their time differs.

# %% [markdown]
# ### Amdahl's law
#
# If a share *p* of the work is made infinitely fast, the whole becomes at most 1 ÷ (1 − *p*) times
# as fast. It tells before any work what a fix can bring at best.

# %% [markdown]
# ### arrival rate
#
# How many requests come per second, whether or not they are answered. Unlike throughput it can
# exceed what the service can do. *Also offered load.*

# %% [markdown]
# ### backlog
#
# Work that has come and is not done yet. At a socket it is the connections that wait for the server
# to take them; once that is full, a new client waits a second or more before it tries again. *Also
# listen backlog.*

# %% [markdown]
# ### bandwidth
#
# How many bits a link carries per second. It bounds large answers; small ones are bounded by the
# round trip.

# %% [markdown]
# ### bootstrap
#
# Drawing samples from one's own sample again and again, to see how much a statistic would vary. It
# needs no assumption on the distribution, but it knows only what was sampled. *Also resampling,
# resampled.*

# %% [markdown]
# ### bulkhead
#
# A limit on how much work of one kind may run at once, so that one slow dependency cannot take all
# threads. A slot is held until the work has really ended, not until the caller has given up.

# %% [markdown]
# ### circuit breaker
#
# A guard that stops calling a dependency after failures, and lets a trial call through after a
# while. Its states are *closed* (calls pass), *open* (they fail at once) and *half-open* (a trial
# is under way). *Also breaker.*

# %% [markdown]
# ### closed workload
#
# A fixed number of users, each of whom waits for an answer before asking again. When the server
# slows down, so do they, and it never sees the crowd that a public would send. *Also closed loop,
# closed run, closed load, closed test.*

# %% [markdown]
# ### confidence interval
#
# A range made so that it holds the true value in a stated share of all repetitions. A ratio without
# one does not say whether the difference is real. *Also an interval.*

# %% [markdown]
# ### connection pool
#
# Open connections that are lent and given back instead of made anew. It has a limit on open ones
# and on idle ones, and callers who wait in turn when all are out. *Also pool of connections.*

# %% [markdown]
# ### convoy
#
# Threads that should take turns quickly but queue up behind one that holds the lock. In CPython a
# thread that waits often is held up by one that computes, a switch interval at a time.

# %% [markdown]
# ### coordinated omission
#
# A tester that waits for slow answers sends fewer requests just when the server is slow, and so
# leaves out the worst ones. The remedy is to count each wait from the moment at which the request
# was due.

# %% [markdown]
# ### covering index
#
# An index that holds all columns which a query needs, so that the table itself is not read. It
# makes reading cheaper, and writing and storage dearer. *Also covering.*

# %% [markdown]
# ### database index
#
# A structure beside a table that finds rows by a column's value without reading the others. Each
# write has to keep it up. *Also indexes, an index.*

# %% [markdown]
# ### deadline
#
# The moment after which an answer is of no use to its caller. Work that is done beyond it is load
# without value.

# %% [markdown]
# ### event loop
#
# One thread that runs many tasks by turns, each until it waits for something. A call that does not
# give the turn back stops them all.

# %% [markdown]
# ### eviction
#
# Dropping a value from a cache because room is needed. Which value goes is the policy: the least
# recently used one (LRU), the least often used one (LFU), or any.

# %% [markdown]
# ### full jitter
#
# A random wait instead of a fixed one before trying again. It keeps clients that failed together
# from coming back together. *Also jitter.*

# %% [markdown]
# ### garbage collector
#
# The part of the runtime that finds objects which only refer to each other, and frees them. In
# CPython all other objects go as soon as their last reference goes. *Also collector.*

# %% [markdown]
# ### GIL
#
# CPython's lock that lets one thread at a time run Python code. Calls that wait, and many calls
# into C, give it up meanwhile. *Also global interpreter lock.*

# %% [markdown]
# ### goodput
#
# Answers per second that came without error and in time. Beyond saturation throughput may stay high
# while goodput falls to nothing.

# %% [markdown]
# ### handshake
#
# The messages that open a connection before the first request can be sent. One round trip for TCP,
# one or two more for TLS.

# %% [markdown]
# ### hedged request
#
# A second request for the same thing, sent when the first one is late; the first answer wins. It
# cuts the tail only where there is room, and where the loser is really cancelled. *Also hedging,
# hedge.*

# %% [markdown]
# ### histogram
#
# Counts of samples by bucket. Histograms of several minutes or machines can be merged and then
# asked for a percentile, which percentiles themselves cannot.

# %% [markdown]
# ### hit ratio
#
# The share of requests that the cache answered. Its effect on the mean is in proportion, on a
# percentile it is a threshold. *Also hit rate.*

# %% [markdown]
# ### idempotency key
#
# A name that a client gives a request, so that the server can tell a repetition and answer it
# without doing the work again. The check and the work have to be one step.

# %% [markdown]
# ### idle connection
#
# An open connection that nobody uses at the moment. It saves the next request a handshake, and
# costs memory on both sides.

# %% [markdown]
# ### in flight
#
# Requests that have begun and not yet ended. Their mean number is arrival rate × mean time in the
# system, whatever the system does.

# %% [markdown]
# ### interning
#
# Keeping one copy of equal strings, to which all others refer. It saves memory where values repeat,
# and costs some where they do not. *Also interner.*

# %% [markdown]
# ### invalidation
#
# Removing a cached value because what it was copied from has changed. Its order against reads and
# updates decides whether anything stale stays.

# %% [markdown]
# ### keep-alive
#
# Using a connection for more than one request. It saves the round trips of the handshake, and the
# processor time of encryption. *Also kept alive, keeping a connection.*

# %% [markdown]
# ### knee
#
# The load from which latency rises steeply while throughput hardly does. A service is run below it,
# with room for what comes unevenly; at it, what requests wait for is *saturated*.

# %% [markdown]
# ### latency
#
# How long something takes, from a stated start to a stated end. State both: service time starts
# with the work, response time when the request was due.

# %% [markdown]
# ### leak
#
# Memory that is held without being needed, and ever more of it. It shows as a slope of the floor
# under the peaks, not as a height. *Also memory leak.*

# %% [markdown]
# ### Little's law
#
# Requests in flight = arrival rate × mean time in the system. It holds for every steady system, and
# sizes pools, threads and memory.

# %% [markdown]
# ### lock contention
#
# Threads that want the same lock at the same time. The wait grows with the time for which the lock
# is held, not with the number of locks. *Also contention.*

# %% [markdown]
# ### LRU
#
# *Least recently used*: the value that nobody has asked for for longest leaves the cache first. One
# scan over many keys can empty such a cache of what is needed.

# %% [markdown]
# ### metastable failure
#
# An overload that goes on after its trigger has gone, since its consequences, retries above all,
# keep it up. It ends when load is shed, not when the trigger is mended.

# %% [markdown]
# ### N+1 queries
#
# One query for a list and one more for each of its items. The number of round trips grows with the
# list, and each of them costs. *Also N+1.*

# %% [markdown]
# ### noise
#
# What makes two runs of the same thing differ. Its size on a machine has to be known before a
# difference can mean something.

# %% [markdown]
# ### open workload
#
# Requests that arrive at a rate of their own, whether or not earlier ones were answered. That is
# what a public does, and what shows a queue. *Also open loop, open run.*

# %% [markdown]
# ### p50
#
# The value that half of the samples do not exceed. It tells of the usual case, and nothing of the
# slow ones. *Also median.*

# %% [markdown]
# ### p99
#
# The value that 99 of 100 samples do not exceed. It rests on the slowest hundredth, so it needs at
# least a thousand samples.

# %% [markdown]
# ### percentile
#
# The smallest sample that at least so many per cent of the samples do not exceed (nearest rank).
# Percentiles of parts cannot be averaged to the percentile of the whole.

# %% [markdown]
# ### pipeline
#
# Work in stages that run at the same time, each handing its results to the next; it is as fast as
# its slowest stage. Of requests: sent together, without waiting for each answer, so that many of
# them take one round trip.

# %% [markdown]
# ### planner
#
# The part of a database that chooses among the ways to answer a query, by what it estimates them to
# cost. Its estimates rest on statistics, which can be out of date. *Also query planner.*

# %% [markdown]
# ### Poisson arrivals
#
# Arrivals that know nothing of each other, at a given mean rate. They come in bunches by chance
# alone, and so they queue where even arrivals would not. *Also arrivals at random.*

# %% [markdown]
# ### profiler
#
# An instrument that tells where a program spends its time: by noting every call (tracing) or by
# looking now and then (sampling). Either one changes what it looks at.

# %% [markdown]
# ### query plan
#
# What a database intends to do for a query: which tables in which order, by which index or by scan.
# It can be read before the query runs, and counted while it does. *Also the plan.*

# %% [markdown]
# ### queue
#
# Where work waits that has come and not yet begun. It evens out unevenness, but does not add
# capacity.

# %% [markdown]
# ### resident memory
#
# The part of a process's memory that stands in the machine's RAM now. It includes what the
# allocator keeps for later, and code shared with others. *Also resident set.*

# %% [markdown]
# ### response time
#
# From when a request was due until its answer was complete. It includes the wait for a free client,
# a free connection or a free worker.

# %% [markdown]
# ### retry
#
# Trying again after a failure. Retries multiply from tier to tier and come when the service can
# bear them least; a budget, say one for ten first attempts, takes the multiplication out. *Also
# retries.*

# %% [markdown]
# ### round robin
#
# Giving work to servers in turn. It is fair in numbers, and unfair as soon as servers or requests
# differ.

# %% [markdown]
# ### round trip
#
# A message there and the answer back. Where data are small, a protocol's cost is the number of its
# round trips.

# %% [markdown]
# ### sampler
#
# An instrument that looks now and then at what a program is doing. It is cheap and sees only what
# lasts long, or comes often, enough. *Also sampling profiler.*

# %% [markdown]
# ### service time
#
# From when work on a request began until it ended. A tester that reports it alone leaves out the
# wait before.

# %% [markdown]
# ### shard
#
# One of several databases that hold the rows of one table between them. A rule maps each key to its
# shard, and decides how many keys move when a shard is added. *Also sharding.*

# %% [markdown]
# ### single-flight
#
# Of many who want the same missing value at once, one loads it and all get it. It is what keeps a
# miss of a popular key from becoming a stampede. *Also single flight.*

# %% [markdown]
# ### slow start
#
# A new connection sends little at first, and twice as much after each round trip. So short
# transfers never see the full bandwidth.

# %% [markdown]
# ### stale value
#
# A copy that no longer agrees with what it was copied from. Decide how long one may live, and make
# sure of it. *Also stale.*

# %% [markdown]
# ### stampede
#
# Many clients that miss the same key at the same moment and all load it. The dearer the load, the
# more of them come before it ends. *Also dogpile.*

# %% [markdown]
# ### switch interval
#
# How long CPython lets a thread run, when others want to, before it asks for the lock: 5 ms unless
# set otherwise. A thread that waits often pays it at each return.

# %% [markdown]
# ### tail latency
#
# The slow end of the distribution of latencies, from p95 or p99 on. A page of many requests meets
# it far more often than one request does. *Also the tail, long tail.*

# %% [markdown]
# ### throughput
#
# Successful answers per second. It says nothing of how long any of them took.

# %% [markdown]
# ### TIME_WAIT
#
# The state in which a closed connection keeps its port for a while, one minute on Linux. A client
# that opens many connections to one address can run out of ports.

# %% [markdown]
# ### TTL
#
# How long a cached value may be used. In stacked caches a value may live for the sum of their TTLs,
# unless the remaining time is passed on. *Also time to live.*

# %% [markdown]
# ### utilisation
#
# The share of time in which a resource is busy. Waiting grows as 1 ÷ (1 − utilisation), so the last
# tenth is dear.

# %% [markdown]
# ### virtual time
#
# A clock that a program moves itself instead of waiting. A simulated minute takes a moment, and
# gives the same result on every machine. *Also virtual clock.*
