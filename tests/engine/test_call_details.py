"""What is known about a call, and how long each part of it took."""

from sinchphone.engine.calls.details import CallDetails
from sinchphone.protocol.call.states import State


def test_each_duration_is_between_two_states_and_all_together_lead_to_sound() -> None:
    details = CallDetails(100.0)
    for state, at in ((State.PROGRESSING, 100.1), (State.RINGING, 100.4), (State.ANSWERED, 105.0), (State.ESTABLISHED, 105.25)):
        details = details.entered(state, at)
    assert (details.setup_ms, details.notifying_ms, details.ringing_ms, details.accepting_ms) == (100, 300, 4600, 250)
    assert details.establishing_ms == 5250
    assert details.had_audio


def test_what_a_call_never_reached_has_no_duration() -> None:
    details = CallDetails(100.0).entered(State.PROGRESSING, 100.1).entered(State.RINGING, 100.4)
    assert (details.setup_ms, details.notifying_ms) == (100, 300)
    assert (details.ringing_ms, details.accepting_ms, details.establishing_ms) == (None, None, None)
    assert not details.had_audio


def test_a_call_that_was_answered_without_ringing_has_no_time_of_ringing() -> None:
    details = CallDetails(100.0).entered(State.PROGRESSING, 100.1).entered(State.ANSWERED, 101.0).entered(State.ESTABLISHED, 101.2)
    assert (details.notifying_ms, details.ringing_ms, details.accepting_ms) == (None, None, 200)
