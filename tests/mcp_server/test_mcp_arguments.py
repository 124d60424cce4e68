"""The arguments of tools: what doesn't fit is one short sentence, whatever it is."""

from typing import Any

import pytest

from sellctl.core.errors import ConfigError
from sellctl.mcp_server.arguments import (
    CloseArguments,
    ExplainArguments,
    HistoryArguments,
    PositionsArguments,
    arguments_of,
    schema_of,
)


def test_an_optional_argument_may_be_null_and_a_number_may_be_text() -> None:
    given = {"name": None, "limit": "5"}
    assert arguments_of(PositionsArguments, given) == PositionsArguments(limit=5)
    assert arguments_of(CloseArguments, {"name": "AAPL", "qty": 2}) == CloseArguments("AAPL", qty=2)


@pytest.mark.parametrize(
    "given",
    [
        {},
        None,
        [],
        {"name": 5},
        {"name": "x" * 81},
        {"name": "AAPL", "\ud800": {}},
        {"name": "AAPL", "\x1b[2J" * 1000: ""},
    ],
)
def test_what_does_not_fit_is_one_short_sentence(given: Any) -> None:
    with pytest.raises(ConfigError, match="The arguments don't fit") as refused:
        arguments_of(ExplainArguments, given)
    assert len(refused.value.sentence) < 300
    assert refused.value.sentence.isprintable()


def test_a_row_that_no_journal_can_have_does_not_fit() -> None:
    assert arguments_of(HistoryArguments, {"before": 2**53}) == HistoryArguments(before=2**53)
    for row in (0, 10**18, 10**30):
        with pytest.raises(ConfigError, match="The arguments don't fit"):
            arguments_of(HistoryArguments, {"before": row})


def test_the_schema_names_each_argument_and_refuses_others() -> None:
    schema = schema_of(ExplainArguments)
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["name"], False)
    assert set(schema["properties"]) == {"name", "account"}
