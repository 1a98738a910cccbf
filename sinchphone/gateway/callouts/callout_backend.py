"""Who answers the events of one callout: answers that were given in advance, URLs of its own, the application's backend, or nobody."""

from collections.abc import Coroutine, Mapping
from typing import Final

from sinchphone.gateway.callbacks.backend import Backend
from sinchphone.protocol.callbacks.svaml import ConnectPstn, Continue, Event, Hangup, Svaml

# where nobody answers: the call goes where it was meant to go
_BY_DEFAULT: Final = {
    Event.ICE: Svaml(ConnectPstn()),
    Event.ACE: Svaml(Continue()),
    Event.PIE: Svaml(Hangup()),
    Event.DICE: Svaml(Hangup()),
}


class CalloutBackend:
    """Implements ``callbacks.backend.Asked`` for one callout."""

    def __init__(self, backend: Backend | None, answers: Mapping[Event, Svaml | Backend]) -> None:
        """``backend`` is the application's, where it has one; ``answers``: what is known in advance, or who is asked instead."""
        self._backend = backend
        self._answers = answers

    async def ask(self, body: bytes, event: Event, headers: Mapping[str, str]) -> Svaml:
        """The answer to an event. Raises CallbackError."""
        answer = self._answers.get(event)
        if isinstance(answer, Svaml):
            return answer
        backend = answer or self._backend
        return await backend.ask(body, event, headers) if backend is not None else _BY_DEFAULT[event]

    async def post(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Post an event whose answer means nothing, where there is anybody. Raises CallbackError."""
        return await self._backend.post(body, headers) if self._backend is not None else b""

    def tell(self, told: Coroutine[None, None, None], name: str) -> None:
        """Have an event posted that nobody waits for, where there is anybody."""
        if self._backend is not None:
            self._backend.tell(told, name)
        else:
            told.close()
