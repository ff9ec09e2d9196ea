"""A neighbour: work beside ours that we did not ask for, so that an experiment can have one."""

import threading
from types import TracebackType

from perflab.errors import is_number, require


class neighbour:  # noqa: N801 - reads as a verb's object: with neighbour(after=0.5)
    """A thread that begins to compute `after` seconds into the block, and stops at its end.

    It computes in Python, so it takes the interpreter's lock in turn with the block's own code
    and slows that down, as a busy neighbour slows down a machine. State: the thread, if it is
    there, and the event that ends it.
    """

    def __init__(self, after: float = 0.0) -> None:
        require(is_number(after) and 0 <= after < 3600, "after", after, "seconds from 0 to 3600")
        self._after = float(after)
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "neighbour":
        require(self._thread is None, "neighbour", self, "entered once at a time")
        self._leaving.clear()
        self._thread = threading.Thread(target=self._run, name="neighbour", daemon=True)
        try:
            self._thread.start()
        except BaseException:  # interrupted while it waits for the thread: no exit will follow
            self._leaving.set()
            self._thread = None
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        if self._leaving.wait(self._after):
            return
        number = 1
        while not self._leaving.is_set():
            for _ in range(1000):
                number = number * 1_103_515_245 % 2_147_483_648
