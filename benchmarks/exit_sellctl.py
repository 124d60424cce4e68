"""sellctl with the host's clock set to the exchange's time, so that both have the same date. Takes its arguments."""

import datetime as dt
from zoneinfo import ZoneInfo

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=ZoneInfo("America/New_York"))  # when the exchange starts


def main() -> None:
    """Run sellctl."""
    from sellctl.app import main as run  # noqa: PLC0415  the exchange imports this module for its time only
    from sellctl.service.host_clock import RealClock  # noqa: PLC0415  likewise

    ahead = NOON - dt.datetime.now(dt.UTC)

    def now(_clock: RealClock) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + ahead

    RealClock.now = now  # type: ignore[assignment,method-assign]
    run()


if __name__ == "__main__":
    main()
