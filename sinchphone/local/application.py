"""The local application: its key and secret in the state folder, and what they prove."""

import secrets
import time
from pathlib import Path

from sinchphone.engine.environment import api_named
from sinchphone.exchange.destinations.dialplan import NOBODYS_NUMBER
from sinchphone.exchange.directory.credentials import local_credentials
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.protocol.auth import decode_secret, sign_registration_token, sign_user_ticket
from sinchphone.signaling.api import Api


class LocalApplication:
    """The part of ``engine.environment.Environment`` that is the same wherever the local exchange runs."""

    def __init__(self, folder: Path, api: str, given: ApplicationCredentials | None = None) -> None:
        """``folder`` keeps the key and secret, made at first use, unless a pair is ``given``. Raises ConfigError where it can't."""
        self.credentials: ApplicationCredentials = given or local_credentials(folder)
        self._api = api_named(api)

    @property
    def application_key(self) -> str:
        """The local application's key."""
        return self.credentials.key

    @property
    def secret(self) -> str:
        """The local application's secret (base64): tokens and a backend's events are signed with it."""
        return self.credentials.secret

    @property
    def caller_id(self) -> str | None:
        """A number that nobody has, for calls to the exchange's own numbers."""
        return NOBODYS_NUMBER

    @property
    def api(self) -> Api:
        """The dialect that was chosen; the exchange speaks both."""
        return self._api

    @property
    def loopback(self) -> bool:
        """Media runs on this machine."""
        return True

    async def token(self, user_id: str, now: float | None = None) -> str:
        """What proves the user: a registration token of the local application, or a user ticket. Raises ConfigError for what can't
        be a user id."""
        secret, now = decode_secret(self.credentials.secret), time.time() if now is None else now
        if self._api is Api.PAPI:
            return sign_user_ticket(self.application_key, secret, user_id, created_at=now)
        return sign_registration_token(self.application_key, secret, user_id, issued_at=int(now), nonce=secrets.token_hex(16))
