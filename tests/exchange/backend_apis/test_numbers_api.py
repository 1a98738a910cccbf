"""Numbers and callbacks over HTTP (Sinch Voice REST, applications), in both forms of their paths."""

from typing import Any

import pytest

from sinchphone.exchange.voice_api import assigned_numbers

ON_BOTH_STORES = (
    "test_numbers_are_assigned_listed_and_taken_away",
    "test_a_number_is_of_one_application",
    "test_callbacks_have_two_paths_too",
)
NUMBERS = ("/v1/configuration/numbers", "/calling/v1/configuration/numbers")
OURS = "+46700000001"


@pytest.mark.parametrize("path", NUMBERS)
async def test_numbers_are_assigned_listed_and_taken_away(developer: Any, path: str) -> None:
    assert await developer.ask("GET", path) == (200, {"numbers": []})
    body = {"numbers": [OURS, "46700000002"], "applicationkey": "acme", "capability": "voice"}
    assert await developer.ask("POST", path, body) == (200, {})
    listed = [{"number": number, "applicationkey": "acme", "capability": "voice"} for number in (OURS, "+46700000002")]
    assert await developer.ask("GET", path) == (200, {"numbers": listed})
    assert await developer.ask("GET", path, key="globex") == (200, {"numbers": []})
    assert await developer.ask("DELETE", path, {"number": OURS}) == (200, {})
    assert (await developer.ask("DELETE", path, {"number": OURS}))[0] == 404
    assert (await developer.ask("GET", path))[1]["numbers"] == listed[1:]


async def test_a_number_is_of_one_application(developer: Any) -> None:
    assert (await developer.ask("POST", NUMBERS[0], {"numbers": [OURS]}))[0] == 200
    for body in ({"numbers": ["+46700000003", OURS]}, {"numbers": ["+46700000003"], "applicationkey": "acme"}):
        status, said = await developer.ask("POST", NUMBERS[0], body, key="globex")
        assert (status, said["code" if "code" in said else "errorCode"]) == (403, 40301)
    assert (await developer.ask("DELETE", NUMBERS[0], {"number": OURS}, key="globex"))[0] == 404
    assert (await developer.ask("GET", NUMBERS[0], key="globex"))[1] == {"numbers": []}


async def test_numbers_that_are_assigned_again_count_once(developer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigned_numbers, "MAX_ASSIGNED", 2)
    both = {"numbers": [OURS, "+46700000002"]}
    for _ in range(2):
        assert (await developer.ask("POST", NUMBERS[0], both))[0] == 200
    assert (await developer.ask("POST", NUMBERS[0], {"numbers": ["+46700000003"]}))[0] == 429


@pytest.mark.parametrize(
    "body",
    [{}, [], b"{", {"numbers": OURS}, {"numbers": ["x"]}, {"numbers": [5]}, {"numbers": []}, {"numbers": [OURS], "capability": "fax"}],
)
async def test_what_are_no_numbers_is_refused(developer: Any, body: Any) -> None:
    assert (await developer.ask("POST", NUMBERS[0], body))[0] == 400
    assert (await developer.ask("GET", NUMBERS[0]))[1] == {"numbers": []}


@pytest.mark.parametrize("root", ["/v1/calling/query", "/calling/v1/calling/query", "/calling/v1/query"])
@pytest.mark.parametrize("written", ["+46700000001", "%2B46700000001", "46700000001"])
async def test_what_a_number_is(developer: Any, root: str, written: str) -> None:
    status, said = await developer.ask("GET", f"{root}/number/{written}")
    facts = {"countryId": "SE", "numberType": "Mobile", "normalizedNumber": OURS, "restricted": False}
    assert (status, said) == (200, {"number": {**facts, "rate": {"currencyId": "USD", "amount": 0}}})


@pytest.mark.parametrize(("number", "country", "kind"), [("+442079460018", "GB", "Fixed"), ("+14155550100", "US", "Unknown")])
async def test_numbers_of_other_kinds(developer: Any, number: str, country: str, kind: str) -> None:
    said = (await developer.ask("GET", f"/v1/calling/query/number/{number}"))[1]["number"]
    assert (said["countryId"], said["numberType"]) == (country, kind)


@pytest.mark.parametrize("number", ["12", "nobody", "%00", "+" + "9" * 40])
async def test_what_is_no_number_is_refused(developer: Any, number: str) -> None:
    assert (await developer.ask("GET", f"/v1/calling/query/number/{number}"))[0] == 400


async def test_callbacks_have_two_paths_too(developer: Any) -> None:
    path = "/calling/v1/configuration/callbacks/applications/acme"
    assert (await developer.ask("POST", path, {"url": {"primary": developer.backend.url}}))[0] == 200
    said = await developer.ask("GET", path.removeprefix("/calling"))
    assert said == (200, {"url": {"primary": developer.backend.url, "fallback": ""}})
