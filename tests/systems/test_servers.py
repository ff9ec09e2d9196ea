"""A supervised server: there when it says so, gone when it should be, whatever happens above."""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from processes import gone, owner_of

from perflab.contracts.threads import eventually
from perflab.errors import ServerError
from perflab.systems import servers, supervisor
from perflab.systems.servers import HOST, Server, scratch

# Answers each connection with its process id; stdlib alone, so that it starts fast.
ECHO = """
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
print("first words", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""
# Binds the port itself, and ignores SIGTERM.
STUBBORN = """
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"here")
    connection.close()
"""
# Serves nobody; makes a file when it is ready, and says goodbye there on SIGTERM.
POLITE = """
import signal, sys
def goodbye(number, frame):
    open(sys.argv[1], "w").write("bye")
    sys.exit()
signal.signal(signal.SIGTERM, goodbye)
open(sys.argv[1], "w").close()
while True:
    signal.pause()
"""


def answered(port, timeout=5.0):
    """What the server says; OSError where it says nothing."""
    with socket.create_connection((HOST, port), timeout) as connection:
        said = connection.recv(100)
    if not said:
        raise ConnectionError("not a word")
    return said.decode()


def python(code, what="{fd}", **options):
    """A server of these few lines."""
    command = [sys.executable, "-I", "-S", "-c", code, what]
    return Server(command, answered, **options)


def test_it_answers_when_the_context_is_entered_and_is_gone_when_it_is_left():
    """The very first connection is served; afterwards neither process nor folder is left."""
    with python(ECHO) as server:
        assert int(answered(server.port)) == server.pid
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.running
        assert server.output() == "first words"
        supervisor, folder = server._supervisor.pid, server._folder
    assert gone(server.pid)
    assert gone(supervisor)
    assert not folder.exists()
    assert not server.running
    with pytest.raises(OSError, match="refused"):
        answered(server.port)


def test_stopping_twice_or_before_the_start_does_nothing():
    """stop() is idempotent."""
    server = python(ECHO)
    server.stop()
    server.start()
    server.stop()
    server.stop()
    assert gone(server.pid)


def test_a_stopped_server_says_so():
    """What needs a server raises ServerError once it is stopped."""
    with python(ECHO) as server:
        pass
    for act in (server.pause, server.resume, server.kill, server.restart):
        with pytest.raises(ServerError, match="never started, or was stopped"):
            act()
    assert not server.running


def test_a_running_server_is_not_started_twice():
    """start() and then `with` is one server, which the end of `with` stops."""
    server = python(ECHO).start()
    pid = server.pid
    with server.start():
        assert server.pid == pid
        assert int(answered(server.port)) == pid
    assert gone(pid)


def test_a_server_that_is_forgotten_ends():
    """A name that is bound anew takes its server along, without a word to stop()."""
    server = python(ECHO).start()
    pid, folder = server.pid, server._folder
    del server
    gc.collect()
    assert gone(pid)
    assert not folder.exists()


def test_a_taken_port_is_named():
    """The error says which port, and nothing is left running."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        server = python(ECHO, port=port)
        with pytest.raises(ServerError, match=f"port {port}: Address already in use"):
            server.start()
        assert server._supervisor is None


def test_a_given_port_that_is_free_is_used():
    """The caller's port is the server's."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    with python(ECHO, port=port) as server:
        assert server.port == port
        assert answered(port)


def test_a_free_port_is_none_that_a_client_may_be_given():
    """The system takes clients' ports from higher up, so a restart finds its port free."""
    with socket.socket() as one, socket.socket() as other:
        ports = [supervisor.bound(one, 0), supervisor.bound(other, 0)]
        assert all(20_000 <= port < 32_000 for port in ports)
        assert ports == [one.getsockname()[1], other.getsockname()[1]]
        with socket.socket() as third, pytest.raises(OSError, match="in use"):
            supervisor.bound(third, ports[0])


def test_a_server_that_dies_at_once_is_reported_with_its_last_words():
    """The traceback of the child is in the message."""
    with pytest.raises(ServerError, match=r"exited 3[\s\S]*no such luck"):
        python("import sys; print('no such luck'); sys.exit(3)").start()


def test_a_program_that_is_not_there_is_reported():
    """A command that cannot be run is no hang."""
    with pytest.raises(ServerError, match="no-such-program"):
        Server(["no-such-program"], answered).start()


def test_a_server_that_never_answers_is_given_up():
    """The time-out ends the waiting, and the server."""
    server = python("import time; time.sleep(600)", timeout=0.3)
    with pytest.raises(ServerError, match=r"no answer within 0.3 s"):
        server.start()
    assert gone(server.pid)


def test_a_frozen_server_keeps_its_clients_waiting_until_it_goes_on():
    """pause() stops the process, not its socket; resume() lets it answer what has waited."""
    with python(ECHO) as server:
        server.pause()
        assert psutil.Process(server.pid).status() == psutil.STATUS_STOPPED
        server.pause()
        with socket.create_connection((HOST, server.port), 60) as waiting:
            waiting.settimeout(0.05)
            with pytest.raises(TimeoutError):
                waiting.recv(100)
            waiting.settimeout(60)
            server.resume()
            assert int(waiting.recv(100)) == server.pid


def test_a_frozen_server_is_stopped_as_cleanly_as_another(tmp_path):
    """It is woken to hear SIGTERM, and does what it does then."""
    file = tmp_path / "bye"
    command = [sys.executable, "-I", "-S", "-c", POLITE, str(file)]
    with Server(command, lambda port, timeout: file.open().close()) as server:
        server.pause()
    assert file.read_text() == "bye"


def test_a_killed_server_comes_back_on_its_port():
    """restart() starts another process behind the same address."""
    with python(ECHO) as server:
        first, port = server.pid, server.port
        server.kill()
        server.kill()
        assert not server.running
        with pytest.raises(OSError, match="refused"):
            answered(port)
        with pytest.raises(ServerError, match="does not run: exited -9"):
            server.pause()
        server.restart()
        assert server.port == port
        assert int(answered(port)) == server.pid != first
        server.restart()  # a running one is ended first
        assert int(answered(port)) == server.pid


def test_a_server_killed_by_someone_else_is_noticed():
    """Its state is asked for, not remembered."""
    with python(ECHO) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.running, 10)
        server.restart()
        assert answered(server.port)


def test_a_server_that_binds_by_itself_and_ignores_sigterm_is_ended():
    """With inherits_socket=False it gets the number of a free port; SIGKILL follows the grace."""
    with python(STUBBORN, "{port}", inherits_socket=False) as server:
        assert answered(server.port) == "here"
    assert gone(server.pid)


def test_several_servers_run_at_once_from_threads():
    """Each has its own port and process."""
    servers = [python(ECHO) for _ in range(3)]
    threads = [threading.Thread(target=server.start) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len({server.port for server in servers}) == 3
        assert [int(answered(server.port)) for server in servers] == [s.pid for s in servers]
    finally:
        for server in servers:
            server.stop()
    assert all(gone(server.pid) for server in servers)


def test_an_answer_that_an_interrupt_left_unread_is_skipped():
    """Questions have numbers, so a late answer is not taken for that of the next question."""
    with python(ECHO) as server:
        for _ in range(3):
            server._asked += 1
            server._supervisor.stdin.write(b"%d ?\n" % server._asked)  # and interrupted here
        server.kill()
        assert not server.running


MAKE = "from test_servers import ECHO, python; server = python(ECHO)"


@pytest.mark.parametrize("then", ["", "server.pause()"], ids=["running", "paused"])
def test_when_the_kernel_is_killed_nothing_is_left(then):
    """SIGKILL of the owner ends server, supervisor and folder within two seconds."""
    with owner_of(MAKE, then) as (owner, (server, supervisor, folder)):
        assert not gone(int(server))
        owner.kill()
        assert eventually(lambda: gone(int(server)), 2)
        assert eventually(lambda: gone(int(supervisor)) and not Path(folder).exists(), 2)


def test_a_fork_of_the_kernel_that_lives_on_does_not_keep_the_server():
    """It holds the pipe open, but the supervisor sees that its owner has gone."""
    fork = "fork = os.fork()\nif fork == 0: time.sleep(600)\nprint(fork, end=' ')"
    with owner_of(MAKE, fork) as (owner, (child, server, supervisor, _)):
        owner.kill()
        try:
            assert eventually(lambda: gone(int(server)) and gone(int(supervisor)), 2)
            assert not gone(int(child))
        finally:
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_supervisor_that_is_killed_takes_its_server_along(number):
    """And the owner gets a ServerError, not a hang."""
    if number == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent died")
    with python(ECHO) as server:
        os.kill(server._supervisor.pid, number)
        assert eventually(lambda: gone(server.pid), 2)
        with pytest.raises(ServerError, match="supervisor is gone"):
            server.pause()
        folder = server._folder
    assert not folder.exists()


def test_an_interrupt_of_the_terminal_does_not_reach_the_server():
    """It is in another session than the kernel, and in a group of its own."""
    with python(ECHO) as server:
        assert os.getsid(server.pid) != os.getsid(0)
        assert os.getpgid(server.pid) == server.pid


def test_an_interrupt_while_it_starts_leaves_nothing():
    """Ctrl-C during the wait for readiness ends what was begun."""

    def interrupted(port, timeout):
        raise KeyboardInterrupt

    server = python(ECHO)
    server._ready = interrupted
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert gone(server.pid)
    assert server._supervisor is None


@pytest.mark.parametrize("port", [-1, 65_536, True, 1.5, "80", None])
def test_a_port_that_is_none_is_refused(port):
    """At construction, by name."""
    with pytest.raises(ValueError, match="port="):
        python(ECHO, port=port)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "1", None])
def test_a_timeout_that_is_none_is_refused(timeout):
    """At construction, by name."""
    with pytest.raises(ValueError, match="timeout="):
        python(ECHO, timeout=timeout)


def test_the_owner_waits_longer_than_the_supervisor_needs():
    """Else a stop that takes its full grace would look like a dead supervisor."""
    assert supervisor.GRACE + 2 <= servers.END_TIMEOUT


def test_an_end_that_comes_right_after_the_start_is_heeded(tmp_path):
    """SIGTERM alone does it, also between fork and exec: nobody waits for the grace to pass."""
    command = [sys.executable, "-I", "-S", str(servers.SUPERVISOR), str(tmp_path / "folder")]
    asked = b"".join(b"%d S\n%d T\n" % (number, number) for number in range(40))
    told = subprocess.run(
        [*command, "0", "inherit", "-1", "15", "9", "sleep", "600"],
        input=asked,
        capture_output=True,
        check=True,
    )
    ends = told.stdout.decode().splitlines()[1::2]
    assert ends == [f"{number} exited -{signal.SIGTERM:d}" for number in range(40)]


def test_a_forgotten_scratch_folder_goes_without_a_word(monkeypatch: pytest.MonkeyPatch):
    """The collector of garbage lets go of its server first; its block then ends all the same."""
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    block = scratch()
    folder = block.__enter__()
    knot: list[object] = [block]
    knot.append(knot)  # so that only the collector frees it
    del block, knot
    gc.collect()
    assert said == []
    assert not folder.exists()


def test_a_scratch_folder_lasts_as_long_as_its_block():
    """It is there to write into, and gone with all that is in it, after an error too."""

    def fails():
        with scratch() as folder:
            (folder / "below").mkdir()
            (folder / "below" / "file").write_text("…")
            folders.append(folder)
            raise ZeroDivisionError

    folders = []
    with pytest.raises(ZeroDivisionError):
        fails()
    assert not folders[0].exists()
