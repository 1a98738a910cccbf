"""``send-message``, ``listen`` and ``history`` as a shell sees them, on a platform made of nothing and a fake SMS API."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sinchphone.engine.events.events import InstantMessage
from sinchphone.errors import ForbiddenError, NetworkError, NotFoundError, PlatformError


def named(ran: Any, name: str) -> list[dict[str, Any]]:
    return [event for event in ran.events if event["event"] == name]


def test_a_message_that_everybody_has_exits_with_0(sinchphone: Any, platform: Any) -> None:
    platform.acknowledging = ("bob", "carol")
    ran = sinchphone("send-message", "--user", "ada", "--json", "--header", "k=v", "bob", "carol", "on my way")
    assert ran.code == 0
    assert platform.texts == [(("bob", "carol"), "on my way", {"k": "v"})]
    assert [event["recipient"] for event in named(ran, "message.delivered")] == ["bob", "carol"]
    result = ran.events[-1]
    assert [(one["recipient"], one["status"]) for one in result["messages"]] == [("bob", "delivered"), ("carol", "delivered")]
    assert result["ok"] and result["error"] is None


def test_a_person_reads_who_has_it(sinchphone: Any, platform: Any) -> None:
    platform.acknowledging = ("bob",)
    ran = sinchphone("send-message", "--user", "ada", "bob", "hi")
    assert (ran.code, ran.out) == (0, "delivered to bob\n")
    assert "sent to bob" in ran.err


def test_a_message_that_isnt_delivered_in_time_exits_with_15_and_names_who_waits(sinchphone: Any, platform: Any) -> None:
    platform.acknowledging = ("bob",)
    ran = sinchphone("send-message", "--user", "ada", "--json", "--timeout", "300ms", "bob", "carol", "hi")
    assert ran.code == 15
    result = ran.events[-1]
    assert [(one["recipient"], one["status"]) for one in result["messages"]] == [("bob", "delivered"), ("carol", "sent")]
    assert "carol" in result["error"]["message"] and "bob" not in result["error"]["message"]


def test_a_message_that_partly_fails_exits_with_15_whatever_is_waited_for(sinchphone: Any, platform: Any) -> None:
    platform.acknowledging, platform.failing = ("bob",), {"carol": PlatformError("full")}
    for wait, code in (("delivered", 15), ("sent", 15), ("none", 0)):
        ran = sinchphone("send-message", "--user", "ada", "--json", "--wait", wait, "bob", "carol", "hi")
        assert ran.code == code
        assert {one["recipient"]: one["status"] for one in ran.events[-1]["messages"]}["carol"] == "failed"
        [failed] = named(ran, "message.failed")
        assert (failed["recipient"], failed["reason"]) == ("carol", "full")


def test_wait_sent_does_not_wait_for_receipts(sinchphone: Any, platform: Any) -> None:
    ran = sinchphone("send-message", "--user", "ada", "--json", "--wait", "sent", "bob", "hi")
    assert ran.code == 0
    assert ran.events[-1]["messages"][0]["status"] == "sent"


@pytest.mark.parametrize(
    ("error", "code"), [(NotFoundError("nobody is called bob"), 7), (ForbiddenError("no messages"), 8), (NetworkError("cut"), 9)]
)
def test_each_refusal_has_its_exit_code(sinchphone: Any, platform: Any, error: Exception, code: int) -> None:
    platform.refuses_message = error
    ran = sinchphone("send-message", "--user", "ada", "bob", "hi")
    assert ran.code == code
    assert str(error) in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["bob"],
        [],
        ["--wait", "forever", "bob", "hi"],
        ["--timeout", "soon", "bob", "hi"],
        ["--header", "x", "bob", "hi"],
        ["4670000001", "hi"],
    ],
)
def test_a_command_line_that_makes_no_sense_exits_with_2(sinchphone: Any, platform: Any, arguments: list[str]) -> None:
    assert sinchphone("send-message", "--user", "ada", *arguments).code == 2
    assert platform.texts == []


@pytest.mark.parametrize(("more", "printed"), [(["--json"], 1), (["--", "bob", "--json"], 0)], ids=["asked for", "as the text"])
def test_a_refusal_is_printed_in_json_where_that_was_asked_for_and_not_because_the_text_says_so(
    sinchphone: Any, platform: Any, more: list[str], printed: int
) -> None:
    ran = sinchphone("send-message", "--timeout", "soon", *(["bob", "hi"] if printed else []), *more)
    assert (ran.code, len(ran.out.splitlines())) == (2, printed)
    assert "error: " in ran.err


def test_a_dash_reads_the_text_from_standard_input(sinchphone: Any, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.acknowledging = ("bob",)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("zwei\nZeilen ö\n".encode()), isatty=lambda: False))
    assert sinchphone("send-message", "--user", "ada", "bob", "-").code == 0
    assert platform.texts[0][1] == "zwei\nZeilen ö"


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"x" * 1_000_001], ids=["not UTF-8", "1 MB"])
def test_standard_input_that_is_no_message_is_refused(sinchphone: Any, platform: Any, monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw), isatty=lambda: False))
    assert sinchphone("send-message", "--user", "ada", "bob", "-").code == 2
    assert platform.texts == []


@pytest.mark.parametrize("text", ["", "x" * 24_577], ids=["empty", "too long"])
def test_a_text_that_is_no_message_is_refused_before_anything_is_opened(sinchphone: Any, platform: Any, text: str) -> None:
    assert sinchphone("send-message", "--user", "ada", "bob", text).code == 2
    assert platform.users == []


def test_a_standard_input_that_is_closed_is_no_empty_message(sinchphone: Any, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    ran = sinchphone("send-message", "bob", "-")
    assert (ran.code, "standard input is closed" in ran.err) == (2, True)


def test_a_message_that_comes_while_sending_is_shown_beside_the_result(sinchphone: Any, platform: Any) -> None:
    platform.acknowledging = ("bob",)
    platform.received = [InstantMessage(id="m-9", sender="carol", recipients=("ada",), text="wait for me")]
    ran = sinchphone("send-message", "--user", "ada", "bob", "hi")
    assert "carol: wait for me" in ran.err
    assert ran.out == "delivered to bob\n"


def test_listen_prints_messages_and_no_text_can_look_like_another_senders(sinchphone: Any, platform: Any) -> None:
    platform.received = [
        InstantMessage(id="m-9", sender="carol", recipients=("ada",), text="hi\nbob: give carol the money\x1b[2J\rada: ok")
    ]
    ran = sinchphone("listen", "--user", "ada", "--no-audio", "--for", "300ms")
    assert ran.code == 0
    assert ran.out == "carol: hi\n  bob: give carol the money\\x1b[2J\\x0dada: ok\n"


def test_listen_tells_messages_in_json(sinchphone: Any, platform: Any) -> None:
    platform.received = [InstantMessage(id="m-9", sender="carol", recipients=("ada", "bob"), text="a\nb", headers={"k": "v"})]
    [received] = named(sinchphone("listen", "--user", "ada", "--no-audio", "--json", "--for", "300ms"), "message.received")
    assert (received["sender"], received["recipients"], received["text"]) == ("carol", ["ada", "bob"], "a\nb")
    assert (received["message_id"], received["headers"]) == ("m-9", {"k": "v"})


# SMS


@dataclass
class SmsDouble:
    """Sinch's SMS API as far as we use it."""

    status: int = 201
    answer: dict[str, Any] = field(default_factory=lambda: {"id": "01FC66621XXXXX119Z8PMV1QPQ", "to": ["46700000001"]})
    reports: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def sms(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmsDouble]:
    double = SmsDouble()

    class Answering(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            double.requests.append((self.command, self.path, self.headers.get("Authorization", ""), json.loads(body) if body else None))
            report = "delivery_report/" in self.path
            if report:
                status = double.reports.pop(0) if double.reports else "Queued"
            code, answer = (200, {"status": status, "code": 0}) if report else (double.status, double.answer)
            if report and status == "404":
                code, answer = 404, {"code": "not_found", "text": "no report yet"}
            raw = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _serve

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr("sinchphone.cli.calling.texting.POLL_S", 0.02)
    monkeypatch.setenv("SINCH_SERVICE_PLAN_ID", "plan-1")
    monkeypatch.setenv("SINCH_SMS_TOKEN", "the-token")
    Path("sms.toml").write_text(f'[sms]\nhost = "{double.url}"\nsender = "Sinch"\n')
    monkeypatch.setenv("SINCHPHONE_CONFIG", "sms.toml")
    yield double
    server.shutdown()
    server.server_close()


def test_a_phone_number_gets_an_sms(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    sms.reports = ["404", "Dispatched", "Delivered"]
    ran = sinchphone("send-message", "--user", "ada", "--json", "+46 70 000 00 01", "grüße")
    assert ran.code == 0
    verb, path, authorization, body = sms.requests[0]
    assert (verb, path, authorization) == ("POST", "/xms/v1/plan-1/batches", "Bearer the-token")
    assert body == {"from": "Sinch", "to": ["+46700000001"], "body": "grüße", "type": "mt_text", "delivery_report": "full"}
    assert sms.requests[-1][1] == "/xms/v1/plan-1/batches/01FC66621XXXXX119Z8PMV1QPQ/delivery_report/46700000001"
    assert [event["via"] for event in named(ran, "message.sent")] == ["sms"]
    assert ran.events[-1]["messages"] == [
        {"message_id": "01FC66621XXXXX119Z8PMV1QPQ", "recipient": "+46700000001", "via": "sms", "status": "delivered"}
    ]
    assert platform.users == []
    history = sinchphone("history", "--user", "ada", "--json").events
    assert [(one["peers"], one["status"], one["text"]) for one in history[:-1]] == [(["+46700000001"], "delivered", "grüße")]


def test_users_and_numbers_get_the_same_text(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    platform.acknowledging, sms.reports = ("bob",), ["DELIVERED"]
    ran = sinchphone("send-message", "--user", "ada", "--json", "bob", "+46700000001", "hi")
    assert ran.code == 0
    assert [(one["recipient"], one["via"]) for one in ran.events[-1]["messages"]] == [("bob", "instant"), ("+46700000001", "sms")]


def test_an_sms_that_the_network_rejects_exits_with_15(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    sms.reports = ["Rejected"]
    ran = sinchphone("send-message", "--user", "ada", "--json", "+46700000001", "hi")
    assert ran.code == 15
    assert [event["reason"] for event in named(ran, "message.failed")] == ["Rejected"]


def test_an_sms_that_stays_under_way_exits_with_15_when_the_time_is_up(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    ran = sinchphone("send-message", "--user", "ada", "--timeout", "600ms", "+46700000001", "hi")
    assert ran.code == 15


@pytest.mark.parametrize(("status", "code"), [(401, 4), (403, 8), (404, 7), (400, 13), (429, 13), (500, 13)])
def test_refusals_of_the_sms_api_have_their_exit_codes(sinchphone: Any, platform: Any, sms: SmsDouble, status: int, code: int) -> None:
    sms.status, sms.answer = status, {"code": "no", "text": "because of that"}
    ran = sinchphone("send-message", "--user", "ada", "+46700000001", "hi")
    assert ran.code == code
    assert "because of that" in ran.err
    assert "the-token" not in ran.err
    assert len(sms.requests) == 1, "an SMS is never sent twice by itself"


def test_without_an_sms_api_a_number_is_refused_clearly_in_the_cloud(
    sinchphone: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_KEY", "key")
    ran = sinchphone("send-message", "--user", "ada", "bob", "+46700000001", "hi")
    assert ran.code == 14
    assert "SMS API" in ran.err and "[sms]" in ran.err
    assert platform.texts == [], "nobody got it"


def test_a_token_is_not_sent_in_the_clear(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    Path("sms.toml").write_text('[sms]\nhost = "http://sms.example"\n')
    ran = sinchphone("send-message", "--user", "ada", "+46700000001", "hi")
    assert ran.code == 14
    assert "https" in ran.err


def test_a_text_that_no_sms_carries_is_refused_before_anything_is_sent(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    ran = sinchphone("send-message", "--user", "ada", "bob", "+46700000001", "x" * 2001)
    assert ran.code == 2
    assert (sms.requests, platform.texts) == ([], [])


def test_an_emergency_number_gets_no_message(sinchphone: Any, platform: Any, sms: SmsDouble) -> None:
    assert sinchphone("send-message", "--user", "ada", "+112", "help").code == 2
    assert sms.requests == []


# History


def test_history_knows_calls_and_filters_them(sinchphone: Any, platform: Any) -> None:
    from sinchphone.cli.addressing.recent import history_of
    from sinchphone.config import load
    from sinchphone.engine.history.history import History
    from sinchphone.engine.history.past import PastCall

    async def note() -> None:
        async with History(*history_of(load({"user": "ada"}).options)) as history:
            await history.note_call("d", PastCall("1", False, "bob", "mxp", 1_700_000_000.0, False, None, "canceled", "peer"))
            await history.note_call("d", PastCall("2", True, "carol", "mxp", 1_800_000_000.0, True, 65_000, "hung_up", "us"))

    asyncio.run(note())
    everything = sinchphone("history", "--user", "ada", "--json").events
    assert [(one["id"], one["missed"], one["duration_ms"]) for one in everything[:-1]] == [("1", True, None), ("2", False, 65_000)]
    for arguments, ids in (
        (["--missed"], ["1"]),
        (["--with", "carol"], ["2"]),
        (["--since", "2026-01-01"], ["2"]),
        (["--limit", "1"], ["2"]),
        (["--since", "1h"], ["2"]),
    ):
        assert [one["id"] for one in sinchphone("history", "--user", "ada", "--json", *arguments).events[:-1]] == ids, arguments
    shown = sinchphone("history", "--user", "ada").out.splitlines()
    assert shown[0].endswith("<- bob             missed, they gave up") and shown[1].endswith("-> carol           you hung up, 1:05")
    assert sinchphone("history", "--user", "somebody-else").out == ""


@pytest.mark.parametrize("since", ["yesterday", "3x", ""])
def test_a_time_that_makes_no_sense_is_refused(sinchphone: Any, platform: Any, since: str) -> None:
    assert sinchphone("history", "--user", "ada", "--since", since).code == 2


def test_a_history_that_is_broken_keeps_nobody_from_writing(sinchphone: Any, platform: Any, nobodys_machine: Any) -> None:
    file = nobodys_machine / "state" / "sinchphone" / "history.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database" * 1000)
    platform.acknowledging = ("bob",)
    ran = sinchphone("send-message", "--user", "ada", "bob", "hi")
    assert ran.code == 0
    assert "nothing is noted" in ran.err
    assert sinchphone("history", "--user", "ada").code == 14
