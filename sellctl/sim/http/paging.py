"""Page tokens: the position of the next page in base 64, like Alpaca's."""

import base64

from sellctl.sim.http.messages import SimRequest
from sellctl.sim.rejections import unprocessable


def page_start(request: SimRequest) -> int:
    """The position at which the requested page begins."""
    token = request.text("page_token")
    try:
        return int(base64.b64decode(token)) if token else 0
    except ValueError:
        raise unprocessable("invalid page_token") from None


def page_token(after: int, total: int) -> str | None:
    """The token of the next page, or null on the last one."""
    return base64.b64encode(str(after).encode()).decode() if after < total else None
