"""Waiting for sockets with a precision of microseconds.

epoll counts its time-out in milliseconds, which is an age at 5,000 requests a second; `select`
counts in microseconds, and an epoll is itself a descriptor that `select` can wait for.
"""

import contextlib
import select
import selectors
import sys

COARSE = 0.002  # seconds by which a long wait ends early rather than late
SPIN = 0.00005  # a wait shorter than this is not worth going to sleep for
STDIN = 0
IN, OUT = 1, 2  # libcurl's bits (CURL_CSELECT_IN, _OUT)
Events = list[tuple[int, int]]


class EpollPoller:
    """Linux. State: the epoll, and which of its descriptors rest.

    libcurl asks to forget a socket when its request ends and to watch it again when the next one
    takes over the connection. To save the system calls a forgotten socket merely rests; should
    it report something (the server closed it), it is taken out then. When libcurl closes it, the
    kernel takes it out, so that `modify` fails for the next socket of the same number.
    """

    # Indexed by the low five bits of an epoll event: in 1, out 4, error 8, hang-up 16. After an
    # error or a hang-up reading tells what happened.
    BITS = [IN * bool(event & 0b11001) | OUT * bool(event & 0b100) for event in range(32)]
    EVENTS = [0, select.EPOLLIN, select.EPOLLOUT, select.EPOLLIN | select.EPOLLOUT]

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._fd = [self._epoll.fileno()]
        self._resting: set[int] = set()
        wake_within_a_microsecond()

    def watch(self, fd: int, bits: int) -> None:
        self._resting.discard(fd)
        try:
            self._epoll.modify(fd, self.EVENTS[bits])
        except FileNotFoundError:
            self._epoll.register(fd, self.EVENTS[bits])

    def forget(self, fd: int) -> None:
        self._resting.add(fd)

    def wait(self, seconds: float) -> Events:
        """(descriptor, libcurl's bits) of what is ready, after at most `seconds`.

        A long wait costs one system call, and may end early with nothing.
        """
        if seconds > COARSE:
            ready = self._epoll.poll(seconds - COARSE)
        else:
            ready = self._epoll.poll(0)
            if not ready and seconds > 0:
                select.select(self._fd, (), (), seconds)
                ready = self._epoll.poll(0)
        return [
            (fd, self.BITS[event & 31])
            for fd, event in ready
            if fd not in self._resting or self._take_out(fd)
        ]

    def _take_out(self, fd: int) -> bool:
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        return False


class SelectorPoller:
    """The same through `selectors`: kqueue on macOS is precise by itself."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()

    def watch(self, fd: int, bits: int) -> None:
        self.forget(fd)
        self._selector.register(fd, bits)  # EVENT_READ and EVENT_WRITE are libcurl's bits

    def forget(self, fd: int) -> None:
        with contextlib.suppress(KeyError, OSError):
            self._selector.unregister(fd)

    def wait(self, seconds: float) -> Events:
        return [(key.fd, bits) for key, bits in self._selector.select(max(seconds, 0.0))]


def wake_within_a_microsecond() -> None:
    """Ask Linux to end this thread's waits on time, instead of up to 50 µs later to save power."""
    with contextlib.suppress(OSError), open("/proc/self/timerslack_ns", "w") as file:
        file.write("1")


def best_poller() -> EpollPoller | SelectorPoller:
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
