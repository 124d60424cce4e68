"""The remembered prices of open positions stay few, whatever the time, and belong to what is held."""

import itertools
from decimal import Decimal

from sellctl.api.price_paths import MAX_POINTS, SAMPLE_SECONDS, PricePath, PricePaths

KEY = ("main", "AAPL")


def test_a_path_is_thinned_out_and_keeps_its_first_and_its_latest_prices() -> None:
    path = PricePath()
    for second in range(24_000):
        path.add(second, Decimal(second))
    times = [at for at, _ in path.points]
    assert MAX_POINTS / 2 <= len(times) <= MAX_POINTS
    assert times[0] == 0
    assert times[-1] > 24_000 - 2 * path.spacing
    assert all(price == at for at, price in path.points)
    assert all(later - earlier >= path.spacing for earlier, later in itertools.pairwise(times))


def test_an_unknown_price_is_no_point() -> None:
    paths = PricePaths()
    for number, price in enumerate([Decimal(1), None, Decimal("NaN"), Decimal(2)]):
        paths.add(number * SAMPLE_SECONDS, [(KEY, price)])
    assert [price for _, price in paths.of(*KEY).points] == [1, 2]


def test_a_position_that_is_closed_is_forgotten() -> None:
    paths = PricePaths()
    paths.add(0, [(KEY, Decimal(1))])
    paths.add(SAMPLE_SECONDS, [])
    paths.add(2 * SAMPLE_SECONDS, [(KEY, Decimal(3))])
    assert paths.of(*KEY).points == [(2 * SAMPLE_SECONDS, 3)]
    assert paths.of("other", "AAPL").points == []
