"""Text messages to phone numbers: by the SMS API that is configured, else simulated by the local exchange; one sent and followed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sinchphone.cli.calling.phone import history_if_usable
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import Wait
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.session import Session
from sinchphone.credentials import read_sms_token
from sinchphone.errors import ConfigError, NetworkError
from sinchphone.hosts import LOOPBACK_NAMES
from sinchphone.options import Options, Place
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.signaling.services.sms import DeliveryReport, SmsApi

POLL_S: Final = 1.0
DEVICE: Final = "sms"  # what the history calls the SMS API


@quick_dataclass(frozen=True, slots=True)
class SmsAccess:
    """How the SMS API is reached."""

    base_url: str
    service_plan_id: str
    token: str = field(repr=False)
    sender: str | None
    ca_file: Path | None = None


def check_sms(options: Options) -> SmsAccess | None:
    """What is configured; None where nothing is and the local exchange keeps what is written. Raises ConfigError where phone numbers can't
    be written to."""
    from sinchphone.signaling.services.sms import base_url_of

    section = options.sms
    if section.service_plan_id is None and options.environment is Place.LOCAL:
        return None
    if section.service_plan_id is None:
        raise ConfigError(
            "messages to phone numbers need Sinch's SMS API, and none is configured",
            hint="service_plan_id and token_command or token_file in [sms], or SINCH_SERVICE_PLAN_ID and SINCH_SMS_TOKEN; users need none",
        )
    host = section.host or base_url_of(section.region)
    base_url = host if "://" in host else f"https://{host}"
    if not base_url.startswith("https://") and urlsplit(base_url).hostname not in LOOPBACK_NAMES:
        from sinchphone.signaling.http.tokens import IN_THE_CLEAR_HINT

        raise ConfigError("sms.host must begin with https://", hint=IN_THE_CLEAR_HINT)
    token = read_sms_token(options)
    if token is None:
        raise ConfigError("the SMS API needs the service plan's token", hint="sms.token_command, sms.token_file or SINCH_SMS_TOKEN")
    return SmsAccess(base_url, section.service_plan_id, token, section.sender, options.ca_file)


@contextlib.asynccontextmanager
async def _api(session: Session, access: SmsAccess | None) -> "AsyncIterator[SmsApi]":
    """Sinch's, or that of the local exchange."""
    from sinchphone.cli.calling.managed_exchange import managed_exchange
    from sinchphone.signaling.services.sms import SmsApi

    if access is not None:
        async with SmsApi.open(access.base_url, access.service_plan_id, access.token, ca_file=access.ca_file) as api:
            yield api
        return
    async with managed_exchange(session) as exchange, exchange.sms_api() as api:
        yield api


async def text_numbers(
    session: Session, access: SmsAccess | None, numbers: tuple[str, ...], text: str, *, wait: Wait, wait_s: float
) -> ExitCode:
    """Send one text to the numbers and, where that's wanted, wait until the phones have it, ``wait_s`` at most. Without ``access`` the
    local exchange keeps it, and nobody's phone gets it."""
    sender = access.sender if access is not None else session.options.sms.sender
    async with _api(session, access) as api:
        try:
            async with asyncio.timeout(wait_s):
                batch = await api.send(numbers, text, sender=sender)
        except TimeoutError as error:
            hint = "it may have been sent all the same: look before you send it again"
            raise NetworkError(f"the SMS API gave no answer within {wait_s:.0f} s", hint=hint) from error
        simulated = access is None
        session.tell(
            e.MessageSentTold(
                message_id=batch, recipients=list(numbers), via=e.MessageTransport.SMS, elsewhere=False, text=text, simulated=simulated
            )
        )
        statuses: dict[str, e.MessageState] = dict.fromkeys(numbers, e.MessageState.SENT)
        try:
            if wait is Wait.DELIVERED:
                await _follow(session, api, batch, statuses, wait_s)
        finally:
            await _note(session, batch, text, statuses)
    session.messages += [
        e.MessageStatus(message_id=batch, recipient=number, via=e.MessageTransport.SMS, status=status)
        for number, status in statuses.items()
    ]
    missing = [number for number, status in statuses.items() if status is not e.MessageState.DELIVERED]
    if wait is not Wait.DELIVERED or not missing:
        return ExitCode.OK
    session.problem = e.Problem(message=f"not delivered within {wait_s:.0f} s to {', '.join(missing)}", hint=None)
    return ExitCode.NOT_DELIVERED


async def _note(session: Session, batch: str, text: str, statuses: dict[str, e.MessageState]) -> None:
    """Remember it in the history, where there's a user to remember it for."""
    from sinchphone.engine.events.events import InstantMessage

    user = session.options.user
    if user is None:
        return
    message = InstantMessage(id=batch, sender=user, recipients=tuple(statuses), text=text, at=time.time())
    async with history_if_usable(session) as history:
        if history is None:
            return
        await history.note_sent(DEVICE, message, {number: number for number in statuses})
        for number, status in statuses.items():
            if status is e.MessageState.DELIVERED:
                await history.note_delivered(DEVICE, batch, number)
            elif status is e.MessageState.FAILED:
                await history.note_failed(DEVICE, batch, number, "not delivered")


async def _follow(session: Session, api: "SmsApi", batch: str, statuses: dict[str, e.MessageState], wait_s: float) -> None:
    """Ask for delivery reports until there's one for every number, or the time is up."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while e.MessageState.SENT in statuses.values():
        for number in [number for number, status in statuses.items() if status is e.MessageState.SENT]:
            status = _tell(session, batch, number, await api.report(batch, number))
            statuses[number] = status
        if e.MessageState.SENT not in statuses.values() or asyncio.get_running_loop().time() + POLL_S > deadline:
            return
        await asyncio.sleep(POLL_S)


def _tell(session: Session, batch: str, number: str, report: "DeliveryReport") -> e.MessageState:
    from sinchphone.signaling.services.sms import Delivery

    match report.delivery:
        case Delivery.UNDER_WAY:
            return e.MessageState.SENT
        case Delivery.DELIVERED:
            session.tell(e.MessageDeliveredTold(message_id=batch, recipient=number))
            return e.MessageState.DELIVERED
        case Delivery.FAILED:
            session.tell(e.MessageFailedTold(message_id=batch, recipient=number, reason=report.reason, hint=None))
            return e.MessageState.FAILED
