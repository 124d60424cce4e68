"""The table of endpoints: the handler of each method and path.

It isn't starlette's router, because handlers run synchronously under the exchange's lock and return a response that a
fault can still change; starlette's would call an ASGI application per route and answer 405 where Alpaca answers 404.
"""

import re
from collections.abc import Callable

from sellctl.sim.http.messages import SimRequest, SimResponse

Handler = Callable[[SimRequest], SimResponse]


class Routes:
    """Endpoints by method and path. `{}` in a path matches one segment; paths without it take precedence."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Handler] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Register an endpoint."""
        if "{}" in path:
            pattern = re.compile(re.escape(path).replace(r"\{\}", "([^/]+)"))
            self._patterns.append((method, pattern, handler))
        else:
            self._exact[method, path] = handler

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]] | None:
        """The handler of a method and path with the segments that `{}` matched, or None."""
        if handler := self._exact.get((method, path)):
            return handler, ()
        for route_method, pattern, handler in self._patterns:
            if route_method == method and (match := pattern.fullmatch(path)):
                return handler, match.groups()
        return None
