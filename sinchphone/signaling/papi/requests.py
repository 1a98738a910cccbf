"""The PAPI v1 dialect's requests: each operation of its table, for an application, with a ticket or signed."""

from collections.abc import Callable
from typing import TypeVar

from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.papi.names import OPERATIONS, PapiOperation, application_authorization, ticket_authorization
from sinchphone.signaling.rest.requests import Ask, RestRequests

T = TypeVar("T")


class PapiRequests:
    """Requests to one platform. Methods raise what ``RestRequests`` raises; cancelling them is safe."""

    def __init__(self, requests: RestRequests) -> None:
        self._requests = requests

    async def send_named(
        self, operation: PapiOperation, application_key: str, read: Callable[[bytes], T], *, body: bytes | None = None, **parts: str
    ) -> T:
        """Send a request in the name of an application; gives what ``read`` makes of the answer's body."""
        return await self._requests.send(_ask(operation, body, "", parts), application_authorization(application_key), read)

    async def send_with_ticket(self, operation: PapiOperation, ticket: str, body: bytes, read: Callable[[bytes], T], **parts: str) -> T:
        """Send a request that a user ticket vouches for; gives what ``read`` makes of the answer's body."""
        return await self._requests.send(_ask(operation, body, "", parts), ticket_authorization(ticket), read)

    async def send_signed(
        self,
        operation: PapiOperation,
        instance: Instance,
        read: Callable[[bytes], T],
        *,
        body: bytes | None = None,
        query: str = "",
        **parts: str,
    ) -> T:
        """Send a request signed with the instance's secret; gives what ``read`` makes of the answer's body."""
        return await self._requests.send_signed(_ask(operation, body, query, parts), instance, read)


def _ask(operation: PapiOperation, body: bytes | None, query: str, parts: dict[str, str]) -> Ask:
    endpoint = OPERATIONS[operation]
    return Ask(operation, endpoint.verb, endpoint.path(**parts), endpoint.statuses, query, body)
