import base64

import pytest

from sinchphone.engine.environment import Cloud
from sinchphone.errors import ConfigError
from sinchphone.protocol.auth import read_token_claims

SECRET = base64.b64encode(b"a visibly fake secret").decode()


async def test_the_cloud_signs_tokens_with_the_secret() -> None:
    claims = read_token_claims(await Cloud("key", secret=SECRET).token("ada"))
    assert claims.user_id == "ada"


async def test_a_given_token_and_a_token_source_are_used_as_they_are() -> None:
    async def source(user: str) -> str:
        return f"token of {user}"

    assert await Cloud("key", token="a.b.c").token("ada") == "a.b.c"
    assert await Cloud("key", token_source=source).token("ada") == "token of ada"


@pytest.mark.parametrize("proofs", [{}, {"secret": SECRET, "token": "a.b.c"}])
def test_exactly_one_proof_is_needed(proofs: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Cloud("key", **proofs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "url", "loopback"),
    [
        ("ocra.api.sinch.com", "https://ocra.api.sinch.com", False),
        ("http://127.0.0.1:4600/", "http://127.0.0.1:4600", True),
        ("https://localhost", "https://localhost", True),
    ],
)
async def test_a_host_may_be_a_name_or_an_origin(host: str, url: str, loopback: bool) -> None:
    cloud = Cloud("key", host=host, token="a.b.c")
    assert await cloud.open() == url
    assert cloud.loopback is loopback
