"""Who answers the events of one callout: answers that were given in advance, URLs of its own, the application's backend, or nobody."""

from collections.abc import Mapping
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

    def say_goodbye(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a DiCE, where there is anybody."""
        if self._backend is not None:
            self._backend.say_goodbye(body, headers)
