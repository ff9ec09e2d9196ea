"""The engine's process: never left behind, never in the way."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from rawserver import answer, raw_server

from perflab.errors import LoadError
from perflab.systems import Closed, run_load

CALLER = """
from perflab.systems import Closed, run_load
run_load({url!r}, Closed(1, duration=600, think_time={think_time}))
"""


def engines(of: int) -> list[psutil.Process]:
    """The load generators that a process has started."""
    children = psutil.Process(of).children()
    return [child for child in children if "perflab.systems.loadgen.engine" in child.cmdline()]


def watch_once(then):
    """A `watch` that acts when requests have been answered."""

    def watch(progress):
        if progress.requests:
            then()

    return watch


def test_an_interrupt_ends_the_engine_before_it_is_raised():
    """Ctrl-C in a running cell: KeyboardInterrupt, the child gone, and the next run works."""
    with raw_server(answer) as server:
        main = threading.main_thread().ident
        with pytest.raises(KeyboardInterrupt):
            run_load(
                server.url, Closed(1, duration=600),
                watch=watch_once(lambda: signal.pthread_kill(main, signal.SIGINT)),
            )  # fmt: skip
        assert engines(os.getpid()) == []
        assert run_load(server.url, Closed(1, requests=5)).ok.all()


@pytest.mark.parametrize("think_time", [0.0, 500.0])
def test_an_engine_ends_when_its_caller_is_killed(think_time):
    """Busy or idle, it notices the closed pipe by itself."""
    asked = threading.Event()

    def behave(connection, path):
        asked.set()
        return answer(connection, path)

    with raw_server(behave) as server:
        code = CALLER.format(url=server.url, think_time=think_time)
        with subprocess.Popen([sys.executable, "-c", code]) as caller:
            try:
                assert asked.wait(60)
                (engine,) = engines(caller.pid)
            finally:
                caller.kill()
        _, alive = psutil.wait_procs([engine], timeout=30)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]


def test_the_engine_has_a_session_of_its_own():
    """So that Ctrl-C in a terminal reaches the caller alone."""
    sessions = set()

    def note():
        sessions.update(os.getsid(engine.pid) for engine in engines(os.getpid()))
        raise StopIteration

    with raw_server(answer) as server, pytest.raises(StopIteration):
        run_load(server.url, Closed(1, duration=600), watch=watch_once(note))
    assert sessions
    assert os.getsid(0) not in sessions


def test_an_engine_that_is_killed_is_an_error_of_the_generator():
    """Nothing can be said about the server then."""

    def kill():
        for engine in engines(os.getpid()):
            engine.kill()

    with raw_server(answer) as server, pytest.raises(LoadError, match="ended early"):
        run_load(server.url, Closed(1, duration=600), watch=watch_once(kill))


def test_files_in_the_reader_s_folder_do_not_reach_the_engine(tmp_path, monkeypatch):
    """A json.py beside a notebook is the reader's business."""
    Path(tmp_path, "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    with raw_server(answer) as server:
        assert run_load(server.url, Closed(1, requests=5)).ok.all()


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch):
    """The load goes to its target."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with raw_server(answer) as server:
        assert run_load(server.url, Closed(1, requests=5)).ok.all()


def test_a_caller_that_does_not_listen_does_not_hold_up_the_load():
    """A `watch` that blocks until the load's last request has been answered sees it answered."""
    last = threading.Event()
    served = []

    def behave(connection, path):
        served.append(path)
        if len(served) == 30_000:  # 1.5 MB of samples: more than the pipe holds
            last.set()
        return answer(connection, path)

    with raw_server(behave) as server:
        result = run_load(
            server.url, Closed(4, requests=30_000), watch=lambda progress: last.wait(300)
        )
    assert last.is_set()
    assert result.ok.sum() == 30_000
