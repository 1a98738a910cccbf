"""Where a client's platform is and what proves who the client is: the cloud here, the embedded exchange in ``exchange.local``."""

from typing import Protocol


class Environment(Protocol):
    """A platform to register with. One object may serve several clients of one process."""

    @property
    def application_key(self) -> str:
        """The application's key (public)."""

    @property
    def caller_id(self) -> str | None:
        """The number shown on phone calls (E.164), where one is set."""

    @property
    def loopback(self) -> bool:
        """Whether media may have to run over the loopback interface."""

    async def open(self) -> str:
        """The base URL of the platform (``https://host[:port]``), somebody answering there. Raises NetworkError."""

    async def recover(self) -> None:
        """The platform went away: do what can be done here to bring it back (the local environment takes over the hosting)."""

    async def token(self, user_id: str) -> str:
        """A registration token (JWT) for the user, valid now. Raises AuthenticationError."""

    async def close(self) -> None:
        """Let go of what ``open`` took."""
