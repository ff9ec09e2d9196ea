"""The guide's cache of several levels, mended."""

import contextlib
import json
import threading
from collections import OrderedDict

from perflab.guide.cache import SELECT, UPSERT, MultiLevelCache, NoRowsError


class Mended(MultiLevelCache):
    """The guide's class as a reader may mend it: one lock, JSON with its end, an order of use."""

    def __init__(self, redis_client, db, ttl, *, clock, max_entries, near_ttl):
        super().__init__(redis_client, db, ttl)
        self.l1_cache = OrderedDict()
        self.clock, self.max_entries, self.near_ttl = clock, max_entries, near_ttl
        self.lock, self.errors, self.retry_at, self.owed = threading.RLock(), 0, 0.0, set()

    def get(self, key):
        with self.lock:
            data, until = self.l1_cache.get(key, (None, 0.0))
            if data is None or self.clock() >= until or not self._lives(data):
                data = self._from_below(key)
                self._keep(key, data)
            self.l1_cache.move_to_end(key)
            return json.loads(data)[0]

    def set(self, key, value):
        data = json.dumps([value, self.clock() + self.ttl]).encode()
        with self.lock:
            self.l3_cache.execute(UPSERT, (key, data))
            self._to_server(key, data)
            self._keep(key, data)

    def delete(self, key):
        with self.lock:
            self.l3_cache.execute("DELETE FROM cache WHERE key = ?", (key,))
            self._ask(key, lambda: self.l2_cache.delete(key), owed=True)
            self.l1_cache.pop(key, None)

    def _keep(self, key, data):
        self.l1_cache[key] = data, self.clock() + self.near_ttl
        if len(self.l1_cache) > self.max_entries:
            self.l1_cache.popitem(last=False)

    def _to_server(self, key, data):
        px = int(1000 * (json.loads(data)[1] - self.clock()))
        self._ask(key, lambda: self.l2_cache.set(key, data, px=px), owed=True)

    def _from_below(self, key):
        data = self._ask(key, lambda: self.l2_cache.get(key))
        if data is None or not self._lives(data):
            row = self.l3_cache.execute(SELECT, (key,)).fetchone()
            if row is None or not self._lives(row[0]):
                raise NoRowsError(key)
            data = row[0]
            self._to_server(key, data)
        return data

    def _lives(self, data):
        with contextlib.suppress(ValueError):
            return self.clock() < json.loads(data)[1]
        return False

    def _ask(self, key, command, owed=False):
        try:
            if self.clock() < self.retry_at:
                raise TimeoutError
            if key in self.owed:
                self.l2_cache.delete(key)
                self.owed.discard(key)
            return command()
        except OSError as error:
            if owed:
                self.owed.add(key)
            if not isinstance(error, TimeoutError):
                self.errors, self.retry_at = self.errors + 1, self.clock() + 1
        return None
