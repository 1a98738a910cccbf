"""Every end of a call is explained, whatever was called, with a next step that a shell can be given."""

import re
import shlex
from string import Formatter

import pytest

from sinchphone.cli.app import COMMANDS
from sinchphone.cli.endings import NEXT_STEPS, Order, describe
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.explanations import BUSY, INCOMING, OUTGOING, WHOSE, explain
from sinchphone.engine.calls.details import CallDetails
from sinchphone.errors import BACKEND, BACKEND_HANGS_UP, BACKENDS_ANSWER, EXCHANGE_CLOSING, INSECURE, TRUNK_AWAY
from sinchphone.protocol.call.states import NETWORK_DOMAIN, Cause, EndedBy
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain

HOSTILE = "$(touch x);'"


def ended(cause: Cause, by: EndedBy, code: int | None = None) -> CallDetails:
    return CallDetails(1.0, ended_at=3.0, cause=cause, ended_by=by, failure=CallFailure(code, "", "") if code else None)


def test_no_cause_kind_or_order_is_left_to_a_default() -> None:
    assert set(OUTGOING) == set(INCOMING) == set(Cause)
    assert all(set(rows) == set(Domain) for table in (OUTGOING, INCOMING, {None: BUSY}) for rows in table.values())
    assert set(WHOSE) == set(EndedBy)
    assert set(NEXT_STEPS) == set(Order)


@pytest.mark.parametrize("by", EndedBy)
@pytest.mark.parametrize("outbound", [True, False], ids=["outgoing", "incoming"])
@pytest.mark.parametrize("domain", Domain)
@pytest.mark.parametrize("cause", Cause)
def test_every_end_says_what_happened_and_what_to_do_next(cause: Cause, domain: Domain, outbound: bool, by: EndedBy) -> None:
    ending = describe(ended(cause, by), peer="bob", domain=domain, outbound=outbound, order=None, interactive=True)
    assert ending.reason and ending.reason[0] != "{"
    assert ending.hint and "{" not in ending.hint + ending.reason
    assert not ending.hint.endswith(".")


@pytest.mark.parametrize(("domain", "word"), [(Domain.SIP, "address"), (Domain.PSTN, "number")])
def test_who_is_not_found_and_no_user_is_not_told_to_listen(domain: Domain, word: str) -> None:
    failed = CallDetails(1.0, ended_at=3.0, cause=Cause.FAILURE, failure=CallFailure(404, "nobody is there", ""))
    ending = describe(failed, peer="x", domain=domain, outbound=True, order=None, interactive=True)
    assert ending.code is ExitCode.NOT_FOUND
    assert word in str(ending.hint) and "listen" not in str(ending.hint)


@pytest.mark.parametrize(("code", "why"), [(503, f"{TRUNK_AWAY}: there is no SIP server at x"), (403, "[trunk] allow and deny decide")])
def test_a_number_that_the_trunk_does_not_take_leads_to_the_page_on_trunks(code: int, why: str) -> None:
    failed = CallDetails(1.0, ended_at=3.0, cause=Cause.FAILURE, failure=CallFailure(code, why, ""))
    ending = describe(failed, peer="x", domain=Domain.PSTN, outbound=True, order=None, interactive=True)
    assert why in ending.reason and "sinchphone help trunk" in str(ending.hint)


@pytest.mark.parametrize("outbound", [True, False], ids=["outgoing", "incoming"])
def test_a_call_that_ends_with_its_exchange_is_to_be_made_once_more_when_that_runs_again(outbound: bool) -> None:
    failed = CallDetails(1.0, ended_at=3.0, cause=Cause.FAILURE, failure=CallFailure(503, EXCHANGE_CLOSING, "exchange"))
    ending = describe(failed, peer="echo", domain=Domain.MXP, outbound=outbound, order=None, interactive=True)
    assert ending.code is ExitCode.PLATFORM
    assert "the exchange is closing" in ending.reason and "sinchphone exchange status" in str(ending.hint)


@pytest.mark.parametrize("domain", Domain)
def test_a_backend_that_wants_no_such_call_is_not_taken_for_somebody_who_declines(domain: Domain) -> None:
    failure = CallFailure(603, BACKEND_HANGS_UP, "exchange")
    denied = CallDetails(1.0, ended_at=3.0, cause=Cause.DENIED, failure=failure)
    ending = describe(denied, peer="+46701234567", domain=domain, outbound=True, order=None, interactive=True)
    assert (ending.code, ending.reason) == (ExitCode.DECLINED, BACKEND_HANGS_UP)
    assert "trace last" in str(ending.hint) and "caller-id" not in str(ending.hint)


@pytest.mark.parametrize(
    ("why", "word"),
    [
        (f"{BACKEND} did not answer within 5 s", "[backend] url"),
        (f"action.name is missing {BACKENDS_ANSWER} PIE)", "[backend] url"),
        (f"{BACKEND} can't be reached: {INSECURE}: the issuer of its certificate is unknown here", "[backend] ca_file"),
    ],
)
def test_a_backend_that_fails_is_not_taken_for_the_platform_or_the_sip_side(why: str, word: str) -> None:
    failed = CallDetails(1.0, ended_at=3.0, cause=Cause.FAILURE, failure=CallFailure(500, why, "exchange"))
    ending = describe(failed, peer="+46701234567", domain=Domain.PSTN, outbound=True, order=None, interactive=True)
    assert why in ending.reason and word in str(ending.hint) and "SIP" not in str(ending.hint)


def test_a_trunk_out_of_reach_is_a_matter_of_the_network_not_of_the_number() -> None:
    failure = CallFailure(503, f"{TRUNK_AWAY}: there is no SIP server at sip.carrier.example", NETWORK_DOMAIN)
    failed = CallDetails(1.0, ended_at=3.0, cause=Cause.FAILURE, failure=failure)
    ending = describe(failed, peer="+46701234567", domain=Domain.PSTN, outbound=True, order=None, interactive=True)
    assert ending.code is ExitCode.NETWORK
    assert "number" not in str(ending.hint) and "[trunk]" in str(ending.hint)


@pytest.mark.parametrize("domain", Domain)
def test_who_is_busy_is_said_to_be_busy_not_to_decline(domain: Domain) -> None:
    ending = describe(ended(Cause.DENIED, EndedBy.PEER, 486), peer="bob", domain=domain, outbound=True, order=None, interactive=True)
    assert (ending.reason, "again" in (ending.hint or "")) == ("bob is busy", True)


@pytest.mark.parametrize("table", [OUTGOING, INCOMING, {Cause.DENIED: BUSY}], ids=["outgoing", "incoming", "busy"])
def test_a_next_step_names_commands_that_exist_and_quotes_the_peer(table: dict[Cause, dict[Domain, object]]) -> None:
    for cause, rows in table.items():
        for domain in rows:
            step = explain(cause, domain, outbound=table is not INCOMING, peer=HOSTILE, busy=table not in (OUTGOING, INCOMING)).next_step
            assert set(re.findall(r"sinchphone ([a-z-]+)", step)) <= set(COMMANDS)
            assert HOSTILE not in step.replace(shlex.quote(HOSTILE), "")


def test_a_peer_with_braces_in_its_name_is_named_as_it_is() -> None:
    assert explain(Cause.HUNG_UP, Domain.MXP, outbound=True, peer="{peer} {0}").words == "{peer} {0} hung up"
    fields = {
        name for rows in (*OUTGOING.values(), *INCOMING.values()) for one in rows.values() for _, name, *_ in Formatter().parse(one.words)
    }
    assert fields <= {None, "peer"}
