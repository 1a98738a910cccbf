"""The SMS inbox over HTTP: ``GET``, ``DELETE /__sinchphone/sms``, where ``?number=+46…`` chooses."""

from typing import Any

from aiohttp import web

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.management.access import ManagementAccess, json_answer
from sinchphone.exchange.management_paths import SMS_PATH
from sinchphone.exchange.sms.bodies import XmsError, read_msisdn
from sinchphone.exchange.sms.inbox import SmsInbox, TextMessage
from sinchphone.signaling.wire import write_time


class SmsInboxRoutes:
    """The routes of one exchange."""

    def __init__(self, inbox: SmsInbox, access: ManagementAccess) -> None:
        self._inbox = inbox
        self._access = access

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get(SMS_PATH, self._list)
        router.add_delete(SMS_PATH, self._clear)

    async def _list(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        number = _number(request.query.get("number", ""))
        return json_answer({"messages": [text_members(one) for one in self._inbox.messages(application.key, number)]})

    async def _clear(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        return json_answer({"cleared": await self._inbox.forget(application.key)})


def _number(written: str) -> str | None:
    """Whose texts are wanted; None: everybody's. A ``+`` that isn't written as ``%2B`` comes as a space. Raises RemoteProtocolError."""
    try:
        return read_msisdn(written, "number") if written else None
    except XmsError as error:
        raise RemoteProtocolError(str(error)) from error


def text_members(message: TextMessage) -> dict[str, Any]:
    """A text message as JSON."""
    return {
        "id": message.id,
        "batchId": message.batch,
        "from": message.sender,
        "to": message.number,
        "text": message.text,
        "at": write_time(message.at),
    }
