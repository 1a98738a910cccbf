"""What to call those who take part: users by their ids, others by what they are."""

from typing import Final

from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.record.facts import PublishedFact, RestFact

EXCHANGE: Final = "exchange"
BACKEND: Final = "backend"
_OWNER: Final = "user "  # pubnub.routes writes "user <application> <user id>" and "guest <address>"


class Names:
    """Names of one exchange's users."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def requester(self, fact: RestFact) -> str:
        """Who sent a request."""
        return fact.user or f"client {fact.remote.rpartition(':')[0]}".strip()

    def publisher(self, fact: PublishedFact) -> str:
        """Who published: of what the exchange publishes itself it doesn't matter in whose name."""
        if not fact.owner:
            return EXCHANGE
        if fact.owner.startswith(_OWNER):
            return fact.owner[len(_OWNER) :].partition(" ")[2]
        return fact.owner

    def reader(self, fact: PublishedFact) -> str:
        """Whose channel it was published on; the channels that aren't anybody's are of the exchange's own ends of calls."""
        device = self._directory.owner(fact.channel)
        if device is not None:
            return device.user_id
        application = self._directory.application_of(fact.network)
        user = application.transport_channels.get(fact.channel) if application is not None else None
        return user if user is not None else EXCHANGE
