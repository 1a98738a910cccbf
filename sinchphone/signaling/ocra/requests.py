"""The Ocra dialect's requests: each operation of its table, with a token or signed."""

from collections.abc import Callable
from typing import TypeVar

from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.ocra.names import OPERATIONS, BearerToken, OcraOperation, write_authorization
from sinchphone.signaling.requests import Ask, RestRequests

T = TypeVar("T")


class OcraRequests:
    """Requests of one user. Methods raise what ``signaling.requests.Requests`` raises; cancelling them is safe."""

    def __init__(self, requests: RestRequests, user_id: str) -> None:
        self._requests = requests
        self._user_id = user_id

    async def send_with_token(
        self, operation: OcraOperation, token: str, body: bytes, read: Callable[[bytes], T], *, instance: Instance | None = None
    ) -> T:
        """Send a request that the registration token vouches for; gives what ``read`` makes of the answer's body."""
        ask = self._ask(operation, instance.id if instance else "", body, "")
        return await self._requests.send(ask, write_authorization(BearerToken(token)), read)

    async def send_signed(
        self, operation: OcraOperation, instance: Instance, read: Callable[[bytes], T], *, body: bytes | None = None, encoding: str = ""
    ) -> T:
        """Send a request signed with the instance's secret; gives what ``read`` makes of the answer's body."""
        return await self._requests.send_signed(self._ask(operation, instance.id, body, encoding), instance, read)

    def _ask(self, operation: OcraOperation, instance_id: str, body: bytes | None, encoding: str) -> Ask:
        endpoint = OPERATIONS[operation]
        path = endpoint.path(user=self._user_id, instance=instance_id)
        return Ask(operation, endpoint.verb, path, endpoint.statuses, body=body, encoding=encoding)
