"""Alpaca's limit of requests per minute and key, in the exchange's time; trading and data are counted separately."""

from sellctl.sim.rejections import RejectionError, rate_limited
from sellctl.sim.venue.exchange import Exchange

MINUTE = 60
_DATA = ("/v2/stocks", "/v1beta1/", "/v1beta3/")


class RateLimits:
    """The requests of the current minute, by key and API."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, bool], tuple[int, int]] = {}

    def count(self, key: str, path: str, exchange: Exchange) -> tuple[RejectionError | None, dict[str, str]]:
        """Count one request. Returns the 429 when it exceeds the limit, and the rate-limit headers of the response."""
        limit = exchange.settings.rate_limit
        if not limit:
            return None, {}
        minute = int(exchange.now.timestamp()) // MINUTE
        bucket = (key, path.startswith(_DATA))
        last, used = self._counts.get(bucket, (minute, 0))
        used = used + 1 if last == minute else 1
        self._counts[bucket] = (minute, used)
        headers = {
            "X-Ratelimit-Limit": str(limit),
            "X-Ratelimit-Remaining": str(max(limit - used, 0)),
            "X-Ratelimit-Reset": str((minute + 1) * MINUTE),
        }
        if used <= limit:
            return None, headers
        if exchange.settings.bare_429:
            return RejectionError(429, {"message": "too many requests."}), headers
        return rate_limited(), headers
