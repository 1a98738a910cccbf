"""Runs verifications: asks the backend, sends codes, takes reports, tells how it ended.

::

    start -> VerificationRequestEvent -> allow, perhaps with a code of its own -> text message, call or flash call
    report, or a key in the call -> right or wrong -> VerificationResultEvent
"""

import logging
import secrets
import string
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

from sinchphone.errors import SinchphoneError
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.destinations.backend_calls import Callout
from sinchphone.exchange.destinations.dialplan import NOBODYS_NUMBER
from sinchphone.exchange.destinations.gateway import Gateway, GatewayOnDemand
from sinchphone.exchange.directory.accounts import Accounts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.refusals import RefusedError, forbidden, not_found, too_many
from sinchphone.exchange.sms.inbox import SmsInbox
from sinchphone.exchange.store.shared_limits import Limit, SharedLimits
from sinchphone.exchange.store.store import Store
from sinchphone.exchange.verifications.bodies import (
    CODE_TYPES,
    ReportedCode,
    VerificationWish,
    read_permission,
    request_event,
    result_event,
)
from sinchphone.exchange.verifications.verification import FailureReason, Verification
from sinchphone.exchange.verifications.verifications import Verifications
from sinchphone.protocol.callbacks.events import Identity, IdentityType
from sinchphone.protocol.callbacks.svaml import Hangup, Say, Svaml
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.fields import write_json
from sinchphone.signaling.wire import ErrorCode

SENDER: Final = "Sinchphone"
CODE_CHARACTERS: Final = 4
_STARTS: Final = Limit("verifications", 5, 0.2)  # of one number
CONFIRMING_KEY: Final = "1"
_ALPHABETS: Final = dict(zip(CODE_TYPES, (string.digits, string.ascii_uppercase, string.ascii_uppercase + string.digits), strict=True))

_log = logging.getLogger(__name__)


class VerificationService:
    """All verifications of one exchange."""

    def __init__(
        self, inbox: SmsInbox, accounts: Accounts, calls: Calls, gateway: GatewayOnDemand | None, store: Store, limits: SharedLimits
    ) -> None:
        """Codes go to the ``inbox``; calls, where there is a ``gateway``, to users who have the number and can be reached."""
        self.kept = Verifications(store)
        self._inbox = inbox
        self._accounts = accounts
        self._calls = calls
        self._gateway = gateway
        self._limits = limits

    async def start(self, application: Application, wish: VerificationWish) -> Verification:
        """Send a code. Raises RefusedError."""
        now = time.time()
        if not await self._limits.take(_STARTS, application.key, wish.number, now):
            raise too_many("this number is verified too often; wait a moment", retry_s=5)
        one = Verification(
            id=uuid.uuid4().hex,
            application=application.key,
            method=wish.method,
            number=wish.number,
            code=_flash_number() if wish.method is VerificationMethod.FLASH_CALL else _code(wish.code_type),
            began_at=now,
            expires_at=now + wish.seconds,
            reference=wish.reference,
            custom=wish.custom,
        )
        wanted = await self._permission(application, one)
        one.code = wanted.get("code") or wanted.get("cli") or one.code
        callout = await self._callout(application, one, wish)
        async with self.kept.changing(application.key) as undo:
            before = self.kept.begin(one, undo)
            if callout is None:
                self._write(application, one, wish, undo)
            else:
                await undo.settle()  # nobody is called about what isn't kept
                (await self._gateway_of_calls()).backend_calls.call_out(application.key, callout)
        if before is not None:
            await self._tell_result(application, before)
        return one

    async def report(self, application: Application, one: Verification, reported: ReportedCode) -> Verification:
        """Take a code. Raises RefusedError where it is wrong, or comes too late."""
        if reported.method is not one.method:
            raise RefusedError(400, ErrorCode.INVALID_PARAMETERS, f"method: this verification is one by {one.method.value}")
        one, right, is_over = await self._guess(application, one.id, reported.code, reported.source)
        if is_over:
            await self._tell_result(application, one)
        if not right:
            raise RefusedError(400, ErrorCode.INVALID_REQUEST, "Invalid identity or code.")
        return one

    async def _guess(
        self, application: Application, verification_id: str, code: str | None, source: str
    ) -> tuple[Verification, bool, bool]:
        """Take a code, or without one what the phone itself confirms; the verification, whether that is right, and whether it is over by
        that. Raises RefusedError and StoreError."""
        async with self.kept.changing(application.key) as undo:
            one = self.kept.of_id(application.key, verification_id)
            if one is None:
                raise _not_there()
            was, now = one.status, time.time()
            with self.kept.change(one, undo):
                right = one.guess(code, source, now) if code is not None else one.confirm(now)
            is_over = was is VerificationStatus.PENDING and one.status is not VerificationStatus.PENDING
        return one, right, is_over

    async def _permission(self, application: Application, one: Verification) -> Mapping[str, str]:
        """What the backend wants otherwise. Raises RefusedError where it denies, or fails."""
        wanted: Mapping[str, str] | None = None
        reason = FailureReason.DENIED_BY_CALLBACK
        try:
            answer = await self._post(application, request_event(one))
            wanted = read_permission(answer, one.method) if answer is not None else {}
        except SinchphoneError as error:
            _log.warning("VerificationRequestEvent: %s", error)
            reason = FailureReason.INVALID_CALLBACK
        if wanted is None:
            one.end(VerificationStatus.DENIED, reason)
            async with self.kept.changing(application.key) as undo:
                self.kept.add(one, undo)
            await self._tell_result(application, one)
            raise forbidden(f"the verification is denied: {reason.value}")
        return wanted

    async def _tell_result(self, application: Application, one: Verification) -> None:
        try:
            await self._post(application, result_event(one))
        except SinchphoneError as error:
            _log.warning("VerificationResultEvent: %s", error)

    async def _post(self, application: Application, event: dict[str, Any]) -> bytes | None:
        """The backend's answer; ``None`` where there is no backend. Raises SinchphoneError."""
        gateway = self._gateway.gateway if self._gateway is not None else None
        return await gateway.backend_calls.post_event(application.key, write_json(event)) if gateway is not None else None

    # How codes go out

    async def _callout(self, application: Application, one: Verification, wish: VerificationWish) -> Callout | None:
        """The call to the user who has that number; ``None`` where a text says the code: it was asked for, or nobody can be reached."""
        if one.method is VerificationMethod.SMS:
            return None
        user = self._accounts.resolve(application, Recipient(one.number, IdentityKind.NUMBER))
        if user is None or self._gateway is None or not self._calls.is_reachable(application, user, time.time()):
            return None
        await self._gateway_of_calls()  # where it can't be made, nothing has begun
        spoken = one.method is VerificationMethod.CALLOUT
        callout = self._spoken(application, one, wish) if spoken else _flash_call(one, wish)
        return callout.to(Identity(IdentityType.USERNAME, user))

    async def _gateway_of_calls(self) -> Gateway:
        assert self._gateway is not None, "somebody is called"
        return await self._gateway.ready()

    def _write(self, application: Application, one: Verification, wish: VerificationWish, undo: ExitStack) -> None:
        text, sender = _text(one, wish)
        self._inbox.deliver_unless_undone(application.key, undo, sender=sender, number=one.number, text=text, now=time.time())

    def _spoken(self, application: Application, one: Verification, wish: VerificationWish) -> Callout:
        async def hear(digit: str) -> bool:
            if digit != CONFIRMING_KEY:
                return False
            try:
                confirmed, right, is_over = await self._guess(application, one.id, None, "intercepted")
            except SinchphoneError as error:
                _log.warning("a verification that was confirmed in a call: %s", error)
                return False
            if is_over:
                await self._tell_result(application, confirmed)
            return right

        words = Say(f"Your verification code follows. To confirm, press {CONFIRMING_KEY}.", wish.locale)
        return Callout(destination=None, shown=NOBODYS_NUMBER, script=Svaml(Hangup(), (words,)), spelt=one.code, hear=hear)

    def find(self, one: Verification | None) -> Verification:
        """What was looked for. Raises RefusedError where there is none."""
        if one is None:
            raise _not_there()
        one.look(time.time())
        return one


def _not_there() -> RefusedError:
    return not_found("verification: there is none like that")


def _text(one: Verification, wish: VerificationWish) -> tuple[str, str]:
    """What the inbox is told, and from whom."""
    match one.method:
        case VerificationMethod.SMS:
            return wish.template.replace("{{CODE}}", one.code), SENDER
        case VerificationMethod.FLASH_CALL:
            return f"A flash call came from {one.code}", one.code
        case VerificationMethod.CALLOUT:
            return f"A call said: your verification code is {one.code}", SENDER


def _flash_call(one: Verification, wish: VerificationWish) -> Callout:
    return Callout(destination=None, shown=one.code, script=Svaml(Hangup()), ring_s=wish.ring_s)


def _code(kind: str) -> str:
    return "".join(secrets.choice(_ALPHABETS[kind]) for _ in range(CODE_CHARACTERS))


def _flash_number() -> str:
    """A number that nobody has (555-0100 to 555-0199 of any area)."""
    return f"+1{secrets.randbelow(800) + 200}55501{secrets.randbelow(100):02}"
