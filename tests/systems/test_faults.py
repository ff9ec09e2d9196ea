"""What breaks in the middle: a restart under many threads, a full disk, a frozen server."""

import resource
import threading

import psycopg
import pytest
import valkey as valkey_client

from perflab.contracts.threads import Running, eventually
from perflab.errors import AcquireTimeoutError
from perflab.patterns import ConnectionPool
from perflab.systems import postgres, valkey

LIMIT, THREADS = 4, 20


class Client:
    """Threads that ask through one pool until they are told to stop.

    State: `answers` that came, `broken`, how often each connection failed in use, `refused`
    connections that could not be opened; `stop`.
    """

    def __init__(self, pool):
        self.pool, self.stop = pool, threading.Event()
        self.lock = threading.Lock()
        self.answers = self.refused = 0
        self.broken = {}

    def run(self):
        while not self.stop.is_set():
            try:
                with self.pool.acquire(timeout=30) as connection:
                    self.ask(connection)
            except psycopg.OperationalError:
                with self.lock:
                    self.refused += 1
                self.stop.wait(0.01)

    def ask(self, connection):
        try:
            connection.execute("SELECT pg_sleep(0.001)")
            with self.lock:
                self.answers += 1
        except psycopg.OperationalError:
            with self.lock:  # by the connection itself, which so stays alive: no number comes twice
                self.broken[connection] = self.broken.get(connection, 0) + 1


def test_a_restart_under_twenty_threads_costs_each_connection_one_error_at_most():
    """No broken connection is lent again, none is opened beyond the limit, and all goes on."""
    with postgres() as server, server.connect(autocommit=True) as watcher:
        pool = ConnectionPool(server.connect, LIMIT, ping=lambda one: one.execute("SELECT 1"))
        client = Client(pool)
        threads = [Running(client.run) for _ in range(THREADS)]
        assert eventually(lambda: client.answers > 50, 20)
        count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        assert watcher.execute(count).fetchone()[0] <= LIMIT + 1  # and the one who asks
        server.restart()
        before = client.answers
        assert eventually(lambda: client.answers > before + 50, 20)
        with server.connect(autocommit=True) as again:
            assert again.execute(count).fetchone()[0] <= LIMIT + 1
        client.stop.set()
        for thread in threads:
            thread.result(30)
        assert len(client.broken) <= LIMIT
        assert set(client.broken.values()) <= {1}
        assert pool.stats().open <= LIMIT
        pool.close()


def test_a_server_frozen_for_a_while_costs_a_wait_and_no_connection():
    """Who asked meanwhile is answered when it goes on, over the same connections."""
    with postgres() as server:
        pool = ConnectionPool(server.connect, 2)
        with pool.acquire() as one, pool.acquire() as two:
            backends = {one.info.backend_pid, two.info.backend_pid}
        server.pause()
        client = Client(pool)
        threads = [Running(client.run) for _ in range(4)]
        with pytest.raises(AcquireTimeoutError), pool.acquire(timeout=0.2):
            pass  # both connections are in the hands of who waits for an answer
        assert client.answers == 0
        server.resume()
        assert eventually(lambda: client.answers > 10, 20)
        client.stop.set()
        for thread in threads:
            thread.result(30)
        with pool.acquire() as one, pool.acquire() as two:
            assert {one.info.backend_pid, two.info.backend_pid} == backends
        assert not client.broken
        pool.close()


def test_a_frozen_valkey_raises_in_time():
    """A client has its own time-out, and is good again afterwards."""
    with valkey() as server:
        client = server.client(timeout=0.2)
        client.set("a", b"1")
        server.pause()
        with pytest.raises(valkey_client.exceptions.TimeoutError):
            client.get("a")
        server.resume()
        assert eventually(lambda: server.client().get("a") == b"1", 5)
        assert client.get("a") == b"1"


@pytest.fixture
def small_files():
    """What is started meanwhile cannot make a file larger than 20 MB: a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_error_and_the_connection_lives_on(small_files):
    """Nothing of the statement stays, and the next one works."""
    with postgres() as server, server.connect() as connection:
        connection.execute("CREATE TABLE large (text text)")
        connection.commit()
        rows = "INSERT INTO large SELECT repeat('x', 1000) FROM generate_series(1, 30000)"
        with pytest.raises(psycopg.OperationalError, match="could not"):
            connection.execute(rows)
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (0,)
