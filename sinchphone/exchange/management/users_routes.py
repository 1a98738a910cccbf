"""Who is known to an exchange, over HTTP: its users, the names that they go by, their devices.

::

    GET    /__sinchphone/users         -> everybody
    POST   /__sinchphone/users         {"userId", "email", "number", "password"} -> 201, the user; 409 where there's one already
    DELETE /__sinchphone/users/{user}  -> forgotten, with devices and password
"""

import secrets
import time
from typing import Any

from aiohttp import web

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.directory.accounts import MAX_PASSWORD_CHARACTERS, Accounts
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.management.access import ManagementAccess, json_answer
from sinchphone.exchange.management_paths import USERS_PATH
from sinchphone.protocol.names import is_email
from sinchphone.protocol.phone_numbers import is_number
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.fields import Record


class UsersRoutes:
    """The routes of one exchange."""

    def __init__(self, directory: Directory, accounts: Accounts, access: ManagementAccess) -> None:
        self._directory = directory
        self._accounts = accounts
        self._access = access

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get(USERS_PATH, self._list)
        router.add_post(USERS_PATH, self._create)
        router.add_delete(f"{USERS_PATH}/{{user}}", self._remove)

    async def _list(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        return json_answer({"users": [self._members(application, user_id) for user_id in application.users]})

    async def _create(self, request: web.Request) -> web.Response:
        application, body = await self._access.receive(request)
        asked = Record.parse(body)
        asked.only("userId", "email", "number", "password")
        password = asked.optional_text("password", limit=MAX_PASSWORD_CHARACTERS) or secrets.token_urlsafe(24)  # tokens prove who it is
        account = await self._accounts.create(application, _identities(asked), password, {}, time.time(), vouched=True)
        return json_answer(self._members(application, account.user_id), status=201)

    async def _remove(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        await self._accounts.forget(application, request.match_info["user"])
        return json_answer({})

    def _members(self, application: Application, user_id: str) -> dict[str, Any]:
        account = self._accounts.account(application, user_id)
        names = {one.kind: one.identity for one in account.identities} if account is not None else {}
        return {
            "userId": user_id,
            "email": names.get(IdentityKind.EMAIL),
            "number": names.get(IdentityKind.NUMBER),
            "account": account is not None,
            "devices": [self._device(one) for one in application.users[user_id].values()],
        }

    def _device(self, device: Device) -> dict[str, Any]:
        return {
            "instanceId": device.instance_id,
            "listening": not self._directory.is_silent(device),
            "takesCalls": device.takes_calls,
            "push": device.push is not None,
            "capabilities": list(device.shown_capabilities),
        }


def _identities(asked: Record) -> tuple[Recipient, ...]:
    """The names in a body. Raises RemoteProtocolError."""
    given = (("userId", IdentityKind.USERNAME), ("email", IdentityKind.EMAIL), ("number", IdentityKind.NUMBER))
    names = tuple(Recipient(asked.text(name, limit=255), kind) for name, kind in given if asked.has(name))
    for name in names:
        if name.kind is IdentityKind.EMAIL and not is_email(name.identity):
            raise asked.odd("email", "an e-mail address")
        if name.kind is IdentityKind.NUMBER and not is_number(name.identity):
            raise asked.odd("number", "a number such as +46700000001")
    if not names:
        raise RemoteProtocolError("a user has a userId, an email or a number")
    return names
