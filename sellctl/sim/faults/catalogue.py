"""The catalogue of faults: the effect and the parameters of each name.

The first letter names the family: H for HTTP, O for orders, W for WebSocket streams, Q for quotes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One entry of the catalogue. `params` holds the parameters with their defaults.

    `times` is how often the fault triggers by default; None means until it is cleared.
    """

    name: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = None


_KINDS = (
    FaultKind("H01", "no answer, and the request is not carried out", {"hold": 60.0}, 1),
    FaultKind("H02", "the request is carried out, and no answer is sent", {"hold": 60.0}, 1),
    FaultKind("H03", "the connection is reset before the request is carried out", {}, 1),
    FaultKind("H04", "the request is carried out, and the connection is reset in the middle of the answer", {}, 1),
    FaultKind(
        "H05",
        "a 5xx, before or after the request is carried out, as JSON or HTML",
        {"status": 503, "after": False, "html": False},
        1,
    ),
    FaultKind("H06", "429; reset is the time in the rate-limit header: now, past, far or none", {"reset": "none"}, 1),
    FaultKind("H07", "the key is refused (401 or 403)", {"status": 401}),
    FaultKind("H08", "403 insufficient quantity on an order", {}, 1),
    FaultKind("H09", "a new client order id is rejected as a duplicate", {"status": 422}, 1),
    FaultKind(
        "H10",
        "another rejection of an order: a 422 with this message, or a wash trade",
        {"message": "invalid order", "wash": False},
        1,
    ),
    FaultKind("H11", "an unreadable body: truncated, empty, null, wrong_type, html or huge", {"body": "truncated"}, 1),
    FaultKind(
        "H12",
        "a changed field: unknown_enum, missing_field, extra_field, number_for_string, nan or bad_row",
        {"change": "unknown_enum"},
        1,
    ),
    FaultKind("H13", "the body is sent one byte at a time", {"delay": 0.05}, 1),
    FaultKind("H14", "a redirect to another host", {"location": "http://127.0.0.1:1/"}, 1),
    FaultKind("H15", "the connection closes as soon as it is made, as a failing TLS peer or proxy does", {}, 1),
    FaultKind("H16", "the position list is empty although something is held", {}, 1),
    FaultKind("H17", "order lists are cut to a page", {"page": 50}),
    FaultKind("H18", "the position list lags behind fills (simulated seconds)", {"seconds": 10}),
    FaultKind(
        "H19",
        "a cancel is accepted and the order stays pending_cancel (simulated seconds; never: null)",
        {"seconds": None},
    ),
    FaultKind(
        "H20",
        "clock and calendar (or only the one at path) are wrong by skew seconds, or down",
        {"skew": 3600, "down": False},
    ),
    FaultKind(
        "H21",
        "a refusal with this status and message, and with this code or none",
        {"status": 403, "code": None, "message": "forbidden."},
        1,
    ),
    FaultKind("O01", "orders are rejected at once", {}, 1),
    FaultKind("O02", "orders are accepted, then rejected", {}, 1),
    FaultKind("O03", "orders fill in parts of this size", {"qty": 1}),
    FaultKind("O04", "the order fills while it is being cancelled", {}, 1),
    FaultKind("O05", "orders stay pending_new", {}, 1),
    FaultKind("O06", "orders stay in this status: held, suspended, stopped, calculated", {"status": "held"}, 1),
    FaultKind("O07", "orders become done_for_day", {}, 1),
    FaultKind("O08", "an open order is replaced by a corporate action", {}, 1),
    FaultKind("O09", "an order expires with a part filled", {}, 1),
    FaultKind(
        "O10",
        "a manual order for a position: market, or limit",
        {"side": "sell", "qty": 1, "limit_price": None},
        1,
    ),
    FaultKind("O11", "the broker liquidates a position by itself", {}, 1),
    FaultKind("O12", "the last fill of a symbol is busted", {}, 1),
    FaultKind("O13", "the next fill is at an absurd price (ratio of the quote)", {"ratio": "0.01"}, 1),
    FaultKind("O14", "new orders show in lists and look-ups only after a delay (simulated seconds)", {"seconds": 8}, 1),
    FaultKind("O15", "an option position is assigned or exercised", {}, 1),
    FaultKind(
        "O18",
        "multi-leg orders are refused with this status and message",
        {"status": 422, "message": "order is not allowed"},
    ),
    FaultKind("W01", "the stream drops", {}, 1),
    FaultKind("W02", "the connection stays open, but no message is sent", {}),
    FaultKind("W03", "one event is lost", {}, 1),
    FaultKind("W04", "one event is sent twice", {}, 1),
    FaultKind("W05", "two events are sent in the wrong order", {}, 1),
    FaultKind("W06", "old events are replayed after a reconnect", {"count": 5}, 1),
    FaultKind("W07", "frames change between binary and text", {}),
    FaultKind(
        "W08",
        "a malformed frame, or an unknown event or status: garbage, event or status",
        {"what": "garbage"},
        1,
    ),
    FaultKind("W09", "a handshake is refused: 402, 405, 406, 409 or 429", {"code": 406}, 1),
    FaultKind("W10", "the server reports a slow client (407) and closes", {}, 1),
    FaultKind("W11", "an update for an order of another program is sent", {}, 1),
    FaultKind("W12", "a gap: events are lost while the stream is down (seconds of the host)", {"seconds": 1.0}, 1),
    FaultKind("Q01", "bid 0", {}),
    FaultKind("Q02", "ask 0", {}),
    FaultKind("Q03", "bid above ask", {}),
    FaultKind("Q04", "stale: the timestamp is this many seconds old", {"seconds": 3600}),
    FaultKind("Q05", "a timestamp in the future", {"seconds": 600}),
    FaultKind("Q06", "prices multiplied by a factor", {"factor": "100"}, 1),
    FaultKind("Q07", "a spread of this share of the mid", {"share": "0.95"}),
    FaultKind("Q08", "size 0", {}),
    FaultKind("Q09", "trading is halted: nothing fills and quotes do not change", {}),
    FaultKind("Q10", "a wide spread in the opening minute", {"share": "0.4"}),
    FaultKind("Q11", "the feed is silently the indicative one: off by this share", {"share": "0.03"}),
    FaultKind("Q12", "the quote of another contract, as for an adjusted root", {"of": ""}),
    FaultKind("Q13", "no quote at all", {}),
    FaultKind("Q14", "a price that is no number: NaN, Infinity or 1e308", {"value": "NaN"}),
    FaultKind("Q15", "an odd print: the last trade is far from the quote", {"ratio": "1.5"}, 1),
    FaultKind("Q16", "a crash: to this ratio of the price within seconds", {"ratio": "0.6", "seconds": 2}, 1),
    FaultKind("Q17", "a slow decline by this share per minute", {"share": "0.01"}),
)
CATALOGUE: dict[str, FaultKind] = {kind.name: kind for kind in _KINDS}
