"""The Ocra dialect's requests: each operation of its table, with a token or signed."""

from collections.abc import Callable
from typing import TypeVar

from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.ocra.learning.learned import LearnedNames
from sinchphone.signaling.ocra.names import BearerToken, OcraOperation, write_authorization
from sinchphone.signaling.rest.requests import Ask, RestRequests

T = TypeVar("T")


class OcraRequests:
    """Requests of one user. Methods raise what ``RestRequests`` raises; cancelling them is safe."""

    def __init__(self, requests: RestRequests, user_id: str, names: LearnedNames | None = None) -> None:
        """``names`` take the place of ours, where some were learned."""
        self._names = names or LearnedNames()
        self._requests = requests
        self._user_id = user_id

    async def send_with_token(
        self, operation: OcraOperation, token: str, body: bytes, read: Callable[[bytes], T], *, instance: Instance | None = None
    ) -> T:
        """Send a request that the registration token vouches for; gives what ``read`` makes of the answer's body."""
        ask = self._ask(operation, instance.id if instance else "", body, "")
        return await self._requests.send(ask, write_authorization(BearerToken(token)), self._reading(operation, read))

    async def send_signed(
        self, operation: OcraOperation, instance: Instance, read: Callable[[bytes], T], *, body: bytes | None = None, encoding: str = ""
    ) -> T:
        """Send a request signed with the instance's secret; gives what ``read`` makes of the answer's body."""
        ask = self._ask(operation, instance.id, body, encoding)
        return await self._requests.send_signed(ask, instance, self._reading(operation, read))

    def _reading(self, operation: OcraOperation, read: Callable[[bytes], T]) -> Callable[[bytes], T]:
        return lambda body: read(self._names.inward(operation, body))

    def _ask(self, operation: OcraOperation, instance_id: str, body: bytes | None, encoding: str) -> Ask:
        endpoint = self._names.endpoint(operation)
        if body is not None:
            body = self._names.outward(operation, body, encoding)
        path = endpoint.path(user=self._user_id, instance=instance_id)
        return Ask(operation, endpoint.verb, path, endpoint.statuses, body=body, encoding=encoding)
