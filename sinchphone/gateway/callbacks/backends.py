"""The backends of an exchange's applications: each has its own URLs, which may be set while calls go on."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sinchphone.errors import ConfigError
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.destinations.gateway import CallbackUrls
from sinchphone.exchange.record.record import EventRecord
from sinchphone.gateway.callbacks.backend import Backend
from sinchphone.gateway.options import BackendOptions
from sinchphone.protocol.auth import decode_secret
from sinchphone.schema import read_full_url
from sinchphone.tasks import start_task

MAX_OTHERS: Final = 64  # URLs of callouts that are kept connected


class Backends:
    """By application key. ``close`` it after the last call."""

    def __init__(
        self, options: BackendOptions | None, applications: Mapping[str, str], addresses: AddressPolicy, record: EventRecord | None = None
    ) -> None:
        """All begin with the configured URLs, if there are any. ``applications``: secrets by key; ``addresses``: where those that are set
        later may lead; ``record`` is told what they are told."""
        self._options = options or BackendOptions()
        self._addresses = addresses
        self._record = record
        self._secrets = {key: decode_secret(secret) for key, secret in applications.items()}
        self._all = {key: Backend(self._options, key, secret, addresses, record) for key, secret in self._secrets.items()}
        self._others: OrderedDict[tuple[str, str], Backend] = OrderedDict()  # URLs of single callouts

    def of(self, application: str) -> Backend | None:
        """The one to ask about its calls, where it has one."""
        backend = self._all.get(application)
        return backend if backend is not None and backend.options.url else None

    def at(self, application: str, url: str) -> Backend:
        """One that is asked at another URL, for a single call. Raises ConfigError for what is no URL."""
        try:
            read_full_url(url)
        except ValueError as error:
            raise ConfigError(f"the URL {error}") from error
        where = application, url
        if where not in self._others:
            while len(self._others) >= MAX_OTHERS:
                _, oldest = self._others.popitem(last=False)
                start_task(oldest.close(), name="close a callout's backend")
            options = replace(self._options, url=url, fallback=None)
            self._others[where] = Backend(options, application, self._secrets[application], self._addresses, self._record)
            self._others[where].connect()
        self._others.move_to_end(where)
        return self._others[where]

    def urls(self, application: str) -> CallbackUrls:
        """Where an application's events are posted; empty texts where nowhere."""
        options = self._all[application].options
        return CallbackUrls(options.url, options.fallback or "")

    def set_urls(self, application: str, urls: CallbackUrls) -> None:
        """From now on they're posted there, those of running calls too. Raises ConfigError for what is no URL."""
        for name, url in (("primary", urls.primary), ("fallback", urls.fallback)):
            try:
                if url:
                    read_full_url(url)
            except ValueError as error:
                raise ConfigError(f"url.{name} {error}") from error
        if urls.fallback and not urls.primary:
            raise ConfigError("url.primary is missing: a fallback alone is never asked")
        backend = self._all[application]
        backend.options = replace(backend.options, url=urls.primary, fallback=urls.fallback or None)

    def connect(self) -> None:
        """Be ready to post."""
        for backend in self._all.values():
            backend.connect()

    async def close(self) -> None:
        """Wait a moment for the last events. May be called twice."""
        for backend in (*self._all.values(), *self._others.values()):
            await backend.close()
