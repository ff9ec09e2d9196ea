"""A slow page with its parts in plain sight: what chapter 2 lays under the profilers.

`taxed` calls three small functions for each price; `bands` does all of its work in one loop that
calls nothing. A page whose taxes cost nothing is `bands` alone.
"""

Counts = tuple[list[int], list[int], int, int]
DEAREST = 1_200  # euros


def net_prices(count: int = 40_000) -> list[int]:
    """Prices in cents, always the same ones."""
    return [100 + n * 7919 % 99_991 for n in range(count)]


def rounded(amount: int, parts: int) -> int:
    return (amount + parts // 2) // parts


def tax(net: int) -> int:
    return rounded(net * 19, 100)


def gross(net: int) -> int:
    return net + tax(net)


def taxed(prices: list[int]) -> list[int]:
    total = []
    for net in prices:
        price = gross(net)
        total.append(price)
    return total


def bands(prices: list[int]) -> Counts:
    """How many prices lie in each band of a euro, how many end in each two digits, how often a
    price is above the one before, and a checksum over all of them."""
    euros, cents = [0] * DEAREST, [0] * 100
    for price in prices:
        euro = price // 100
        euros[euro] += 1
        cents[price - 100 * euro] += 1
    before, rises, checksum = 0, 0, 0
    for price in prices:
        if price > before:
            rises += 1
        before = price
        checksum = (31 * checksum + price) % 1_000_003
    return euros, cents, rises, checksum


def page(prices: list[int]) -> Counts:
    shown = taxed(prices)
    return bands(shown)
