"""The push service of an exchange that may have several processes: each agent is at the one that it's connected to.

::

    a message, its end      -> not of an agent here: whichever process has the agent takes it
    an agent that says hello -> unknown here: the process that had it hands it over, with its subscriptions and what waits for it

What a process that dies had is gone, as with one: who pushes learns it, and agents subscribe anew.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.exchange.push.service import (
    ENDPOINT_PATH,
    ON_ITS_WAY,
    Deliver,
    PushAgent,
    PushMessage,
    PushReceipt,
    PushRefusedError,
    PushService,
)
from sinchphone.exchange.refusals import RefusedError, not_found
from sinchphone.protocol.webpush.keys import read_base64, write_base64
from sinchphone.signaling.wire import ErrorCode

_TAKE, _OWNS, _WITHDRAW, _HAND_OVER = "push", "push endpoint", "push withdrawn", "push agent"  # what other processes ask
_MAX_CHARACTERS: Final = 64  # of what agents and senders name: what is longer was never made here
_ASKED_AT_ONCE: Final = 100  # what all other processes are asked, about what nobody here knows
_ASKED_A_SECOND: Final = 20.0


class SharedPushService:
    """One process's end of it. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self, own: PushService, others: ProcessRequests | None = None, applications: Iterable[str] = ()) -> None:
        """``others``: where this exchange has several processes, which all serve the ``applications``."""
        self.own = own
        self._others = others
        self._asked: Allowances[str] = Allowances(_ASKED_AT_ONCE, _ASKED_A_SECOND)
        self._application = min(applications, default="")  # agents are of none; requests between processes are
        if others is not None:
            others.serve(_TAKE, self._serve_take)
            others.serve(_OWNS, self._serve_owns)
            others.serve(_WITHDRAW, self._serve_withdraw)
            others.serve(_HAND_OVER, self._hand_over)

    async def greet(self, uaid: str, deliver: Deliver, now: float) -> PushAgent:
        """An agent says hello, which another process may have had. Raises PushRefusedError."""
        if uaid and not self.own.knows(uaid) and not self.own.is_full:
            state = await self._ask_all(_HAND_OVER, uaid, {})
            if state is not None:
                self.own.adopt(state, now)
        return self.own.greet(uaid, deliver, now)

    async def take(self, token: str, message: PushMessage, now: float) -> PushReceipt:
        """Take a message and deliver it, now or later. Raises PushRefusedError."""
        if self.own.has(token):
            return self.own.take(token, message, now)
        members = {
            "ttl": message.ttl,
            "topic": message.topic,
            "encoding": message.encoding,
            "authorization": message.authorization,
            "body": write_base64(message.body),
        }
        answer = await self._ask_all(_TAKE, token, members)
        if answer is None:
            return self.own.take(token, message, now)  # which says that nobody is subscribed, or not yet again
        if "refused" in answer:
            status, errno, text, retry_s = answer["refused"]
            raise PushRefusedError(status, errno, text, retry_s=retry_s)
        return PushReceipt(answer["message_id"], answer["ttl_s"])

    async def owns(self, endpoint: str) -> bool:
        """Whether it's an endpoint of this service, of somebody who is subscribed. Raises PushRefusedError where a process doesn't say."""
        if self.own.owns(endpoint):
            return True
        is_like_ours = self._others is not None and urlsplit(endpoint).path.startswith(ENDPOINT_PATH)
        return is_like_ours and await self._ask_all(_OWNS, endpoint.rpartition("/")[2], {"endpoint": endpoint}) is not None

    async def withdraw(self, message_id: str) -> bool:
        """A sender doesn't want a message delivered any more; whether it was still there. Raises PushRefusedError."""
        return self.own.withdraw(message_id) or await self._ask_all(_WITHDRAW, message_id, {}) is not None

    async def _ask_all(self, kind: str, name: str, members: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the process answers that knows somebody or something of that name; ``None`` where none does."""
        if self._others is None or len(name) > _MAX_CHARACTERS:
            return None
        if not self._asked.take(kind, time.time()):
            raise PushRefusedError(503, 202, "too many are asked for that nobody knows; wait a moment", retry_s=1)
        try:
            return await self._others.ask_all(self._application, kind, {"name": name, **members})
        except RefusedError as error:
            raise PushRefusedError(503, 202, str(error), retry_s=1) from error

    # What other processes ask

    async def _serve_take(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.own.has(members["name"]):
            raise self._unknown(members["name"])
        ttl, topic, encoding, authorization = (members[name] for name in ("ttl", "topic", "encoding", "authorization"))
        message = PushMessage(ttl, topic, encoding, authorization, read_base64(members["body"], "body"))
        try:
            receipt = self.own.take(members["name"], message, time.time())
        except PushRefusedError as refusal:
            return {"refused": [refusal.status, refusal.errno, str(refusal), refusal.retry_s]}
        return {"message_id": receipt.message_id, "ttl_s": receipt.ttl_s}

    async def _serve_owns(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.own.owns(members["endpoint"]):
            raise self._unknown(members["name"])
        return {}

    def _unknown(self, token: str) -> RefusedError:
        if self.own.is_on_its_way(token):
            return RefusedError(503, ErrorCode.INTERNAL, ON_ITS_WAY)
        return not_found("nobody is subscribed there")

    async def _serve_withdraw(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.own.withdraw(members["name"]):
            raise not_found("there is no such message")
        return {}

    async def _hand_over(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        state = self.own.release(members["name"], time.time())
        if state is None:
            raise not_found("there is no such agent")
        return state
