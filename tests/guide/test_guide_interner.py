"""The guide's string interner is ported faithfully, defects included."""

from perflab.contracts.interner import copy
from perflab.contracts.threads import Running, eventually
from perflab.guide.interner import RWMutex, StringInterner, usage


class Keeps:
    """Interns nothing."""

    def intern(self, s):
        return copy(s)


def test_the_proof_of_the_guide_is_true_without_an_interner():
    """It compares by value; the objects are two."""
    assert usage(StringInterner())
    assert usage(Keeps())
    assert Keeps().intern("hello") is not Keeps().intern("hello")


def test_many_read_at_once_and_a_waiting_writer_holds_new_readers_back():
    """As Go's RWMutex does: a reader who comes after the writer reads after it."""
    mutex, order = RWMutex(), []
    mutex.r_lock()
    mutex.r_lock()

    def write():
        mutex.lock()
        order.append("written")
        mutex.unlock()

    def read():
        mutex.r_lock()
        order.append("read")
        mutex.r_unlock()

    writer = Running(write)
    assert eventually(lambda: mutex._waiting == 1)  # it cannot pass two readers
    reader = Running(read)
    mutex.r_unlock()
    assert order == []
    mutex.r_unlock()
    assert writer.join()
    assert reader.join()
    assert order == ["written", "read"]
