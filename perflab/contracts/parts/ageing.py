"""What must hold where connections grow old, lie idle or die; on a virtual clock.

A part of the contract of `perflab.contracts.connectionpool`, which says what is under test.
"""

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pools import Factory, Maker, Thing, burst, take_and_give
from perflab.measure.virtual import VirtualClock


@check(
    "one that is too old is not lent",
    "Look at its age when somebody asks for it, not only when it comes back: it grows old among "
    "the idle. Close it, and open another in its place.",
)
def lifetime(make: Maker) -> Evidence:
    """Used every 50 s, so that it is never idle for the 60 s that it may be."""
    clock, factory = VirtualClock(), Factory()
    limits = {"max_lifetime": 300.0, "max_idle_time": 60.0}
    pool = make(factory, max_open=2, max_idle=2, **limits, clock=clock)
    for _ in range(5):
        take_and_give(pool)
        clock.advance(50)
    clock.advance(9)
    take_and_give(pool)
    clock.advance(40)
    young = take_and_give(pool)
    clock.advance(2)
    old = take_and_give(pool)
    pool.close()
    said = ["same" if not thing.number else "new" for thing in (young, old)]
    right = said == ["same", "new"] and factory.made[0].closed
    return Evidence(right, f"299 s old: {said[0]}; 301 s old: {said[1]}")


@check(
    "one that was idle for too long is not lent",
    "A cleaner that comes by every now and then is not enough: in between one that the server, or "
    "a firewall, has long given up is lent. Look at the time when somebody asks for it.",
)
def idle_time(make: Maker) -> Evidence:
    """Used at 0 and at 0.5 s; then somebody comes 60.4 s after its last use."""
    clock, factory = VirtualClock(), Factory()
    pool = make(factory, max_open=2, max_idle=2, max_idle_time=60.0, clock=clock)
    take_and_give(pool)
    clock.advance(0.5)
    take_and_give(pool)
    clock.advance(60.4)
    lent = take_and_give(pool)
    pool.close()
    return Evidence(lent.number == 1, f"idle for 60.4 s of 60: {'new' if lent.number else 'lent'}")


@check(
    "idle ones are closed in time though nobody asks for them",
    "The last that came back is lent first, so the others stay below it and are never looked at. "
    "Go through all of them from time to time.",
)
def swept(make: Maker) -> Evidence:
    """Five are idle after a burst, and from then on one is enough: two minutes, once a second."""
    clock, factory = VirtualClock(), Factory()
    pool = make(factory, max_open=5, max_idle=5, max_idle_time=60.0, clock=clock)
    burst(pool, 5)
    for _ in range(130):
        clock.advance(1)
        take_and_give(pool)
    left = factory.open
    pool.close()
    return Evidence(left == 1, f"{left} of 5 open after 130 s")


@check(
    "after the server was restarted everybody gets a live one",
    "All that were idle are dead, and nobody has been told. Ping one before it is lent, close it "
    "when it does not answer, and open another in its place.",
)
def restarted(make: Maker) -> Evidence:
    factory = Factory()
    pool = make(factory, max_open=5, max_idle=5, ping=Thing.ping)
    for thing in burst(pool, 5):
        thing.alive = False
    dead = sum(not thing.alive for thing in burst(pool, 5))
    closed = sum(thing.closed for thing in factory.made[:5])
    pool.close()
    right = not dead and closed == 5 and factory.most_open <= 5
    return Evidence(right, f"{dead} of 5 lent dead, {closed} of 5 closed")
