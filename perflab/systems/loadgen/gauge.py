"""Memory and CPU time of the tester and of the server, read from the operating system."""

import psutil

from perflab.systems.loadgen.wire import READING


class Gauge:
    """Reads both processes on demand. State: the server's processes, found once at the start.

    The server's figures are the sums over its process and those it had started by then. What
    cannot be read (gone, or not ours to look at) is −1, never an exception: a server that dies is
    a result.
    """

    def __init__(self, server_pid: int | None) -> None:
        self._tester = psutil.Process()
        self._server: list[psutil.Process] = []
        if server_pid is not None:
            try:
                process = psutil.Process(server_pid)
                self._server = [process, *process.children(recursive=True)]
            except psutil.Error:
                pass

    def read(self, now: float) -> bytes:
        """One packed READING; memory resident in bytes, CPU time in seconds."""
        tester = _usage(self._tester)
        parts = [usage for process in self._server if (usage := _usage(process))[0] >= 0]
        rss, cpu = (sum(column) for column in zip(*parts, strict=True)) if parts else (-1.0, -1.0)
        return READING.pack(now, *tester, rss, cpu)


def _usage(process: psutil.Process) -> tuple[float, float]:
    try:
        with process.oneshot():
            times = process.cpu_times()
            return float(process.memory_info().rss), times.user + times.system
    except psutil.Error:
        return -1.0, -1.0
