"""The store of episodes of one leased account: a host that has lost the lease stores nothing any more."""

from collections.abc import Mapping
from dataclasses import dataclass

from sellctl.core.leases.permit import SendPermit
from sellctl.core.model.episode import Episode
from sellctl.core.ports import EpisodeStore


@dataclass(frozen=True, slots=True)
class FencedEpisodeStore:
    """Passes on to another store what the permit allows."""

    store: EpisodeStore
    permit: SendPermit

    def load(self, account: str) -> Mapping[str, Episode]:
        """The episodes that were last saved, by any host."""
        return self.store.load(account)

    async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Save them. LeaseLostError when the account may be another host's by now."""
        self.permit.require()
        await self.store.save(account, episodes)
