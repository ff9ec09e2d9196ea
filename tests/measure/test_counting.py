"""Counted values behave like what they hold, and every look at one is counted."""

import random

import pytest

from perflab.measure import Counted


def looks(act):
    before = Counted.looks
    act()
    return Counted.looks - before


def test_each_comparison_and_each_hash_is_a_look():
    """Equal, unequal, smaller, larger, hashed: one each. Printing one is none."""
    one, two = Counted(1), Counted(2)
    for act in (
        lambda: one == two,
        lambda: one != two,
        lambda: one < two,
        lambda: one > two,
        lambda: hash(one),
        lambda: one == 1,
    ):
        assert looks(act) == 1
    assert looks(lambda: repr(one)) == 0


def test_a_list_looks_at_all_before_and_a_set_at_one():
    """The count is the work: position by position in a list, a hash and a match in a set."""
    items = [Counted(number) for number in range(100)]
    wanted = Counted(60)
    assert looks(lambda: wanted in items) == 61
    as_set = set(items)
    assert looks(lambda: wanted in as_set) == 2


def test_they_sort_and_group_like_their_values():
    """Also where two objects hold the same value."""
    numbers = random.Random(1).choices(range(50), k=200)
    items = [Counted(number) for number in numbers]
    assert [item.value for item in sorted(items)] == sorted(numbers)
    assert {item.value for item in set(items)} == set(numbers)
    assert Counted("a") == Counted("a") != Counted("b")


def test_they_do_not_compare_with_other_things():
    """Equal to nothing else, and without an order among strangers."""
    assert Counted(1) != 1
    with pytest.raises(TypeError):
        sorted([Counted(1), 2])
