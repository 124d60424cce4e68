"""The limit of open files, in processes of their own: a lowered hard limit can't be raised again."""

import subprocess
import sys

import pytest

from sellctl.service.descriptors import needed

PROBE = """
import resource, sys
from sellctl.service.descriptors import ensure_descriptors
soft, hard, accounts = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
warning = ensure_descriptors(accounts)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], warning)
"""


def after(soft: int, hard: int, accounts: int) -> tuple[int, str]:
    """The limit, and the warning, of a process with these limits and so many accounts."""
    words = [sys.executable, "-c", PROBE, str(soft), str(hard), str(accounts)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout  # noqa: S603  our own code
    limit, _, warning = said.strip().partition(" ")
    return int(limit), warning


@pytest.mark.parametrize("accounts", [1, 200])
def test_the_limit_is_raised_to_what_the_accounts_need(accounts: int) -> None:
    assert after(200, 4096, accounts) == (needed(accounts), "")


def test_two_hundred_accounts_fit_with_room_to_spare() -> None:
    assert needed(200) > 1.5 * 1021


def test_a_sufficient_limit_stays() -> None:
    assert after(3000, 4096, 200) == (3000, "")


def test_it_is_raised_as_far_as_allowed_and_the_rest_is_warned_of() -> None:
    limit, warning = after(200, 1024, 200)
    assert limit == 1024
    assert warning.startswith("200 accounts need up to 1856 open files, and the limit is 1024")
