"""The trunk: which numbers may be called over a SIP carrier or PBX, and what it is told. Pure.

::

    +46701234567, caller id  ->  prefixes allowed? caller id allowed?  ->  TrunkCall(sip:0046701234567@carrier)
                                                                       ->  Failure
"""

from collections.abc import Callable
from dataclasses import field
from typing import Final

from sinchphone.exchange.destinations.dialplan import is_simulated
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.networks import Networks
from sinchphone.gateway.options import ANY, SipTransport, TrunkOptions
from sinchphone.hosts import SIP_PORTS, bracketed, comparable_host, numeric_address
from sinchphone.protocol.address_reach import ipv4_within
from sinchphone.protocol.phone_numbers import PRIVATE, is_number, prefix_reading, reading, without_separators
from sinchphone.protocol.sip.uri import SipUri
from sinchphone.protocol.voice_limits import NEEDS_CALLER_ID
from sinchphone.quick_dataclass import quick_dataclass

_LOCALHOST: Final = "localhost"


@quick_dataclass(frozen=True, slots=True)
class TrunkCall:
    """A call that may go out. ``user`` is the number as the trunk wants it; ``caller_id`` is ``None`` where it's withheld."""

    user: str = field(repr=False)
    host: str
    port: int
    transport: SipTransport
    caller_id: str | None = field(repr=False)
    number: str = field(repr=False)  # as it was asked for

    @property
    def uri(self) -> str:
        """The Request-URI (RFC 3261 19.1.6 for numbers)."""
        port = "" if self.port == SIP_PORTS[self.transport] else f":{self.port}"
        transport = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:{self.user.replace('#', '%23')}@{bracketed(self.host)}{port}{transport}"


@quick_dataclass(frozen=True, slots=True)
class TrunkServers:
    """The addresses at which a trunk is reached: ``"192.0.2.7" in TrunkServers(trunk)``."""

    trunk: "Trunk"

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self.trunk.is_at(address)


class Trunk:
    """The rules of a trunk."""

    def __init__(self, options: TrunkOptions, *, is_this_machine: Callable[[str], bool] = lambda _: False) -> None:
        """``is_this_machine`` says whether a numeric address is one of this machine, where the trunk may run too."""
        self.options = options
        self._is_this_machine = is_this_machine
        self._allow, self._deny = (tuple(map(prefix_reading, prefixes)) for prefixes in (options.allow, options.deny))
        self._sources = Networks((*options.addresses, *_literal(options.host)))
        self.learnt: set[str] = set()  # addresses that the carrier has registered us from
        self.resolved: frozenset[str] = frozenset()  # what its name means at present

    @property
    def registrar(self) -> str:
        """Where it is registered, as a URI."""
        options = self.options
        port = "" if options.port_in_use == SIP_PORTS[options.transport] else f":{options.port_in_use}"
        return f"sip:{bracketed(options.host)}{port}"

    def __contains__(self, address: object) -> bool:
        """Whether calls from that IP address are the trunk's."""
        return address in self.learnt or address in self.resolved or address in self._sources

    @property
    def is_found(self) -> bool:
        """Whether an address of it is known: before that nobody can tell whether another name means the trunk."""
        return bool(self.resolved or _literal(self.options.host))

    def is_at(self, host: str) -> bool:
        """Whether who calls that host or address gets to the trunk: by its name, an address of its in any spelling, or, where it runs on
        this machine, any address of this machine. Another name is looked at when it's resolved."""
        if comparable_host(host) == comparable_host(self.options.host):
            return True
        numeric = numeric_address(host)
        if numeric is None:
            return self._is_here and comparable_host(host) == _LOCALHOST
        return any(str(one) in self for one in (numeric, *ipv4_within(numeric))) or (self._is_here and self._is_this_machine(str(numeric)))

    @property
    def _is_here(self) -> bool:
        alone = (address for one in (self.options.host, *self.options.addresses) for address in _literal(one))
        return any(self._is_this_machine(address) for address in (*alone, *self.learnt, *self.resolved))

    def place(self, number: str, caller_id: str | None) -> TrunkCall | Failure:
        """A call out, or why not. ``caller_id`` "private" withholds it."""
        if not is_number(number):
            return Failure(484, "a phone number is + and its country: +46…")
        if not self.allows(number):
            return Failure(403, "numbers with that beginning can't be called: [trunk] allow and deny decide")
        shown = self.shown_caller_id(caller_id)
        if isinstance(shown, Failure):
            return shown
        options = self.options
        return TrunkCall(self.rewritten(number), options.host, options.port_in_use, options.transport, shown, number)

    def may_redirect(self, call: TrunkCall, uri: SipUri) -> bool:
        """Whether the trunk may send a call on to that address: at its own host or addresses, a number that may be called."""
        if not self.is_at(uri.host):
            return False
        number = self.options.strip + uri.subscriber.removeprefix(self.options.prefix)
        return uri.subscriber == call.user or (is_number(number) and self.allows(number))

    def allows(self, number: str) -> bool:
        """Whether that number may be called, as it is written and as a network reads it (``+460900…`` is ``+46900…``): the longest prefix
        that fits decides, and of two the same ``deny``."""
        return all(self._allows(one) for one in {number, reading(number)})

    def _allows(self, number: str) -> bool:
        allowed = max((len(prefix) for prefix in self._allow if number.startswith(prefix)), default=-1)
        denied = max((len(prefix) for prefix in self._deny if number.startswith(prefix)), default=-1)
        return allowed > denied

    def shown_caller_id(self, caller_id: str | None) -> str | Failure | None:
        """What the called side sees: a number, ``None`` (withheld), or why the call can't be made. A number that nobody has is none."""
        options = self.options
        if caller_id == PRIVATE:
            return None
        caller_id = None if caller_id is None or is_simulated(caller_id) else caller_id
        if caller_id and is_number(caller_id) and (ANY in options.caller_ids or reading(caller_id) in map(reading, options.caller_ids)):
            return caller_id
        if options.caller_id:
            return options.caller_id
        if caller_id:
            return Failure(403, "this caller id may not be shown: [trunk] caller_ids decides, caller_id is shown in its place")
        return Failure(403, f"{NEEDS_CALLER_ID}: [trunk] caller_id is one for everybody")

    def rewritten(self, number: str) -> str:
        """The number as the trunk wants it."""
        return self.options.prefix + number.removeprefix(self.options.strip)

    def target_of(self, dialled: str) -> str | None:
        """Where a call to one of our numbers (or names) goes, however the carrier spells it: with +, with 00, with neither."""
        if dialled in self.options.numbers:
            return self.options.numbers[dialled]
        digits = _digits(dialled)
        return next((target for number, target in self.options.numbers.items() if _digits(number) == digits), None) if digits else None


def _digits(number: str) -> str:
    bare = without_separators(number)
    digits = bare.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return ""
    digits = digits if bare.startswith("+") else digits.removeprefix("00")
    return reading(f"+{digits}").removeprefix("+")


def _literal(host: str) -> tuple[str, ...]:
    """The host, where it's an address and not a name."""
    numeric = numeric_address(host)
    return () if numeric is None else (str(numeric),)
