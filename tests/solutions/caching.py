"""Chapter 4: an answer to each exercise, and wrong ones with what their hint must name."""

import copy
import json
import threading
from collections import OrderedDict
from concurrent.futures import Future

import numpy as np

# ── 1: mend the guide's cache


class Mended:
    """JSON in memory and on the server; «nobody» is a value, with a short TTL."""

    def __init__(self, client, read, write, user, ttl, negative_ttl, max_entries, clock):
        self.client, self.read, self.write, self.user = client, read, write, user
        self.ttl, self.negative_ttl = ttl, negative_ttl
        self.max_entries, self.clock = max_entries, clock
        self.memory = OrderedDict()

    def get_user(self, user_id):
        data = self.from_memory(user_id)
        if data is None:
            data = self.client.get(user_id)
            if data is None:
                data = self.load(user_id)
            expires, _ = json.loads(data)
            self.remember(user_id, data, expires)
        _, fields = json.loads(data)
        if fields is None:
            raise LookupError(user_id)
        return self.user(*fields)

    def from_memory(self, user_id):
        expires, data = self.memory.get(user_id, (0, None))
        if data is None or expires <= self.clock():
            return None
        self.memory.move_to_end(user_id)
        return data

    def load(self, user_id):
        try:
            user = self.read(user_id)
            fields, ttl = [user.id, user.name], self.ttl
        except LookupError:
            fields, ttl = None, self.negative_ttl
        data = json.dumps([self.clock() + ttl, fields]).encode()
        self.client.set(user_id, data, px=int(ttl * 1000))
        return data

    def remember(self, user_id, data, expires):
        self.memory[user_id] = expires, data
        if len(self.memory) > self.max_entries:
            self.memory.popitem(last=False)

    def update_user(self, user):
        self.write(user)
        self.memory.pop(user.id, None)
        self.client.delete(user.id)


class Unbounded(Mended):
    def remember(self, user_id, data, expires):
        self.memory[user_id] = expires, data


class NobodyUnbounded(Mended):
    """Who does not exist stands in a dict of its own, for ever."""

    def get_user(self, user_id):
        if self.clock() < self.__dict__.setdefault("nobody", {}).get(user_id, 0):
            raise LookupError(user_id)
        try:
            return super().get_user(user_id)
        except LookupError:
            self.nobody[user_id] = self.clock() + self.negative_ttl
            raise


class LivesOn(Mended):
    """A hit prolongs the TTL."""

    def from_memory(self, user_id):
        data = super().from_memory(user_id)
        if data is not None:
            self.memory[user_id] = self.clock() + self.ttl, data
        return data


class YoungAgain(Mended):
    """A copy from the server gets a whole TTL of its own."""

    def remember(self, user_id, data, expires):
        found = json.loads(data)[1] is not None
        super().remember(user_id, data, self.clock() + self.ttl if found else expires)


class OneForAll(Mended):
    """Keeps objects in memory and hands them out."""

    def get_user(self, user_id):
        kept = self.memory.get(("object", user_id))
        if kept is None or kept[0] <= self.clock():
            user = super().get_user(user_id)
            kept = self.memory[user_id][0], user
            self.memory[("object", user_id)] = kept
            if len(self.memory) > self.max_entries:
                self.memory.popitem(last=False)
        return kept[1]

    def update_user(self, user):
        super().update_user(user)
        self.memory.pop(("object", user.id), None)


class OnlyTheirCopies(OneForAll):
    """Copies, and does not remember who does not exist."""

    def get_user(self, user_id):
        return copy.copy(super().get_user(user_id))

    def load(self, user_id):
        user = self.read(user_id)
        data = json.dumps([self.clock() + self.ttl, [user.id, user.name]]).encode()
        self.client.set(user_id, data, px=int(self.ttl * 1000))
        return data


class NobodyForLong(Mended):
    def __init__(self, client, read, write, user, ttl, negative_ttl, max_entries, clock):
        super().__init__(client, read, write, user, ttl, ttl, max_entries, clock)


class ForgetsOnlyHere(Mended):
    """An update deletes in this process alone."""

    def update_user(self, user):
        self.write(user)
        self.memory.pop(user.id, None)


# ── 2: single-flight


class Single:
    def __init__(self):
        self.lock, self.flights = threading.Lock(), {}

    def do(self, key, load):
        with self.lock:
            flight = self.flights.get(key)
            mine = flight is None
            if mine:
                flight = self.flights[key] = Future()
        if mine:
            try:
                flight.set_result(load())
            except BaseException as error:
                flight.set_exception(error)
            finally:
                with self.lock:
                    del self.flights[key]
        return flight.result()


class Everybody:
    def do(self, key, load):
        return load()


class OneLock:
    """One lock around every load, and what was loaded is kept."""

    def __init__(self):
        self.lock, self.values = threading.Lock(), {}

    def do(self, key, load):
        with self.lock:
            if key not in self.values:
                self.values[key] = load()
            return self.values[key]


class Remembers(Single):
    """The result stays on the list."""

    def do(self, key, load):
        with self.lock:
            flight = self.flights.get(key)
            mine = flight is None
            if mine:
                flight = self.flights[key] = Future()
        if mine:
            try:
                flight.set_result(load())
            except BaseException as error:
                flight.set_exception(error)
                del self.flights[key]
        return flight.result()


class StuckAfterAnError:
    """Tells those who wait only where the load succeeds."""

    def __init__(self):
        self.lock, self.flights = threading.Lock(), {}

    def do(self, key, load):
        with self.lock:
            first = key not in self.flights
            flight = self.flights.setdefault(key, Future())
        if first:
            flight.set_result(load())
            del self.flights[key]
        return flight.result()


class EachTriesAgain(Single):
    """Who waited for a load that failed makes one of its own."""

    def do(self, key, load):
        with self.lock:
            others = key in self.flights
        try:
            return super().do(key, load)
        except ConnectionError:
            if others:
                return load()
            raise


# ── 3: nothing stale


def by_ticket():
    def reader(shop):
        value, ticket = shop.look()
        yield
        if value is None:
            value = shop.load()
            yield
            shop.store_if(value, ticket)
            yield

    def writer(shop, value):
        shop.write(value)
        yield
        shop.delete()
        yield

    return reader, writer


def as_the_guide():
    _, writer = by_ticket()

    def reader(shop):
        value, _ = shop.look()
        yield
        if value is None:
            value = shop.load()
            yield
            shop.store(value)
            yield

    return reader, writer


def deletes_first():
    reader, _ = by_ticket()

    def writer(shop, value):
        shop.delete()
        yield
        shop.write(value)
        yield

    return reader, writer


def ticket_after_the_load():
    _, writer = by_ticket()

    def reader(shop):
        value, _ = shop.look()
        yield
        if value is None:
            value = shop.load()
            yield
            _, ticket = shop.look()
            yield
            shop.store_if(value, ticket)
            yield

    return reader, writer


def writes_through():
    """The writer stores the new value; two writers cross."""
    reader, _ = by_ticket()

    def writer(shop, value):
        shop.write(value)
        yield
        shop.delete()
        yield
        shop.store(value)
        yield

    return reader, writer


def keeps_nothing():
    _, writer = by_ticket()

    def reader(shop):
        shop.look()
        yield
        shop.load()
        yield

    return reader, writer


def in_one_step():
    _, writer = by_ticket()

    def reader(shop):
        value, ticket = shop.look()
        if value is None:
            shop.store_if(shop.load(), ticket)
        yield

    return reader, writer


def never_deletes():
    reader, _ = by_ticket()

    def writer(shop, value):
        shop.write(value)
        yield

    return reader, writer


# ── 4: the benchmark that only hits


def played(requests, kept, hit, miss, move=True, failed_look=True, bound=True, warm=()):
    cache, times = OrderedDict.fromkeys(warm), []
    for key in requests:
        if key in cache:
            times.append(hit)
            if move:
                cache.move_to_end(key)
            continue
        times.append(miss + hit * failed_look)
        cache[key] = None
        if bound and len(cache) > kept:
            cache.popitem(last=False)
    times.sort()
    return {"mean": float(np.mean(times)), "p99": times[-(len(times) // 100) - 1]}


def honest(requests, kept, hit, miss):
    return played(requests, kept, hit, miss)


def hits_only(requests, kept, hit, miss):
    return {"mean": hit, "p99": hit}


def holds_everything(requests, kept, hit, miss):
    return played(requests, kept, hit, miss, bound=False)


def free_look_up(requests, kept, hit, miss):
    return played(requests, kept, hit, miss, failed_look=False)


def first_in_first_out(requests, kept, hit, miss):
    return played(requests, kept, hit, miss, move=False)


def warmed_by_the_first(requests, kept, hit, miss):
    return played(requests, kept, hit, miss, warm=list(dict.fromkeys(requests.tolist()))[:kept])


def warmed_by_all(requests, kept, hit, miss):
    """The second time round."""
    cache = OrderedDict()
    for key in requests:
        cache[key] = None
        cache.move_to_end(key)
        if len(cache) > kept:
            cache.popitem(last=False)
    return played(requests, kept, hit, miss, warm=cache)


def p99_of_the_mean(requests, kept, hit, miss):
    found = played(requests, kept, hit, miss)
    return {**found, "p99": found["mean"]}


SOLUTIONS = {1: Mended, 2: Single, 3: by_ticket, 4: honest}
WRONG = {
    1: {
        Unbounded: "Bound it",
        NobodyUnbounded: "asked for in vain",
        LivesOn: "TTL in every tier",
        YoungAgain: "TTL in every tier",
        OneForAll: "Keep bytes, or copy",
        OnlyTheirCopies: "is an answer as well",
        NobodyForLong: "a TTL of its own",
        ForgetsOnlyHere: "out of every tier",
    },
    2: {
        Everybody: "The first who misses loads",
        OneLock: "One lock around every load",
        Remembers: "This is no cache",
        StuckAfterAnError: "Hand the error to all",
        EachTriesAgain: "Hand the error to all",
    },
    3: {
        as_the_guide: "Take the ticket before you load",
        deletes_first: "delete after it has written",
        ticket_after_the_load: "Take the ticket before you load",
        writes_through: "delete after it has written",
        keeps_nothing: "no use",
        in_one_step: "One operation between two yields",
        never_deletes: "delete it",
    },
    4: {
        hits_only: "Only hits",
        holds_everything: "holds everything it ever saw",
        free_look_up: "look-up that failed",
        first_in_first_out: "LRU",
        warmed_by_the_first: "empty at first",
        warmed_by_all: "empty at first",
        p99_of_the_mean: "nearest rank",
    },
}
