"""The shop's data: the same everywhere, consistent in itself, made once, shared unharmed."""

import hashlib
import importlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from contextlib import closing

import pytest

from perflab.systems import shop

# The package's attribute `shop` is the function; this is the module of the same name.
shop_module = importlib.import_module("perflab.systems.shop")
shopdata = importlib.import_module("perflab.systems.shopdata")


def rows(kept):
    with closing(kept.connect()) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in kept.counts
        }


def digest(kept):
    return hashlib.sha256(repr(rows(kept)).encode()).hexdigest()


def value(kept, sql):
    with closing(kept.connect()) as connection:
        return connection.execute(sql).fetchone()[0]


def test_the_same_seed_gives_the_same_rows_on_every_platform(tmp_path):
    """A digest of all rows is what it was when the schema's version was set."""
    kept = shop(500, seed=7, folder=tmp_path)
    assert digest(kept) == "87cd3953b692039225ebbb3fa7f5294bf1f4434ecd84bef4d352fbb7cc91278e"


def test_another_seed_gives_other_rows(tmp_path):
    """Every table depends on the seed."""
    one, two = rows(shop(500, 1, tmp_path)), rows(shop(500, 2, tmp_path))
    assert all(one[table] != two[table] for table in one)


@pytest.mark.parametrize("items", [100, 101, 1_234])
def test_there_are_exactly_as_many_items_as_asked_for(tmp_path, items):
    """The last order is cut short where need be; no order is empty; ids have no gaps."""
    kept = shop(items, folder=tmp_path)
    assert kept.counts["order_items"] == items
    for table, count in kept.counts.items():
        assert value(kept, f"SELECT COUNT(*) FROM {table}") == count
    assert value(kept, "SELECT COUNT(DISTINCT order_id) FROM order_items") == kept.counts["orders"]


def test_scales_are_within_what_they_promise():
    """Quick is at most a tenth of full, and full is a million order items."""
    assert shop_module.SCALES["quick"] <= 100_000
    assert shop_module.SCALES["full"] == 1_000_000


def test_sums_and_references_agree(small_shop):
    """Totals are the sum of their items, `sold` of its orders, and no key points nowhere."""
    assert (
        value(
            small_shop,
            """SELECT COUNT(*) FROM orders WHERE total !=
           (SELECT SUM(quantity * price) FROM order_items WHERE order_id = orders.id)
           AND id % 50 = 0""",
        )
        == 0
    )
    wrong = """SELECT COUNT(*) FROM products WHERE sold != COALESCE(
               (SELECT SUM(quantity) FROM order_items WHERE product_id = products.id), 0)"""
    assert value(small_shop, wrong) == 0
    with closing(small_shop.connect()) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert value(small_shop, "SELECT MIN(created_at) FROM orders") >= value(
        small_shop, "SELECT MAX(created_at) FROM users"
    )


def test_emails_are_unique_and_serve_both_patterns_of_the_guide(small_shop):
    """Nobody shares an address; some begin with `user`, some end in gmail.com, neither all."""
    users = small_shop.counts["users"]
    assert value(small_shop, "SELECT COUNT(DISTINCT email) FROM users") == users
    for pattern in ("user%@gmail.com", "%@gmail.com"):
        assert (
            0
            < value(small_shop, f"SELECT COUNT(*) FROM users WHERE email LIKE '{pattern}'")
            < users
        )


def test_popularity_follows_zipf():
    """Of a million draws the first, second and tenth most popular are as 1, 1/2 and 1/10."""
    ids = shopdata.Random(1, 3).popular(1_000, 1_000_000)
    counts = sorted(shopdata.np.bincount(ids).tolist(), reverse=True)
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.03)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.03)
    assert ids.min() >= 1
    assert ids.max() <= 1_000


def test_it_is_generated_once(tmp_path):
    """A second call finds the file of the first and leaves it alone."""
    first = shop(200, folder=tmp_path)
    made = first.path.stat()
    second = shop(200, folder=tmp_path)
    assert second == first
    assert second.path.stat().st_ino == made.st_ino
    assert second.path.stat().st_mtime_ns == made.st_mtime_ns


def test_two_processes_at_once_both_find_it_whole(tmp_path):
    """Whoever renames last wins, and no draft is left."""
    code = (
        "import sys; from perflab.systems import shop; print(shop(3000, folder=sys.argv[1]).counts)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0] == told[1]
    assert os.listdir(tmp_path) == [shop(3000, folder=tmp_path).path.name]


def test_who_comes_second_replaces_the_file_of_the_first(tmp_path, monkeypatch):
    """A file that another process finished in the meantime is no error."""
    original = shopdata.load

    def overtaken(path, items, seed, samples):
        original(path, items, seed, samples)
        shutil.copy(path, tmp_path / f"shop-v{shop_module.VERSION}-{items}-{seed}.db")

    monkeypatch.setattr(shopdata, "load", overtaken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = shop(200, folder=tmp_path)
    assert os.listdir(tmp_path) == [kept.path.name]
    assert kept.counts["order_items"] == 200


def test_an_interrupt_leaves_no_half_made_file(tmp_path, monkeypatch):
    """What was begun is removed, so that the next call starts anew."""

    def interrupted(path, *rest):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(shopdata, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shop(200, folder=tmp_path)
    assert os.listdir(tmp_path) == []


def test_where_nothing_can_be_written_a_temporary_folder_serves(tmp_path, monkeypatch):
    """The reader is told once, and the data is the same."""
    (tmp_path / "blocked").write_text("a file where the folder should be")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with pytest.warns(UserWarning, match="cannot write to .*blocked") as told:
        first, second = [shop(200, folder=tmp_path / "blocked") for _ in range(2)]
    assert len(told) == 1
    assert told[0].filename == __file__
    assert (
        first.path == second.path == tmp_path / "tmp" / f"perflab-{os.getuid()}" / first.path.name
    )
    assert digest(first) == digest(shop(200, folder=tmp_path / "fine"))


def test_the_shared_file_is_read_only_and_a_copy_is_not(small_shop, tmp_path):
    """A chapter changes its own copy; the others see nothing of it."""
    before = value(small_shop, "SELECT COUNT(*) FROM users")
    with closing(small_shop.connect()) as shared, pytest.raises(sqlite3.OperationalError):
        shared.execute("DELETE FROM users")
    for place in (":memory:", tmp_path / "own.db"):
        with closing(small_shop.copy(place)) as own:
            own.execute("DELETE FROM users")
            assert own.execute("SELECT COUNT(*) FROM users").fetchone() == (0,)
    assert value(small_shop, "SELECT COUNT(*) FROM users") == before


@pytest.mark.parametrize("scale", ["huge", "", 0, 99, -1, 1.5, True, None, float("nan")])
def test_a_scale_that_is_none_is_refused(scale, tmp_path):
    """The message names the argument, and nothing is made."""
    with pytest.raises(ValueError, match="scale="):
        shop(scale, folder=tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("seed", [-1, 1.0, True, None, "1"])
def test_a_seed_that_is_none_is_refused(seed, tmp_path):
    """The message names the argument."""
    with pytest.raises(ValueError, match="seed="):
        shop(200, seed, tmp_path)


def test_a_folder_that_cannot_be_written_is_told_of_once(tmp_path, monkeypatch):
    """However often the shop is asked for, and whatever its draft was called."""
    (tmp_path / "file").write_text("")
    refused = PermissionError(13, "Permission denied", "draft")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make = shop_module._make

    def only_elsewhere(folder, name, items, seed):
        if folder == tmp_path / "closed":
            refused.filename += "x"  # another draft's name each time
            raise refused
        return make(folder, name, items, seed)

    monkeypatch.setattr(shop_module, "_make", only_elsewhere)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            shop(100, folder=tmp_path / "closed")
    assert len(told) == 1
