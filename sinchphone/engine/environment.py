"""Where a client's platform is and what proves who the client is: the cloud here, the embedded exchange in ``exchange.local``."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from sinchphone.errors import AuthenticationError, ConfigError, SinchphoneError
from sinchphone.protocol.auth import decode_secret, sign_registration_token, sign_user_ticket
from sinchphone.signaling.api import Api
from sinchphone.signaling.dialect import Recipient
from sinchphone.signaling.ocra.learning.learned import LearnedNames
from sinchphone.signaling.services.verification import CLOUD_URL

CLOUD_HOST: Final = "ocra.api.sinch.com"  # routes to the nearest region
LEGACY_HOST: Final = "clientapi.sinch.com"  # the older dialect's, as Sinch's JavaScript documentation names it

TOKEN_S: Final = 30.0  # how long a token source may take: people wait for it


def api_named(word: str) -> Api:
    """The REST dialect of that name. Raises ConfigError."""
    try:
        return Api(word)
    except ValueError as error:
        raise ConfigError(f'there is no api "{word}"', hint=f"it is one of {', '.join(Api)}") from error


def base_url_of(host: str | None, api: Api) -> str:
    """The base URL of a platform by its host or origin; Sinch's own for a dialect where none is given."""
    host = host or (CLOUD_HOST if api is Api.OCRA else LEGACY_HOST)
    return (host if "://" in host else f"https://{host}").rstrip("/")


def verification_url_of(base_url: str) -> str:
    """Where a platform verifies numbers: beside everything else, but Sinch's own has a host for it."""
    return CLOUD_URL if base_url in (f"https://{CLOUD_HOST}", f"https://{LEGACY_HOST}") else base_url


async def _ask(source: Callable[[str], Awaitable[str]], user_id: str) -> str:
    hint = "look at the program or the backend that gives the tokens"
    try:
        async with asyncio.timeout(TOKEN_S):
            token: object = await source(user_id)
    except SinchphoneError:
        raise
    except TimeoutError as error:
        raise AuthenticationError(f"the token source gave no token within {TOKEN_S:g} s", hint=hint) from error
    except Exception as error:
        raise AuthenticationError(f"the token source failed: {type(error).__name__}: {error}", hint=hint) from error
    if not isinstance(token, str) or not token:
        raise AuthenticationError("the token source gave no token", hint=hint)
    return token


class Environment(Protocol):
    """A platform to register with. One object may serve several clients of one process."""

    @property
    def application_key(self) -> str:
        """The application's key (public)."""

    @property
    def api(self) -> Api:
        """The REST dialect that the platform is spoken to in."""

    @property
    def caller_id(self) -> str | None:
        """The number shown on phone calls (E.164), where one is set."""

    @property
    def loopback(self) -> bool:
        """Whether media may have to run over the loopback interface."""

    @property
    def ca_file(self) -> Path | None:
        """Authorities that are trusted beside the system's (PEM), where there are such."""

    @property
    def ocra_names(self) -> LearnedNames | None:
        """Names of its REST operations that were learned from a client's package, where some were."""

    async def open(self) -> str:
        """The base URL of the platform (``https://host[:port]``), somebody answering there. Raises NetworkError."""

    async def recover(self) -> None:
        """The platform went away: do what can be done here to bring it back (the local environment takes over the hosting)."""

    async def token(self, user_id: str, now: float | None = None) -> str:
        """What proves the user, valid now: a registration token (JWT), or a user ticket where ``api`` is papi. ``now`` is the platform's
        time where it's known to differ from ours. Raises AuthenticationError."""

    async def close(self) -> None:
        """Let go of what ``open`` took."""


class Cloud:
    """Sinch's cloud, or another platform that is reached over the network."""

    def __init__(
        self,
        application_key: str,
        *,
        host: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        token_source: Callable[[str], Awaitable[str]] | None = None,
        password: str | None = None,
        caller_id: str | None = None,
        api: str = Api.OCRA,
        ca_file: Path | None = None,
        ocra_names: LearnedNames | None = None,
    ) -> None:
        """``host`` is a name, or an origin with its scheme (``https://host:port``); Sinch's own where it isn't given. Exactly one of
        ``secret`` (the application's, base64), ``token``, ``token_source`` (asked with the user id) and ``password`` (the user's, where
        ``api`` is papi) proves who we are; a token is a user ticket where ``api`` is papi. ``ca_file``: authorities to be trusted beside
        the system's (PEM). Raises ConfigError."""
        if sum(proof is not None for proof in (secret, token, token_source, password)) != 1:
            raise ConfigError("one of secret, token, token source and password is needed, and not two")
        self._key = application_key
        self._caller_id = caller_id
        self._api = api_named(api)
        if password is not None and self._api is not Api.PAPI:
            raise ConfigError("users have passwords where api is papi only")
        self._base_url = base_url_of(host, self._api)
        self._secret = None if secret is None else decode_secret(secret)
        self._token = token
        self._token_source = self._log_in if password is not None else token_source
        self._password = password
        self._ca_file = ca_file
        self._ocra_names = ocra_names

    @property
    def application_key(self) -> str:
        """The application's key."""
        return self._key

    @property
    def api(self) -> Api:
        """The dialect that was chosen."""
        return self._api

    @property
    def caller_id(self) -> str | None:
        """The number that was configured."""
        return self._caller_id

    @property
    def loopback(self) -> bool:
        """The peers are elsewhere, unless the platform itself is on this machine."""
        return self._base_url.split("://")[1].startswith(("127.", "localhost", "[::1]"))

    @property
    def ca_file(self) -> Path | None:
        """The file that was configured."""
        return self._ca_file

    @property
    def ocra_names(self) -> LearnedNames | None:
        """Those that were given."""
        return self._ocra_names

    async def open(self) -> str:
        """The base URL; nothing is contacted yet."""
        return self._base_url

    async def recover(self) -> None:
        """The cloud mends itself."""

    async def token(self, user_id: str, now: float | None = None) -> str:
        """A registration token or user ticket: signed here, given, or asked for. Raises AuthenticationError where the token source
        gives none, whatever it raises; SinchphoneErrors of its own stay as they are."""
        if self._token_source is not None:
            return await _ask(self._token_source, user_id)
        if self._token is not None:
            return self._token
        assert self._secret is not None, "checked when it was made"
        now = time.time() if now is None else now
        if self._api is Api.PAPI:
            return sign_user_ticket(self._key, self._secret, user_id, created_at=now)
        return sign_registration_token(self._key, self._secret, user_id, issued_at=int(now), nonce=secrets.token_hex(16))

    async def close(self) -> None:
        """Nothing was taken."""

    async def _log_in(self, user_id: str) -> str:
        from sinchphone.signaling.papi.users import log_in

        assert self._password is not None, "it is asked where there is one"
        return await log_in(self._base_url, self._key, Recipient(user_id), self._password, ca_file=self._ca_file)
