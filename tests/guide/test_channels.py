"""Go's channels and select, as the ports of the guide use them."""

import random
import signal
import threading

import pytest

from perflab.contracts.threads import Running, eventually
from perflab.errors import PanicError
from perflab.guide.parts.channels import Channel, Context, Receive, Selected, Send, select


def parked(channel):
    return len(channel.senders) + len(channel.receivers)


def test_an_unbuffered_send_returns_when_somebody_has_received():
    """Capacity 0 hands over: the sender waits for its receiver."""
    channel = Channel()
    sender = Running(lambda: channel.send("a"))
    assert eventually(lambda: parked(channel) == 1)
    assert not sender.ended
    assert channel.receive() == ("a", True)
    assert sender.join()


def test_a_buffer_takes_its_capacity_and_keeps_the_order_of_who_waits():
    """Senders that found it full move up one by one, first come, first served."""
    channel = Channel(2)
    channel.send(0)
    channel.send(1)
    senders = []
    for number in (2, 3, 4):
        senders.append(Running(lambda number=number: channel.send(number)))
        assert eventually(lambda number=number: len(channel.senders) == number - 1)
    assert len(channel) == 2
    assert [channel.receive()[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert all(sender.join() for sender in senders)


def test_receivers_are_served_in_the_order_in_which_they_came():
    """The first to wait gets the first value."""
    channel = Channel()
    receivers = []
    for count in (1, 2, 3):
        receivers.append(Running(channel.receive))
        assert eventually(lambda count=count: len(channel.receivers) == count)
    for number in range(3):
        channel.send(number)
    assert [receiver.result() for receiver in receivers] == [(n, True) for n in range(3)]


def test_a_closed_channel_gives_what_it_holds_and_then_the_end():
    """Nothing that was sent is lost by a close, and everyone learns of the end."""
    channel = Channel(2)
    channel.send(1)
    channel.close()
    assert list(channel) == [1]
    assert channel.receive() == channel.receive() == (None, False)


def test_a_close_wakes_who_waits_to_receive():
    """A receiver that is parked gets the end."""
    channel = Channel()
    receiver = Running(channel.receive)
    assert eventually(lambda: parked(channel) == 1)
    channel.close()
    assert receiver.result() == (None, False)


def test_sending_on_a_closed_channel_panics_also_for_who_was_waiting():
    """In Go both end the process."""
    channel = Channel()
    sender = Running(lambda: channel.send(1))
    assert eventually(lambda: parked(channel) == 1)
    channel.close()
    with pytest.raises(PanicError, match="send on closed"):
        sender.result()
    with pytest.raises(PanicError, match="send on closed"):
        channel.send(2)
    with pytest.raises(PanicError, match="close of closed"):
        channel.close()


@pytest.mark.parametrize(("choose", "case"), [(min, 0), (max, 2)])
def test_of_several_ready_cases_choose_takes_one_and_only_that_is_done(choose, case):
    """The positions of the ready cases are offered; the others keep their values."""
    full, empty, other = Channel(1), Channel(1), Channel(1)
    full.send("full")
    other.send("other")
    chosen = select([Receive(full), Receive(empty), Receive(other)], choose)
    assert chosen == Selected(case, ("full", None, "other")[case])
    assert len(full) + len(other) == 1


def test_who_waits_in_select_leaves_every_line_once_it_is_served():
    """A thousand selects on one `done` leave nothing behind there."""
    context, channel = Context(), Channel()
    waiting = Running(lambda: select([Receive(context.done), Receive(channel)]))
    assert eventually(lambda: parked(channel) == 1 == parked(context.done))
    channel.send("value")
    assert waiting.result() == Selected(1, "value")
    assert parked(channel) == parked(context.done) == 0


def test_cancelling_wakes_everyone_and_may_be_repeated():
    """`done` is closed once; nothing is ever sent on it."""
    context = Context()
    waiting = [Running(context.done.receive) for _ in range(3)]
    assert eventually(lambda: parked(context.done) == 3)
    context.cancel()
    context.cancel()
    assert [one.result() for one in waiting] == [(None, False)] * 3


def test_a_refused_choice_does_nothing():
    """`choose` may only name what is ready."""
    channel = Channel(1)
    with pytest.raises(ValueError, match="choose"):
        select([Receive(channel), Send(channel, 1)], lambda ready: 0)
    assert len(channel) == 0


def test_an_interrupted_wait_takes_nothing():
    """Who was interrupted stands in no line: the next value goes to somebody who is there."""
    channel = Channel()
    main = threading.main_thread().ident

    def interrupt():
        assert eventually(lambda: parked(channel) == 1)
        signal.pthread_kill(main, signal.SIGINT)

    interrupter = Running(interrupt)
    with pytest.raises(KeyboardInterrupt):
        channel.receive()
    interrupter.result()
    assert parked(channel) == 0


def test_nothing_is_lost_or_doubled_between_many_senders_and_receivers():
    """Four senders and four receivers on a small channel, with selects on both sides."""
    channel, context = Channel(3), Context()

    def produce(first):
        rng = random.Random(first)
        for number in range(first, first + 500):
            select([Send(channel, number), Receive(context.done)], rng.choice)

    def consume():
        got = []
        while True:
            _, value, ok = select([Receive(channel), Receive(context.done)])
            if not ok:
                return got
            got.append(value)

    consumers = [Running(consume) for _ in range(4)]
    producers = [Running(lambda first=first: produce(first)) for first in range(0, 2000, 500)]
    assert all(producer.join(30) for producer in producers)
    assert eventually(lambda: len(channel) == 0 and len(channel.receivers) == 4, 30)
    context.cancel()
    received = [value for one in consumers for value in one.result()]
    assert sorted(received) == list(range(2000))
