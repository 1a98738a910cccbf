"""What a SIP call says about who calls and whom they ask for, and how much of it is believed."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from sinchphone.gateway.call_facts import CallerName, Dialled, Source
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.hosts import join_host
from sinchphone.protocol.phone_numbers import PRIVATE
from sinchphone.protocol.sip.uri import SipUri
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

_WITHHELD: Final = ("anonymous", "unknown", "restricted", PRIVATE)
_DIGITS: Final = re.compile(r"\+?[0-9*#]{1,32}", re.ASCII)  # as a carrier writes numbers of its own country


@quick_dataclass(frozen=True, slots=True)
class CallerNames:
    """Names who calls over SIP, so that nobody from outside is taken for a user of the exchange."""

    trunk: TrunkOptions | None
    is_ours: Callable[[str, int | None], bool]  # whether a host and port mean this gateway
    is_user: Callable[[str], bool]

    def of(self, call: SipCall, our_host: str) -> CallerName:
        """Who proved to be a user is that one, whatever the From says. Others are numbers, or SIP addresses that aren't ours; a display
        name is theirs to choose, but for those of other users."""
        number, name = call.remote.uri.number, call.remote.name
        if call.user is not None:
            own = number if number == call.user else None
            shown = "" if self._reads_as_other(name, call.user) else name
            return CallerName(Domain.SIP, f"{call.user}@{our_host}", own, shown)
        shown = "" if self._reads_as_other(name, None) else name
        user = call.remote.uri.subscriber or "anonymous"
        if call.trunk == Source.TRUNK and self.trunk is not None:
            return self._of_trunk(user, number, shown, self.trunk)
        return CallerName(Domain.SIP, f"{user}@{self._place_of(call)}", number, shown)

    def _reads_as_other(self, name: str, user: str | None) -> bool:
        """Whether a person who reads that name takes it for another user's: in capitals, with marks that nobody sees."""
        seen = "".join(mark for mark in unicodedata.normalize("NFKC", name) if unicodedata.category(mark) != "Cf")
        plain = " ".join(seen.split())
        return any(self.is_user(one) for one in {name, plain, plain.casefold()} - {user})

    def _of_trunk(self, user: str, number: str | None, name: str, trunk: TrunkOptions) -> CallerName:
        if user.lower() in _WITHHELD:
            return CallerName(Domain.PSTN, PRIVATE, None, name)
        if number is not None or (_DIGITS.fullmatch(user) and not self.is_user(user)):
            return CallerName(Domain.PSTN, number or user, number, name)
        host = join_host(trunk.host, trunk.port_in_use) if self.is_ours(trunk.host, None) else trunk.host
        return CallerName(Domain.SIP, f"{user}@{host}", None, name)

    def _place_of(self, call: SipCall) -> str:
        """Where its From says that it is; one that says it's here has the address that it calls from."""
        uri, source = call.remote.uri, call.facts.source
        if source is None or not (self.is_ours(uri.host, uri.port) or self.is_ours(uri.host, None)):
            return uri.authority
        return source.authority


def dialled_in(target: SipUri) -> Dialled:
    """Whom a SIP call asks for, or is sent on to. Numbers of ``tel:`` are as if they were dialled here."""
    if target.scheme == "tel":
        return Dialled(Domain.SIP, target.number or target.subscriber)
    return Dialled(Domain.SIP, f"{target.subscriber}@{target.authority}")
