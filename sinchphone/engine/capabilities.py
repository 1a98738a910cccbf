"""What a client is for, chosen when it's made: the platform and other clients see it where their protocol has words for it."""

from sinchphone.errors import LocalProtocolError
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """As in Sinch's SDK 1.4. Without ``calling`` it makes and takes no calls, without ``messaging`` no messages; without ``video`` calls
    have sound alone, without ``multi_call`` there is one call at a time: a second caller meets busy."""

    calling: bool = True
    messaging: bool = True
    video: bool = True
    multi_call: bool = True

    def check_call(self, *, video: bool, others: bool) -> None:
        """Whether a call may be made, with ``video``, while ``others`` go on. Raises LocalProtocolError."""
        if not self.calling:
            raise LocalProtocolError("this client makes no calls", hint="it was made without the capability calling")
        if video and not self.video:
            raise LocalProtocolError("this client has no video", hint="it was made without the capability video")
        if others and not self.multi_call:
            raise LocalProtocolError("this client has one call at a time", hint="it was made without the capability multi_call")

    def check_message(self) -> None:
        """Whether messages may be sent. Raises LocalProtocolError."""
        if not self.messaging:
            raise LocalProtocolError("this client sends no messages", hint="it was made without the capability messaging")
