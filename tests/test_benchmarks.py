import pytest

from benchmarks.__main__ import Row
from benchmarks.sampling import sampled

JUDGED = [
    ("1.18 x (2.21 / 2.09 s)", "<= 1 x", "**no**"),
    ("0.83 x (74 ms)", "<= 1.3 x", "yes"),
    ("52,375 holdings/s", ">= 100,000 holdings/s", "**no**"),
    ("0.0123 / 0.0246 $ per share: 50% less; 990 of 1000 filled", ">= 40% less", "yes"),
    ("62%: waiting for answers 42%", ">= 70%, since a bound was missed", "**no**"),
    ("148; 0 not closed", "<= 180", "yes"),
    ("3 (190 flat)", "0", "**no**"),
    ("1.8 s (0.90 s of time)", "< 5 s, the default interval", "yes"),
    ("none", "none of alpaca, pandas", "yes"),
    ("13: 2 GET /v2/clock", "listed", ""),
    ("74 ms", "", ""),
]


@pytest.mark.parametrize(("measured", "bound", "met"), JUDGED)
def test_a_figure_is_compared_with_its_bound_in_the_bounds_unit(measured: str, bound: str, met: str) -> None:
    assert Row("a figure", measured, bound, "start").met == met


def test_the_sampler_attributes_time_to_the_code_that_ran() -> None:
    with sampled() as samples:
        sum(sum(range(1_000)) for _ in range(5_000))
    assert samples.total > 5
    assert samples.outside == 1.0
