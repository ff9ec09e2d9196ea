"""The engine's way out: frames written to a pipe without ever waiting for its reader."""

import contextlib
import fcntl
import json
import os
import sys
from typing import Any

from perflab.systems.loadgen.wire import END, FAILURE, READINGS, SAMPLES, frame

PIPE_BYTES = 1 << 20


class Outlet:
    """Collects records and passes them on when the pipe has room.

    A caller who draws a figure does not read meanwhile; what does not fit waits here, so that
    drawing never delays a request. A broken pipe means that the caller is gone: the process ends.

    State: `samples` and `readings`, packed records not yet framed; `_waiting`, frames not yet
    written.
    """

    def __init__(self, fd: int) -> None:
        self.samples, self.readings = bytearray(), bytearray()
        self._fd, self._waiting = fd, bytearray()
        os.set_blocking(fd, False)
        if sys.platform == "linux":  # elsewhere 64 kB have to do
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def flush(self) -> None:
        """Write what the pipe takes at once."""
        for kind, records in ((SAMPLES, self.samples), (READINGS, self.readings)):
            if records:
                self._waiting += frame(kind, records)
                records.clear()
        try:
            while self._waiting:
                del self._waiting[: os.write(self._fd, self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            os._exit(1)

    def end(self, facts: dict[str, Any]) -> None:
        """Write everything, waiting for the reader, and say that this was all."""
        self._last(END, facts)

    def fail(self, message: str) -> None:
        """Say why there will be no result."""
        self._last(FAILURE, {"message": message})

    def _last(self, kind: bytes, facts: dict[str, Any]) -> None:
        os.set_blocking(self._fd, True)
        self.flush()
        self._waiting += frame(kind, json.dumps(facts).encode())
        self.flush()
