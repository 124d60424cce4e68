"""Where a stream connects, and with which key."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A stream's URL with the key pair to use there, and for market data its feed."""

    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    feed: str = ""
