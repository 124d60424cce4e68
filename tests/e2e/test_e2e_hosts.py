"""`sellctl watch --host-id`: without a journal that hosts share it is one clear error, and nothing else changes."""

import pytest
from stage import Play, three_calls


def test_a_host_id_needs_a_journal_that_hosts_share(play: Play) -> None:
    stage = play(three_calls("1.00"))
    result = stage.run("watch", "--host-id", "one")
    assert result.status == 2
    assert result.err.endswith(
        "--host-id needs a journal that hosts share, and this one is a file of this machine. "
        "Give `journal: {url: ...}` a PostgreSQL database, or leave --host-id out on a single machine."
    )
    assert result.out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--host-id", "one two"), "The host id isn't a name."),
        (("--host-id", "x" * 65), "The host id isn't a name."),
        (("--host-id", "one", "--dry-run"), "--host-id and --dry-run contradict each other"),
    ],
)
def test_a_host_id_that_means_nothing_is_refused(play: Play, arguments: tuple[str, ...], sentence: str) -> None:
    result = play(three_calls("1.00")).run("watch", *arguments)
    assert result.status == 2
    assert sentence in result.err
