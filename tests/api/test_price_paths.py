"""The remembered prices of open positions stay few, whatever the time, and belong to what is held."""

import itertools
from decimal import Decimal

from sellctl.api.price_paths import MAX_POINTS, SAMPLE_SECONDS, PricePath, PricePaths


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


def test_an_unknown_price_is_a_gap() -> None:
    paths = PricePaths()
    for number, price in enumerate([Decimal(1), None, Decimal("NaN"), Decimal(2)]):
        paths.add("main", number * SAMPLE_SECONDS, {"AAPL": price})
    assert [price for _, price in paths.of("main", "AAPL")] == [1, None, None, 2]


def test_a_position_that_is_closed_is_forgotten() -> None:
    paths = PricePaths()
    paths.add("main", 0, {"AAPL": Decimal(1)})
    paths.add("main", SAMPLE_SECONDS, {})
    paths.add("main", 2 * SAMPLE_SECONDS, {"AAPL": Decimal(3)})
    assert paths.of("main", "AAPL") == [(2 * SAMPLE_SECONDS, 3)]
    assert paths.of("other", "AAPL") == []


def test_the_path_of_a_structure_is_the_net_of_its_legs_where_all_are_known() -> None:
    paths = PricePaths()
    paths.add("main", 0, {"LOW": Decimal(4), "HIGH": Decimal(1)})
    paths.add("main", 5, {"LOW": Decimal(5), "HIGH": None})
    paths.add("main", 10, {"LOW": Decimal(6), "HIGH": Decimal(2)})
    assert paths.net("main", {"LOW": 1, "HIGH": -1}) == [(0, 3), (5, None), (10, 4)]
    assert paths.net("main", {"LOW": 1, "OTHER": -1}) == []
    assert paths.net("main", {}) == []
