"""A tier that may fail, as its cache sees it: counted, skipped, tried again, not trusted blindly.

After an error the tier is left alone for `retry_after` seconds, so that nobody waits for the
time-outs of a dead server. Then one caller, the first that comes, tries it, and the others go on
without it until that one has succeeded.

What it must not do when it comes back is answer with what should have been replaced meanwhile. A
write that failed or was skipped is owed: before such a key is asked for, it is deleted, and with
every command the oldest debt is paid too, so that the tier's other users are rid of it. A debt is
forgotten after a TTL, when whatever was there has expired by itself.

The race that it must win: a debt is paid, and before that is noted another write of the key fails.
The new debt is another object and stays.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from perflab.patterns.tiers import Entry, Tier

T = TypeVar("T")


@dataclass(frozen=True)
class TierStats:
    """A snapshot of one tier as its cache has used it."""

    hits: int  # lookups answered by this tier
    misses: int  # lookups that it answered with nothing
    filled: int  # values copied into it from a farther tier
    errors: int  # commands that raised
    skipped: int  # commands not sent because the tier had failed shortly before
    owed: int  # keys to delete there before they are asked for again
    refused: int  # values found there that could not be decoded
    last_error: str  # what the latest error said; "" where there was none


class GuardedTier:
    """A tier whose errors end here; nothing in it may live longer than `ttl`.

    State: `_retry_at`, when it may be tried again, 0 while it works; `_owed`, keys whose write
    failed and when that was, oldest first; the counts. Guarded by `_lock`, which is never held
    while the tier works. Within a TTL at most as many debts come together as keys are written.
    """

    def __init__(
        self, tier: Tier, ttl: float, retry_after: float, clock: Callable[[], float]
    ) -> None:
        self._tier, self._ttl, self._retry_after, self._clock = tier, ttl, retry_after, clock
        self._lock = threading.RLock()
        self._retry_at = 0.0
        self._owed: dict[str, tuple[float]] = {}
        self._hits = self._misses = self._filled = self._errors = self._skipped = 0
        self._refused = 0
        self._last_error = ""

    def entry(self, key: str) -> Entry | None:
        answered, entry = self._try(key, lambda: self._tier.entry(key))
        with self._lock:
            self._hits += entry is not None
            self._misses += answered and entry is None
        return entry

    def refuse(self, error: Exception) -> None:
        """What it answered is not ours."""
        with self._lock:
            self._hits -= 1
            self._misses += 1
            self._refused += 1
            self._last_error = _short(error)

    def fill(self, key: str, data: bytes, ttl: float) -> None:
        """Keep a copy of what a farther tier had."""
        filled, _ = self._try(key, lambda: self._tier.set(key, data, ttl))
        with self._lock:
            self._filled += filled

    def set(self, key: str, data: bytes, ttl: float) -> None:
        self._write(key, lambda: self._tier.set(key, data, ttl))

    def delete(self, key: str) -> None:
        self._write(key, lambda: self._tier.delete(key))

    def _write(self, key: str, command: Callable[[], object]) -> None:
        written = False
        try:
            written, _ = self._try(key, command)
        finally:  # also when it was interrupted halfway
            if not written:
                with self._lock:
                    self._owed.pop(key, None)  # the newest debt goes to the end
                    self._owed[key] = (self._clock(),)  # an object of its own: see `_pay`

    def _try(self, key: str, command: Callable[[], T]) -> tuple[bool, T | None]:
        """Whether the tier answered, and with what."""
        if not self._may_try():
            return False, None
        try:
            if self._owed:
                self._pay(key)
            answer = command()
        except Exception as error:
            with self._lock:
                self._errors += 1
                self._last_error = _short(error)
                self._retry_at = self._clock() + self._retry_after
            return False, None
        self._retry_at = 0.0
        return True, answer

    def _may_try(self) -> bool:
        """Works; or has failed and rests; or has rested, and one caller tries: the first."""
        if not self._retry_at:
            return True
        with self._lock:
            now = self._clock()
            if now < self._retry_at:
                self._skipped += 1
                return False
            self._retry_at = now + self._retry_after
            return True

    def _pay(self, key: str) -> None:
        """Delete what is owed for this key, and the oldest debt beside it."""
        with self._lock:
            now = self._clock()
            while self._owed and now - next(iter(self._owed.values()))[0] > self._ttl:
                del self._owed[next(iter(self._owed))]  # whatever was there has expired
            due = {
                owed: self._owed[owed]
                for owed in (key, *islice(self._owed, 1))
                if owed in self._owed
            }
        for owed, debt in due.items():
            self._tier.delete(owed)
            with self._lock:
                if self._owed.get(owed) is debt:  # not one that was made since
                    del self._owed[owed]

    def stats(self) -> TierStats:
        """Counts since the beginning, and what is owed now."""
        with self._lock:
            return TierStats(
                hits=self._hits,
                misses=self._misses,
                filled=self._filled,
                errors=self._errors,
                skipped=self._skipped,
                owed=len(self._owed),
                refused=self._refused,
                last_error=self._last_error,
            )


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
