# %% [markdown]
# # 5 Memory
#
# **Chapter 5 of 10** · 50 minutes to read and predict, exercises apart · the experiments run for
# about a minute
#
# The guide knows two ways to spare memory. A **pool** uses buffers again instead of making new
# ones. An **interner** keeps one copy of equal strings. Both are good Go. This chapter tries them
# in CPython, the usual Python, which frees memory in other ways than Go. And it asks what an object
# costs, and what a process gives back.
#
# A defect of the guide's own code is called the guide's. A trap that opens only when the code is
# carried over to Python is called the **port's**.
#
# Two words first. The **allocator** is the part of an interpreter that hands out memory and takes
# it back. The **collector** looks for objects that nobody can reach any more.
#
# **You will be able to**
#
# - say when a pool pays in CPython, and when it costs;
# - lend a buffer so that nobody reads another's bytes in it;
# - tell before you intern whether it saves or costs;
# - count what a record really takes;
# - find out what the collector costs you, and what turning it off would.

# %%
import sys

import numpy as np
import pandas as pd

from perflab.book import Chapter, Interval, YesNo, knob, show_source
from perflab.book.figures import memory as figures
from perflab.contracts import interner, objectpool
from perflab.experiments import buffers, collector
from perflab.experiments.apart import apart
from perflab.guide.interner import StringInterner as GuidesInterner
from perflab.guide.interner import usage
from perflab.guide.objectpool import ObjectPool as GuidesPool
from perflab.measure import allocations, compare
from perflab.patterns import Buffer, ObjectPool, StringInterner

ch = Chapter(5)

# %% [markdown]
# ## The mystery
#
# A service makes a buffer of 1 MB, a `bytearray`, for each upload and throws it away. Somebody has
# read that this is waste, and writes a pool: a list of buffers, emptied with `clear()` before they
# are used again. Now each upload takes more than ten times as long.
#
# What takes the time? Vote now; the evidence comes in section 5.1.

# %%
ch.mystery(
    "What takes the time?",
    (
        "the collector: it walks through the megabytes that now live on",
        "the emptying: a buffer that was cleared is not what it was",
        "the list: uploads wait for one another at the pool",
    ),
)

# %% [markdown]
# ## 5.1 The pool
#
# > **Claim 5.1** An object pool saves time and collections.
#
# In Go a request that allocates brings the next collection nearer, whatever it allocates. In
# CPython an object is freed at once when its last user lets go of it. The collector looks only for
# **cycles**: objects that keep each other alive though nobody else needs them. So it looks only at
# containers such as lists and dicts, and a buffer of bytes is none. And the allocator keeps freed
# memory for the next object: it is a pool already.
#
# Four ways to serve a request that fills a buffer: a new one; a list of buffers, emptied with
# `clear()`; the guide's pool; ours.

# %%
show_source(buffers.buffer_requests)

# %%
ch.predict("5.1", Interval("1 MB: latency with clear(), × that of a new buffer", "×", (0.1, 100)))

# %% [markdown]
# What an allocator does depends on what was freed before. So each size has a fresh interpreter of
# its own, in which the four take turns: `apart` starts it, and hands back what the function
# returned.

# %%
sizes = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 40_000_000)
costs = {size: apart(buffers.buffer_costs, size) for size in sizes}

# %%
figures.buffers(ch, costs)

# %% [markdown]
# The grey line is a new buffer. Where a pool lies above it, the pool costs more than it saves. With
# small buffers a few lines of Python compete with an allocator in C. Ours also counts, checks and
# locks, so it pays most. At the right end the picture turns. 40 MB is more than the C library on
# Linux keeps for itself. It asks the system for each such buffer and gives it back, and the system
# clears every page of it. Whoever keeps the buffer is spared that.
#
# In the lower panel the purple line covers the grey one: a list with `clear()` takes all of its
# memory anew. `clear()` gives the array away and keeps an empty shell. On Linux that is worse than
# a new buffer. When a buffer is freed as a whole, the C library learns to keep memory of that size.
# A shell is never freed, so each `clear()` hands the pages of its array back to the system, and the
# next request asks for them again. The table counts it. A **page fault** is the moment at which the
# system has to find a page of memory, 4 kB as a rule, that the process was promised. (Elsewhere
# than on Linux the table is empty.)

# %%
pd.DataFrame(
    {
        f"{size / 1e3:,.0f} kB": {
            f"page faults, {name}": f"{cost['faults']:,.0f}"
            for name, cost in costs[size].items()
            if sys.platform == "linux"
        }
        for size in (100_000, 1_000_000, 40_000_000)
    }
)

# %%
ch.solved("the emptying: a buffer that was cleared is not what it was")

# %% [markdown]
# That is the port's trap, not the guide's. In Go `data[:0]` sets the length to nothing and keeps
# the memory. Python's `clear()` looks like it and gives the memory away. What does the same in
# Python is an array that stays, and a number that says how much of it is written.

# %% tags=["nbval-check-output"]
collected = sum(cost["collections"] for size in costs for cost in costs[size].values())
anew = {name: cost["new_bytes"] for name, cost in costs[1_000_000].items()}
pooled_anew = max(anew["guide's"], anew["ours"])
ch.verdict(
    "5.1",
    collected > 0,
    {
        "collections during all of these requests": collected,
        "1 MB once more: a new buffer takes more than 900 kB": anew["a new one"] > 900_000,
        "1 MB once more: clear() takes more than 900 kB": anew["clear()"] > 900_000,
        "1 MB once more: the guide's and ours take less than 10 kB": pooled_anew < 10_000,
    },
)

# %%
small, large, huge = (costs[size] for size in (1_000, 1_000_000, 40_000_000))
ch.measured(
    "5.1",
    f"clear() at 1 MB {large['clear()']['ratio']:.0f}× "
    f"({large['clear()']['low']:.0f}–{large['clear()']['high']:.0f}); "
    f"ours at 1 kB {small['ours']['ratio']:.1f}× "
    f"({small['ours']['low']:.1f}–{small['ours']['high']:.1f}), "
    f"at 40 MB {huge['ours']['ratio']:.2f}× "
    f"({huge['ours']['low']:.2f}–{huge['ours']['high']:.2f})",
    holds=None if small["ours"]["low"] <= 1 <= small["ours"]["high"] else small["ours"]["high"] < 1,
    outcome=large["clear()"]["ratio"],
)

# %% [markdown]
# There were no collections to save. (In Go there are, and the claim can hold there.) A pool in
# CPython is for two things: buffers larger than what the allocator keeps, and things that are
# **dear to make**, whatever their size. A TLS context, which an HTTPS client needs, reads all
# certificates of the system.

# %%
import ssl

made = []
contexts = ObjectPool(lambda: made.append(1) or ssl.create_default_context())


def from_the_pool():
    with contexts.acquire() as context:
        return context


print(compare({"a new one": ssl.create_default_context, "pooled": from_the_pool}, budget_s=1.0))
print(f"made for all those requests: {len(made)}")

# %% [markdown]
# **Try it.** From which size on does a pool pay on your machine?


# %%
def pooled(kilobytes=300):
    """Latency of each pool as a multiple of a new buffer's."""
    found = apart(buffers.buffer_costs, kilobytes * 1000)
    for name in ("clear()", "guide's", "ours"):
        one = found[name]
        print(f"{name:8} {one['ratio']:6.2f}× ({one['low']:.2f}–{one['high']:.2f})")


knob(pooled, kilobytes=(1, 50_000))

# %% [markdown]
# ## 5.2 Whose bytes
#
# > **Claim 5.2** What a caller takes from a pool is the caller's alone.
#
# The guide's request takes a buffer with `get`, writes into it, asks for `Bytes()`, and gives the
# buffer back with `put`. `Bytes()` is no copy. It is a **view**: it shows the buffer's own memory,
# in Go as in this port (there a `memoryview`). The guide's own example uses the answer before the
# buffer goes back. A server that sends later, when the client is ready to read, does not.


# %%
def wrong_answers(pool, later, requests=100):
    """How many answers hold another's bytes, each sent so many requests after its `put`."""
    waiting, wrong = [], 0
    for number in range(requests + later):
        buffer = pool.get()
        buffer.write(b"answer %04d" % number)
        waiting.append((b"answer %04d" % number, buffer.bytes()))
        pool.put(buffer)
        if number >= later:
            right, sent = waiting.pop(0)
            wrong += bytes(sent) != right
    return wrong


# %%
ch.predict("5.2", YesNo("Sent one request later: does any of 100 answers hold another's bytes?"))

# %% [markdown]
# And after a rush? Forty users at once fill 1 MB each, and all give back. Then nothing happens any
# more but full collections. Two of them empty the guide's pool, a `sync.Pool` in Go, and the port
# does the same. The third line is the pool that most people write in Python: a list.

# %%
ours = objectpool.with_buffers(ObjectPool, Buffer)
makers = {"guide's": GuidesPool, "ours": ours}
wrong = {
    name: {later: wrong_answers(make(), later) for later in range(6)}
    for name, make in makers.items()
}
burst = {
    name: buffers.after_burst(make) for name, make in {**makers, "a list": buffers.ListPool}.items()
}

# %%
figures.lent(ch, wrong, burst)

# %% [markdown]
# One request later is late enough. A client would get another client's answer, complete and well
# formed, and no log would show it. In the lower panel the list never gives anything back: what a
# burst has needed it holds for good. That again is the port's trap: in Python no collector empties
# a pool. It needs a cap. Ours keeps at most `max_idle` unused buffers, here four.

# %% tags=["nbval-check-output"]
ch.contract(objectpool, guide=GuidesPool, ours=ours)

# %% [markdown]
# The guide's pool fulfils the first three lines and the last. The three in between a pool owes its
# callers as well.

# %% tags=["nbval-check-output"]
guides, mended = wrong["guide's"], wrong["ours"]
megabytes = {name: [f"{held / 1e6:.0f} MB" for held in one] for name, one in burst.items()}
ch.verdict(
    "5.2",
    guides[1] == 0,
    {
        "guide: wrong answers of 100, sent at once": guides[0],
        "guide: wrong answers of 100, sent one request later": guides[1],
        "ours: wrong answers of 100, sent one request later": mended[1],
        "a list keeps of a burst of 40 MB": megabytes["a list"][-1],
        "the guide's keeps, after two collections": megabytes["guide's"][2],
        "ours keeps": megabytes["ours"][-1],
    },
)

# %%
ch.measured(
    "5.2",
    f"{guides[1]} of 100 answers, exactly: no clock has a part in it",
    outcome="yes" if guides[1] else "no",
)

# %% [markdown]
# There are three repairs. Copy what is kept: `bytes(buffer.bytes())`. Or give back only when all is
# sent. Or let the buffer notice: Python counts who looks at a `bytearray`, and refuses to change
# its length meanwhile. Ours asks, and leaves the array to whoever still has it.

# %%
show_source(Buffer.reset)

# %% [markdown]
# **At work:** do not hand a view out of a `with pool.acquire() as buffer:` block unless the buffer
# knows about views; and give each pool a `max_idle`.

# %% [markdown]
# ## 5.3 One copy of each string
#
# > **Claim 5.3** Interning saves memory only where values repeat.
#
# Fifty thousand strings, as a file would bring them: each a new object, though many have the same
# letters. An interner returns for each the first one with these letters, and the copies are let go.
# Its price is a table with an entry for each value. pandas does nearly the same with a column's
# *categories*: it keeps each value once, and for each row a small number.


# %%
def strings(different, count=50_000):
    """New objects, so many different values among them."""
    return (f"customer {number % different:06}" for number in range(count))


def interned(different):
    keeper = StringInterner()
    return keeper, keeper.intern_many(strings(different))


# %%
ch.predict("5.3", Interval("Memory of the strings, all of them different, interned", "MB", (1, 20)))


# %% [markdown]
# The bytes are counted, not guessed: `allocations` tells what is held while the result lives.


# %%
def memory_of(different):
    """Bytes of the strings, each way."""
    column = pd.Series(list(strings(different)), dtype="category")
    return {
        "as they come": allocations(lambda: list(strings(different))).held_bytes,
        "interned": allocations(lambda: interned(different)).held_bytes,
        "categories": column.memory_usage(deep=True),
    }


held = {different: memory_of(different) for different in (10, 1_000, 5_000, 50_000)}

# %% [markdown]
# What does it take to ask for a string that is known? The guide takes a lock for each look-up, so
# that nobody adds a string meanwhile. (In Go the map needs it.) In CPython a look-up in a dict is
# one step that nobody can interrupt: the lock buys nothing.


# %%
def asking(intern, different):
    """A function that asks for five thousand known strings."""
    known = [intern(text) for text in strings(different, 5_000)]
    return lambda: [intern(text) for text in known]


took = {}
for different in (10, 1_000, 5_000):
    each = {"guide's": GuidesInterner(), "interned": StringInterner(), "sys.intern": sys}
    ways = {name: asking(one.intern, different) for name, one in each.items()}
    took[different] = compare(ways, budget_s=0.6)

# %%
figures.interned(ch, held, took, asked=5_000)

# %% [markdown]
# On the left each value comes thousands of times, and the strings nearly vanish: what is left are
# the references in the list. On the right nothing repeats, and the table comes on top of the
# strings. Categories take less still, since a small number takes less than a reference; but they
# are for a complete column, not for a stream. Below, the guide's lock takes far longer than the
# look-up.
#
# The guide's interner saves as much, and goes wrong with time. It **never forgets**: each session
# key that was seen once stays. Counted in *blocks*, the pieces of memory that the allocator hands
# out:


# %%
def churn(keeper):
    """Fifty thousand strings, each seen once and let go."""
    for text in strings(50_000):
        keeper.intern(text)
    return keeper


def kept_after_churn(make):
    return allocations(lambda: churn(make())).held_blocks


# %%
keepers = {
    "guide's": GuidesInterner,
    "ours, max_size=1000": lambda: StringInterner(max_size=1_000),
    "sys.intern": lambda: sys,
}
after = {name: kept_after_churn(make) for name, make in keepers.items()}
pd.Series(after, name="blocks of memory kept").to_frame()

# %% [markdown]
# `sys.intern` forgets a string with its last user (early releases of Python 3.12 did not); a block
# more or less is chance. And how does the guide prove that two strings are one? Its example prints
# `s1 == s2`. That compares letters. Here is an interner that never interns anything:


# %%
class Copies:
    """Returns a copy each time."""

    def intern(self, text):
        return bytes(text, "utf8").decode()


print("the guide's proof holds:", usage(Copies()))

# %% [markdown]
# So the contract compares objects, with `is`.

# %%
ch.contract(interner, guide=interner.without_bound(GuidesInterner), ours=StringInterner)

# %% [markdown]
# Three of these failures Go's types keep out. The others want a bound, counters, and no lock around
# a look-up.

# %% tags=["nbval-check-output"]
few, unique, hello = held[10], held[50_000], Copies().intern("hello")
saves = few["interned"] < few["as they come"] / 4
costs_more = unique["interned"] > unique["as they come"]
forever, bounded = after["guide's"], after["ours, max_size=1000"]
ch.verdict(
    "5.3",
    saves and costs_more,
    {
        "10 values: less than a quarter of the memory": saves,
        "all different: more memory than without": costs_more,
        "guide: more than 45,000 strings that nobody has are held": forever > 45_000,
        "ours with a bound of 1,000 holds less than a tenth of that": bounded < forever / 10,
        "the guide's proof, of an interner that only copies": usage(Copies()),
        "the same by identity": hello is Copies().intern("hello"),
    },
)

# %%
lock = took[1_000]
speed = lock["interned"]
ch.measured(
    "5.3",
    f"10 values: {few['interned'] / few['as they come']:.2f} of the memory, all different "
    f"{unique['interned'] / unique['as they come']:.2f}; a known string takes ours "
    f"{speed.ratio:.3f} ({speed.low:.3f}–{speed.high:.3f}) of the guide's time",
    outcome=unique["interned"] / 1e6,
)

# %% [markdown]
# **Try it.** How often must a value come until interning pays? And how does the length of a string
# change that?


# %%
def saved(different=25_000, letters=20):
    """Memory of 50,000 strings interned, as a share of what they take as they come."""

    def texts():
        return (str(number % different).zfill(letters) for number in range(50_000))

    def of_one_keeper():
        keeper = StringInterner()
        return keeper, keeper.intern_many(texts())

    plain = allocations(lambda: list(texts())).held_bytes
    print(f"{allocations(of_one_keeper).held_bytes / plain:.0%} of the memory")


knob(saved, different=(1, 50_000), letters=(5, 500))

# %% [markdown]
# **At work:** ours counts. `interner.stats().hit_ratio`, the share of known strings, tells after an
# hour whether it saves or costs.

# %% [markdown]
# ## 5.4 What an object costs
#
# > **Claim 5.4** The size that getsizeof reports is what an object costs.
#
# `sys.getsizeof` reports an object's own bytes, not those of what it refers to. Here is one record,
# a number, a price and a quantity, in five forms. With `slots` the attributes of an object have
# fixed places, without they may need a dict. An `array` holds numbers themselves instead of
# references to them.

# %%
from array import array
from dataclasses import make_dataclass
from functools import partial

fields = ("number", "price", "quantity")
forms = {
    "dict": lambda *row: dict(zip(fields, row, strict=True)),
    "class": make_dataclass("Record", fields),
    "slots": make_dataclass("Slotted", fields, slots=True),
    "tuple": lambda *row: row,
}


# %%
def columns(count):
    """The same records as three arrays."""
    numbers, quantities = array("q", range(count)), array("b", (n % 5 for n in range(count)))
    return numbers, array("d", (n / 7 for n in range(count))), quantities


def rows(form, count):
    """So many records of this form."""
    return [form(number, number / 7, number % 5) for number in range(count)]


# %% [markdown]
# What `getsizeof` says of one record, and what each of ten thousand took:

# %%
count = 10_000
takes = {
    name: allocations(partial(rows, form, count)).held_bytes / count for name, form in forms.items()
}
takes["three arrays"] = allocations(lambda: columns(count)).held_bytes / count
says = {name: sys.getsizeof(form(1_000, 1.5, 3)) for name, form in forms.items()}
pd.DataFrame({"getsizeof (B)": says, "takes (B)": takes}).round(0).sort_values("takes (B)")

# %% [markdown]
# The first column leaves out what an object refers to. With a list it is plainest.

# %% tags=["nbval-check-output"]
numbers = list(range(1_000, 2_000))
taken = allocations(lambda: [{"number": n} for n in numbers]).held_bytes
said = sys.getsizeof([{"number": n} for n in numbers])
alike = said == sys.getsizeof([None for _ in numbers])
ten_arrays = 10 * takes["three arrays"]
ch.verdict(
    "5.4",
    said > taken / 2,
    {
        "a list of 1,000 dicts: getsizeof says the same as of 1,000 times None": alike,
        "it takes more than ten times that": taken > 10 * said,
        "slots take less than a class without": takes["slots"] < takes["class"],
        "a dict takes more than three arrays ten times over": takes["dict"] > ten_arrays,
    },
)

# %% [markdown]
# What an object refers to may cost as much as the object. Count what many of them take. The arrays
# win by far, because they hold no number objects.

# %% [markdown]
# ## 5.5 One at a time
#
# > **Claim 5.5** A generator needs no memory and is slower than a list.
#
# `sum([n * n for n in …])` makes a list first. `sum(n * n for n in …)` takes one number after the
# other from a **generator**. The two are compared for a hundred numbers, for 300,000, and with
# `sorted` as the consumer. The *peak* is the most memory that was held at one moment.


# %%
def listed(size, use=sum):
    return lambda: use([number * number for number in range(size)])


def generated(size, use=sum):
    return lambda: use(number * number for number in range(size))


# %%
peaks, faster = {}, {}
for what, size, use in (("sum", 100, sum), ("sum", 300_000, sum), ("sorted", 300_000, sorted)):
    both = {"list": listed(size, use), "generator": generated(size, use)}
    faster[what, size] = compare(both, budget_s=1.0).other
    peaks[what, size] = {name: allocations(one).peak_bytes for name, one in both.items()}

pd.DataFrame(
    {
        f"{what} of {size:,}": {
            "peak, list (kB)": peaks[what, size]["list"] / 1e3,
            "peak, generator (kB)": peaks[what, size]["generator"] / 1e3,
            "latency, generator ÷ list": faster[what, size].ratio,
        }
        for what, size in peaks
    }
).round(2)

# %% [markdown]
# The last column is the trap: `sorted` needs all numbers at once, and makes its own list.

# %% tags=["nbval-check-output"]
summed, arranged = peaks["sum", 300_000], peaks["sorted", 300_000]
ch.verdict(
    "5.5",
    max(summed["generator"], arranged["generator"]) < 10_000,
    {
        "the sum of 300,000, generator: less than 10 kB": summed["generator"] < 10_000,
        "the sum of 300,000, list: more than 8 MB": summed["list"] > 8_000_000,
        "sorted(generator): more than 8 MB": arranged["generator"] > 8_000_000,
    },
)

# %%
at_100, at_300_000 = faster["sum", 100], faster["sum", 300_000]
ch.measured(
    "5.5",
    f"generator ÷ list: {at_100.ratio:.2f} ({at_100.low:.2f}–{at_100.high:.2f}) at 100 numbers, "
    f"{at_300_000.ratio:.2f} ({at_300_000.low:.2f}–{at_300_000.high:.2f}) at 300,000",
    holds=False if min(at_100.high, at_300_000.high) < 1 else None,
)

# %% [markdown]
# A generator needs no memory as long as its consumer needs none. `sorted`, `list` and `"".join`
# collect first. As for time, a generator pays for a switch at each item, a list for memory that has
# to be found. Which is more depends on the size.

# %% [markdown]
# ## 5.6 numpy
#
# > **Claim 5.6** numpy is faster than plain Python.
#
# numpy keeps numbers side by side in an array, and calculates with all of them in C. The sum of
# squares of floats: a comprehension over a list, one operation on an array, and the comprehension
# over the array.


# %%
def three_ways(size):
    """The three compared on so many numbers."""
    plain, packed = [float(number) for number in range(size)], np.arange(float(size))
    ways = {
        "list": lambda: sum([value * value for value in plain]),
        "array": lambda: (packed * packed).sum(),
        "array, looped over": lambda: sum([value * value for value in packed]),
    }
    return compare(ways, budget_s=ch.pick(quick=0.7, full=5.0))


# %%
ratios = {size: three_ways(size) for size in (4, 100, 10_000, 300_000)}
pd.DataFrame(
    {
        f"{size:,} numbers": {
            f"{one.name} ÷ list": f"{one.ratio:.2f} ({one.low:.2f}–{one.high:.2f})"
            for one in found.variants[1:]
        }
        for size, found in ratios.items()
    }
)

# %%
tiny, huge = ratios[4]["array"], ratios[300_000]["array"]
looped = ratios[10_000]["array, looped over"]
slower = "slower" in (tiny.verdict, looped.verdict)
undecided = {tiny.verdict, looped.verdict} <= {"inconclusive", "same"}
ch.verdict(
    "5.6",
    None if undecided else not slower,
    {
        "4 numbers": f"array {tiny.ratio:.1f}× the list's time",
        "10,000 numbers": f"array, looped over {looped.ratio:.1f}×",
        "300,000 numbers": f"array {huge.ratio:.3f}×",
    },
)
ch.measured(
    "5.6", f"300,000 numbers: {huge.ratio:.3f}× ({huge.low:.3f}–{huge.high:.3f}) the list's time"
)

# %% [markdown]
# A numpy call looks up types and shapes and makes an array for its result before it touches the
# first number. A hundred numbers share that work, four can hardly. And whoever loops over an array
# makes a number object for each cell again.

# %% [markdown]
# ## 5.7 Order
#
# > **Claim 5.7** The order in which memory is read makes no difference.
#
# The same numbers, summed in the order in which they lie in memory, and in a shuffled order. The
# list holds the same float objects in both cases; only the references were shuffled.


# %%
def two_orders(size):
    """Shuffled against in order, for an array and for a list."""
    straight, mixed = np.arange(size), np.random.default_rng(1).permutation(size)
    cells = np.ones(size)
    objects = cells.tolist()
    shuffled = [objects[at] for at in mixed.tolist()]
    array = {"in order": lambda: cells[straight].sum(), "shuffled": lambda: cells[mixed].sum()}
    listed = {"in order": lambda: sum(objects), "shuffled": lambda: sum(shuffled)}
    return {name: compare(ways, 1.5).other for name, ways in (("array", array), ("list", listed))}


# %%
sizes = (1_000, 100_000, ch.pick(quick=1_000_000, full=10_000_000))
orders = {size: two_orders(size) for size in sizes}
pd.DataFrame(
    {
        f"{size:,} numbers": {
            what: f"{one.ratio:.2f} ({one.low:.2f}–{one.high:.2f})" for what, one in both.items()
        }
        for size, both in orders.items()
    }
).rename_axis("latency, shuffled ÷ in order")

# %%
largest = orders[sizes[-1]]
ch.verdict(
    "5.7",
    {"slower": False, "faster": False, "same": True}.get(largest["list"].verdict),
    {
        f"{what} of {sizes[-1]:,}, shuffled": f"{one.ratio:.1f}× the time"
        for what, one in largest.items()
    },
)
one = largest["list"]
ch.measured(
    "5.7", f"a list of {sizes[-1]:,}, shuffled: {one.ratio:.2f}× ({one.low:.2f}–{one.high:.2f})"
)

# %% [markdown]
# The processor has a few megabytes of fast memory of its own, its caches. What fits into them can
# be read in any order. The rest is fetched in pieces of 64 bytes, and a shuffled reader uses one
# number of each. To sort records in the order in which they are read is an optimisation that no
# profiler names.

# %% [markdown]
# ## 5.8 The collector
#
# > **Claim 5.8** The garbage collector is the main cost of making objects.
#
# The guide's pool is there to relieve the collector. In CPython the collector comes round when many
# more containers were made than freed. What is made and let go at once does not count. What stays
# does: most rounds look at new objects only, but now and then a large one looks at all that live.
#
# A fresh interpreter serves some hundred requests. Each makes 1,000 records, a dict with a
# list in it, as parsing JSON does, and keeps them, as a cache does.

# %%
ch.predict("5.8", Interval("The slowest request, × the median", "×", (1, 1_000)))

# %%
requests = ch.pick(quick=300, full=1_500)
on, off = apart(collector.growing, requests, True), apart(collector.growing, requests, False)
loose = apart(collector.growing, requests, True, False)

# %%
figures.collections(ch, on, off)

# %% [markdown]
# Many requests pay for a small round. A few meet a large one, which takes the longer, the more the
# cache holds. (How the work is dealt out differs from one version of Python to the next.) The two
# lines of memory lie on each other: there was no cycle to find. So the collector finds nothing, and
# yet it makes the slowest requests.
#
# Once all that will stay is loaded, `gc.freeze()` moves it out of the collector's sight:

# %%
pauses = {freeze: apart(collector.full_pause, 600_000, freeze) for freeze in (False, True)}
pd.DataFrame(
    {
        "frozen" if freeze else "as it is": {
            "objects to look at": f"{one['tracked']:,}",
            "a full collection (ms)": f"{1e3 * one['seconds']:.3f}",
        }
        for freeze, one in pauses.items()
    }
)

# %% [markdown]
# And simply off? Then cycles stay. Five thousand pairs, parent and child, are each let go at once.
# *Resident* is the memory that the process really occupies:

# %%
left = {state: apart(collector.cycles, 5_000, state) for state in (True, False)}
print(f"collector off: {left[False]['grown'] / 1e6:.1f} MB more resident")
print(f"collector on:  {left[True]['grown'] / 1e6:.1f} MB")

# %% tags=["nbval-check-output"]
ch.verdict(
    "5.8",
    loose["collections"] > 0,
    {
        "collections while all records were let go": loose["collections"],
        "collections while all were kept: more than 100": on["collections"] > 100,
        "before freeze() the collector looks at more than 600,000": pauses[False]["tracked"]
        > 600_000,
        "after it, at less than a thousand": pauses[True]["tracked"] < 1_000,
        "collector off: pairs still there, of 5,000": left[False]["alive"],
        "collector on: fewer than 2,500": left[True]["alive"] < 2_500,
    },
)

# %% [markdown]
# How much time is it? The same objects, kept and let go, with the collector and without, by turns.

# %%
of = {
    work.__name__: compare(
        {"off": collector.without_collector(work), "on": work}, budget_s=1.5
    ).other
    for work in (collector.kept, collector.let_go)
}

# %%
stay, go = of["kept"], of["let_go"]
latency = np.array(on["latency"])
ch.measured(
    "5.8",
    f"collector on ÷ off: objects that stay {stay.ratio:.2f} ({stay.low:.2f}–{stay.high:.2f}), "
    f"let go {go.ratio:.2f} ({go.low:.2f}–{go.high:.2f}); a full collection beside 600,000 "
    f"objects {1e3 * pauses[False]['seconds']:.0f} ms, frozen {1e3 * pauses[True]['seconds']:.3f}",
    holds=None if go.low <= 2 <= go.high else bool(go.low > 2),
    outcome=latency.max() / np.median(latency),
)

# %% [markdown]
# So the claim fails just where a pool would help, for objects that come and go. If it holds
# anywhere, then for those that stay, as in the figure; and these no pool spares. In Go every
# allocation brings a collection nearer; there it can hold for the first kind too.
#
# **Try it.** How does the pause grow with what lives?


# %%
def pause(thousands=200):
    """A full collection beside so many objects."""
    for freeze in (False, True):
        one = apart(collector.full_pause, 1_000 * thousands, freeze)
        print(f"{'frozen' if freeze else 'as it is'}: {1e3 * one['seconds']:.3f} ms")


knob(pause, thousands=(1, 2_000))

# %% [markdown]
# **At work:** load what will stay, `gc.collect()`, `gc.freeze()`, then serve. Measure cycles before
# you turn anything off.

# %% [markdown]
# ## 5.9 Given back
#
# > **Claim 5.9** Memory that is freed goes back to the system.
#
# A million small objects are made, and all but a thousand let go. Once the first thousand stay,
# which were made together, and once every thousandth. The function runs in a fresh interpreter.


# %%
def after_freeing(keep_every):
    """MB resident above the start, with a million objects and after most were let go."""
    import psutil

    resident = psutil.Process().memory_info
    before = resident().rss
    objects = [bytes(100) for _ in range(1_000_000)]
    peak = resident().rss
    kept = objects[::keep_every] if keep_every else objects[:1_000]
    del objects
    return (peak - before) / 1e6, (resident().rss - before) / 1e6, len(kept)


# %%
freed = {
    name: apart(after_freeing, every)
    for name, every in {"the first thousand": 0, "every thousandth": 1_000}.items()
}
pd.DataFrame(freed, index=["with all (MB)", "afterwards (MB)", "objects kept"]).T.round(1)

# %%
together, spread = freed["the first thousand"], freed["every thousandth"]
ch.verdict(
    "5.9",
    bool(spread[1] < 0.5 * spread[0]),
    {
        "a thousand kept together": f"{together[1] / together[0]:.0%} of the memory stays",
        "every thousandth kept": f"{spread[1] / spread[0]:.0%} stays",
    },
)
ch.measured("5.9", f"{spread[1]:.0f} of {spread[0]:.0f} MB stay for 1,000 objects of 100 bytes")

# %% [markdown]
# The same number of objects, the same bytes. Python's allocator takes memory from the system in
# large pieces, **arenas**. It can return an arena only when nothing in it lives, so one object in
# each holds all. (The holes are not lost: new objects fill them.) That is why a process seldom
# shrinks after a peak, and why a leak detector (chapter 2) looks at the lowest values. Make
# long-lived things together, before the rush.

# %% [markdown]
# ## 5.10 Views
#
# > **Claim 5.10** A view of a buffer is free.
#
# Half of a buffer of 400 kB is taken, as a copy and as a view (5.2). Then ten bytes of 10 MB are
# kept, either way.

# %%
data = bytes(400_000)
halves = {"view": lambda: memoryview(data)[:200_000], "copy": lambda: data[:200_000]}
cut = compare(halves, budget_s=0.4).other
keeps = {
    "view": allocations(lambda: memoryview(bytes(10_000_000))[:10]).held_bytes,
    "copy": allocations(lambda: bytes(10_000_000)[:10]).held_bytes,
}

# %% [markdown]
# A view has one more price: an array that is looked at may not grow.

# %% tags=["nbval-check-output"]
looked_at = bytearray(b"a header, and then the body")
header = memoryview(looked_at)[:8]
try:
    looked_at += b" of the message"
    grows = "yes"
except BufferError:
    grows = "refused: BufferError"
ch.verdict(
    "5.10",
    keeps["view"] < 1_000,
    {
        "ten bytes of 10 MB as a copy: less than 1 kB held": keeps["copy"] < 1_000,
        "as a view: more than 10 MB held": keeps["view"] > 10_000_000,
        "a bytearray that somebody looks at can grow": grows,
    },
)

# %%
ch.measured(
    "5.10", f"half of 400 kB: the copy takes {cut.ratio:.0f}× ({cut.low:.0f}–{cut.high:.0f}) a view"
)

# %% [markdown]
# A view is cheap to make and dear to keep, since it **pins** its whole buffer: that cannot be freed
# meanwhile. Pass views around while you parse, and copy what you put away. In Go a slice pins its
# array in the same way.

# %% [markdown]
# ## 5.11 What each tool calls memory
#
# No claim, only a table to come back to. Each thing is made in a fresh interpreter, and each tool
# says how much more it sees than before, in MB. *Resident* is what lies in real memory now,
# *virtual* is what the system has promised.

# %%
from perflab.experiments.lenses import THINGS, seen_by_each

pd.DataFrame({thing: apart(seen_by_each, thing) for thing in THINGS}).T.round(1)

# %% [markdown]
# `getsizeof` sees one object. `tracemalloc` sees what Python's allocators and numpy were asked for,
# touched or not, and nothing of SQLite. `memory_profiler` (chapter 2) shows resident memory too,
# and so does the guide's monitor for Node.js with its `rss`. Its Go monitor shows what Go's
# allocator holds.

# %% [markdown]
# ## Exercises
#
# Each cell runs as it stands and says «not attempted». Use what you like of Python and numpy, but
# nothing of `perflab`.
#
# **Exercise 1: seventy bytes.** `rows` is an iterator of 20,000 records, each a tuple of an order
# number (a whole number up to 2⁴⁰), a price (a float) and a quantity (1 to 9). Return something
# that gives them back in their order: `store[0]` is the first, as a tuple (number, price, quantity)
# with exactly these values. It knows its `len`, and may hold 70 bytes a record, all included.


# %%
def store(rows):
    raise NotImplementedError("your turn")


ch.check(1, store)

# %% [markdown]
# **Exercise 2: a parser that lets go.** `data` holds messages one after another: four bytes with
# the length of the body (big-endian), then the body, which may be empty. Return the bodies that
# begin with `b"!"`, as `bytes` or views. Its slices may copy no more bytes than `data` has, and at
# the peak it may take half the memory of `data` again. Once the caller lets `data` go, less than
# 1 kB may be held beside the bodies. `some_messages(seed)` gives you data to try.

# %%
from perflab.book.exercises.memory import some_messages

print(f"{len(some_messages(seed=1)):,} bytes")


def urgent(data):
    raise NotImplementedError("your turn")


ch.check(2, urgent)

# %% [markdown]
# **Exercise 3: mend the pool.** Here is the pool that slowed the service down, with the guide's
# defects. Delete the line that says `your turn` and mend it until the contract of section 5.2
# holds; the hint names the first check that fails. An idle pool may keep four buffers. `put` of
# what was not lent has to raise, or to drop it.


# %%
class MyBuffer:
    def __init__(self):
        self.array = bytearray()

    def write(self, data):
        self.array += data

    def bytes(self):
        return memoryview(self.array)


class MyPool:
    def __init__(self):
        self.free = []

    def get(self):
        raise NotImplementedError("your turn")  # delete this line
        return self.free.pop() if self.free else MyBuffer()

    def put(self, buffer):
        buffer.array.clear()
        self.free.append(buffer)


ch.check(3, MyPool)

# %% [markdown]
# **Exercise 4: the wrong process.** Eight memory benchmarks, each with one number for a report: the
# **peak** of what the work needed, in MB. Beside it stands what was recorded of all processes that
# were there: resident memory (`resident`, MB) and processor time so far (`cpu`, seconds), by
# process, an entry for each moment. A process did the work if its processor time grew by more than
# a second. What the work needed is the most that those processes held together at one moment.
# Return the letters of the reports whose number is off by more than 10 %. The same eight come back
# with other numbers, under other letters.

# %%
from perflab.book.exercises.memory import memory_reports

pd.DataFrame(
    {
        letter: {"reported (MB)": round(one.reported), "processes": ", ".join(one.resident)}
        for letter, one in sorted(memory_reports(seed=1).items())
    }
).T


# %%
def wrong_reports(reports):
    raise NotImplementedError("your turn")


ch.check(4, wrong_reports)

# %% [markdown]
# ## Scoreboard

# %%
ch.scoreboard()

# %% [markdown]
# ## What to remember
#
# - CPython's allocator is a pool. A second one pays for very large buffers and for what is dear to
#   make, not for small objects.
# - `clear()` gives the memory away; what a pool must keep is the capacity.
# - A view that outlives its loan shows another's bytes. Copy, or give back later. Cap the pool.
# - Interning pays where values repeat. Count hits, bound the table, and compare with `is`.
# - `getsizeof` sees one object. Measure what ten thousand take.
# - A generator saves memory if its consumer does not collect it.
# - The collector costs what stays. `gc.freeze()` after loading; off only without cycles.
# - Freed is not given back: one object holds its arena.
# - A view pins its buffer. Copy what you keep.
# - Say which memory you mean, and of which process.
