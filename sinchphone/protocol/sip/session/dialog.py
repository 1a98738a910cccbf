"""Dialogs: who talks to whom, by which way, in which order (RFC 3261 12)."""

from sinchphone.protocol.sip.message import MAX_FORWARDS, HeaderLines, Request, Response
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_address


class Dialog:
    """One dialog, early or confirmed. From and To keep their text, so that the peer finds what it wrote."""

    def __init__(self, call_id: str, local: str, remote: str, remote_target: SipUri, routes: tuple[SipAddress, ...]) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.remote_target = remote_target
        self.routes = routes
        self.local_cseq = 0
        self.remote_cseq: int | None = None

    @classmethod
    def of_caller(cls, invite: Request, response: Response) -> "Dialog":
        """The dialog that a response with a To tag makes: the route set is Record-Route backwards (RFC 3261 12.1.2)."""
        target = next((one.uri for one in response.contacts), invite.uri)
        routes = tuple(reversed(_record_route(response)))
        dialog = cls(invite.call_id, invite.first("From") or "", response.first("To") or "", target, routes)
        dialog.local_cseq = invite.cseq.number
        return dialog

    @classmethod
    def of_callee(cls, invite: Request, tag: str) -> "Dialog":
        """The dialog that our response to an INVITE makes: the route set is Record-Route as it came (RFC 3261 12.1.1)."""
        target = next((one.uri for one in invite.contacts), invite.sender.uri)
        local = f"{invite.first('To') or ''};tag={tag}"
        dialog = cls(invite.call_id, local, invite.first("From") or "", target, tuple(_record_route(invite)))
        dialog.remote_cseq = invite.cseq.number
        return dialog

    @property
    def remote_tag(self) -> str:
        """The peer's tag; empty where the peer is older than RFC 3261."""
        return parse_address(self.remote).tag

    @property
    def next_uri(self) -> SipUri:
        """Where requests go first: to the first route, loose or strict, else to the peer itself."""
        return self.routes[0].uri if self.routes else self.remote_target

    def request(self, method: str, headers: HeaderLines = (), *, number: int | None = None) -> Request:
        """A request in the dialog (RFC 3261 12.2.1.1), without Via. ``number``: of the INVITE that an ACK is for."""
        if number is None:
            self.local_cseq += 1
            number = self.local_cseq
        uri, routes = self.remote_target.for_request(), [str(one) for one in self.routes]
        if self.routes and not self.routes[0].uri.is_loose:  # a strict router wants itself in the request line
            uri, routes = self.routes[0].uri.for_request(), [*routes[1:], f"<{self.remote_target}>"]
        own = [
            ("Max-Forwards", str(MAX_FORWARDS)),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        return Request((*(("Route", one) for one in routes), *own, *headers), b"", method, uri)

    def is_in_order(self, request: Request) -> bool:
        """Whether a request isn't older than what was seen; if so, it counts as seen (RFC 3261 12.2.2)."""
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take the Contact of a target refresh: INVITE, UPDATE and their 2xx (RFC 3261 12.2.1.2, RFC 3311)."""
        self.remote_target = next((one.uri for one in message.contacts if one.uri.is_sip), self.remote_target)

    def confirm(self, response: Response) -> None:
        """The 2xx came: the route set is taken once more (RFC 3261 13.2.2.4)."""
        self.refresh_target(response)
        self.routes = tuple(reversed(_record_route(response)))


def _record_route(message: Request | Response) -> list[SipAddress]:
    return [parse_address(value) for value in message.values("Record-Route")]
