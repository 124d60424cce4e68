"""Page tokens: where the next page begins, in base 64, as Alpaca's look."""

import base64

from sellctl.sim.http.routing import Call
from sellctl.sim.rejections import unprocessable


def page_start(call: Call) -> int:
    """Where the page begins that a call asks for."""
    token = call.text("page_token")
    try:
        return int(base64.b64decode(token)) if token else 0
    except ValueError:
        raise unprocessable("invalid page_token") from None


def page_token(after: int, total: int) -> str | None:
    """The token of the next page, or null on the last one."""
    return base64.b64encode(str(after).encode()).decode() if after < total else None
