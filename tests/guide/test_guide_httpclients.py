"""The guide's HTTP clients do what the guide's do."""

from perflab.guide.httpclients import HTTPClientPool, new_http_client


def test_clients_come_in_turn_each_with_the_guides_limit():
    """Three clients, ten idle connections each, the first again after the last."""
    made = []

    def connect(idle):
        made.append(idle)
        return len(made)

    pool = HTTPClientPool(3, connect)
    assert [pool.get() for _ in range(5)] == [1, 2, 3, 1, 2]
    assert made == [10, 10, 10]
    assert new_http_client(connect) == 4
