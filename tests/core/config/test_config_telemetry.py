"""The section `telemetry`: off by default, where it may be sent, and its token, which is a secret."""

import datetime as dt
from collections.abc import Callable

import pytest

from sellctl.core.config.schema import TelemetryConfig
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import ConfigError

Load = Callable[[str], LoadedConfig]
Refuse = Callable[[str], ConfigError]
Written = Callable[..., str]

TOKEN = "canary-collector-token-81"  # noqa: S105  of no collector


@pytest.fixture
def telemetry(main_account: str) -> Written:
    """A file with these lines of the section."""
    return lambda *lines: "\n  ".join((f"{main_account}telemetry:", *lines)) + "\n"


def test_telemetry_is_off_by_default(load: Load, main_account: str) -> None:
    assert load(main_account).config.telemetry == TelemetryConfig(None, None, dt.timedelta(seconds=15))
    assert not [line for line in load(main_account).summary() if line.startswith("telemetry")]


def test_a_collector_and_metrics_to_fetch_are_in_the_summary(load: Load, telemetry: Written) -> None:
    loaded = load(telemetry("endpoint: http://127.0.0.1:4318", "prometheus: true", "interval: 1m"))
    assert loaded.config.telemetry.interval == dt.timedelta(minutes=1)
    assert loaded.summary()[-2:] == ["telemetry: to http://127.0.0.1:4318", "telemetry: /metrics on serve"]
    assert not loaded.warnings


def test_the_token_is_a_secret(load: Load, telemetry: Written) -> None:
    loaded = load(telemetry("endpoint: https://otlp.example.org/otlp", f"token: {TOKEN}"))
    assert TOKEN in loaded.secrets()
    assert {row.key: row.value for row in loaded.show()}["telemetry.token"] == "****"
    assert TOKEN not in repr(loaded)


def test_a_collector_on_another_machine_without_encryption_is_a_warning(load: Load, telemetry: Written) -> None:
    (warning,) = load(telemetry("endpoint: http://collector.example.org:4318")).warnings
    assert "traces with symbols and prices go to collector.example.org unencrypted." in warning


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("endpoint: collector:4318",), "telemetry.endpoint isn't a full address."),
        (("endpoint: https://ann:pw@collector.example.org",), "telemetry.endpoint is more than an address."),
        (
            ("endpoint: https://c.example.org/otlp/v1/traces",),
            "telemetry.endpoint ends in a path that sellctl adds itself.",
        ),
        (
            ("endpoint: http://c.example.org", f"token: {TOKEN}"),
            "telemetry.endpoint: the token would go to c.example.org unencrypted.",
        ),
        ((f"token: {TOKEN}",), "telemetry has a token and no endpoint."),
        (("interval: 0.5s",), "telemetry.interval: 0.5s isn't between 1s and 10m."),
        (("interval: 1h",), "telemetry.interval: 1h isn't between 1s and 10m."),
    ],
)
def test_what_cannot_be_used_is_named(
    refuse: Refuse, telemetry: Written, lines: tuple[str, ...], sentence: str
) -> None:
    error = refuse(telemetry(*lines))
    assert error.sentence.endswith(f" {sentence}")
    assert "canary" not in str(error)
