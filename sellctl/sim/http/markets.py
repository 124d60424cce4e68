"""The v3 clock and calendar, for the US markets."""

import datetime as dt
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.http.messages import SimRequest, SimResponse
from sellctl.sim.http.routing import Routes
from sellctl.sim.market import calendar
from sellctl.sim.serializers import eastern

MARKETS = {
    "NYSE": ("XNYS", "New York Stock Exchange"),
    "NASDAQ": ("XNAS", "Nasdaq"),
    "OPRA": ("OPRA", "Options Price Reporting Authority"),
    "IEX": ("IEXG", "Investors Exchange"),
}
_ALIASES = {"XNYS": "NYSE", "XNAS": "NASDAQ", "IEXG": "IEX"}
_SPAN = dt.timedelta(days=366)


def clocks(request: SimRequest) -> SimResponse:
    """GET /v3/clock?markets=NYSE,OPRA&time=: now, or at the instant `time`."""
    now = request.instant("time") or request.exchange.shown_now()
    names = request.names("markets") or ["NYSE"]
    return SimResponse(body={"clocks": [_clock(_market(name), now) for name in names]})


def _clock(market: dict[str, str], now: dt.datetime) -> dict[str, Any]:
    phase, until = calendar.phase_at(now)
    return {
        "market": market,
        "timestamp": eastern(now),
        "is_market_day": calendar.hours_at(now) is not None,
        "phase": phase,
        "phase_until": eastern(until),
        "next_market_open": eastern(calendar.next_open(now)),
        "next_market_close": eastern(calendar.next_close(now)),
    }


def market_calendar(request: SimRequest) -> SimResponse:
    """GET /v3/calendar/{market}?start&end&timezone."""
    today = calendar.exchange_date(request.exchange.now)
    start = request.date("start", today)
    end = request.date("end", start)
    if not dt.timedelta(0) <= end - start <= _SPAN:
        raise rejections.bad_request("end must lie within a year after start")
    show = eastern if request.text("timezone") != "UTC" else lambda at: at.isoformat()
    rows = [_day(hours, show) for hours in calendar.sessions(start, end)]
    return SimResponse(body={"market": _market(request.args[0]), "calendar": rows})


def _day(hours: calendar.Hours, show: Any) -> dict[str, str]:
    return {
        "date": hours.date.isoformat(),
        "core_start": show(hours.opens_at),
        "core_end": show(hours.closes_at),
        "pre_start": show(hours.pre_opens_at),
        "pre_end": show(hours.opens_at),
        "post_start": show(hours.closes_at),
        "post_end": show(hours.post_closes_at),
        "settlement_date": calendar.next_session_date(hours.date).isoformat(),
    }


def _market(name: str) -> dict[str, str]:
    acronym = _ALIASES.get(name, name)
    if acronym not in MARKETS:
        raise rejections.bad_request(f"invalid market: {name}")
    mic, full = MARKETS[acronym]
    return {"mic": mic, "acronym": acronym, "name": full, "timezone": "America/New_York"}


def add_market_routes(routes: Routes) -> None:
    """Register the endpoints of this file."""
    routes.add("GET", "/v3/clock", clocks)
    routes.add("GET", "/v3/calendar/{}", market_calendar)
