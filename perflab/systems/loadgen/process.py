"""The engine as seen from the caller: started, listened to, and gone when this is over."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from perflab.errors import LoadError
from perflab.systems.loadgen.progress import Progress, Tracker
from perflab.systems.loadgen.wire import END, FAILURE, READINGS, SAMPLES, Frames
from perflab.systems.loadgen.workload import Floats

WATCH_EVERY = 0.2  # seconds between two calls of `watch`
SILENCE = 30.0  # seconds without a word after which the engine counts as lost
Watch = Callable[[Progress], object]


def follow(
    settings: dict[str, Any], times: Floats, tracker: Tracker, watch: Watch | None
) -> dict[str, Any]:
    """Run the engine to its end, filling `tracker`; its last word is returned.

    Whatever is raised here, in `watch` or by Ctrl-C, the engine is gone before it goes on.
    Raises LoadError where the engine failed.
    """
    with tempfile.TemporaryFile() as complaints:
        child = start(complaints)
        assert child.stdin is not None
        assert child.stdout is not None
        facts = None
        try:
            with contextlib.suppress(BrokenPipeError):  # it died: what it said follows below
                child.stdin.write(json.dumps(settings).encode() + b"\n" + times.tobytes())
                child.stdin.flush()
                facts = listen(child.stdout, tracker, watch)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
        if facts is None:
            complaints.seek(0)
            said = complaints.read()[-2000:].decode(errors="replace").strip()
            raise LoadError(f"the load generator ended early: {said or child.returncode}")
        return facts


def start(complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    """A fresh engine: no fork, so nothing of this process's threads and locks is in it."""
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        # -P: a reader's folder may hold a json.py of its own.
        [sys.executable, "-P", "-m", "perflab.systems.loadgen.engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the engine
    )


def listen(pipe: IO[bytes], tracker: Tracker, watch: Watch | None) -> dict[str, Any] | None:
    """Pass on what the engine sends; its last word, or None if it ended without one."""
    frames, heard = Frames(), time.perf_counter()
    next_watch = heard + WATCH_EVERY
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            wake = heard + SILENCE if watch is None else min(next_watch, heard + SILENCE)
            if selector.select(max(wake - time.perf_counter(), 0.0)):
                data = os.read(pipe.fileno(), 1 << 20)
                if not data:
                    return None
                facts = take(frames.feed(data), tracker)
                heard = time.perf_counter()
                if facts is not None:
                    if watch is not None:
                        watch(tracker.progress(over=True))
                    return facts
            now = time.perf_counter()
            if now - heard > SILENCE:
                raise LoadError(f"the load generator said nothing for {SILENCE:g} s")
            if watch is not None and now >= next_watch:
                watch(tracker.progress())
                next_watch = time.perf_counter() + WATCH_EVERY


def take(frames: Iterator[tuple[bytes, bytes]], tracker: Tracker) -> dict[str, Any] | None:
    """Put records where they belong; the engine's last word if it is among the frames."""
    for kind, payload in frames:
        if kind == SAMPLES:
            tracker.add_samples(payload)
        elif kind == READINGS:
            tracker.add_readings(payload)
        elif kind == END:
            facts: dict[str, Any] = json.loads(payload)
            return facts
        elif kind == FAILURE:
            raise LoadError(f"the load generator failed: {json.loads(payload)['message']}")
    return None
