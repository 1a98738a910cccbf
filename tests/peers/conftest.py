"""What all peers need: certificates, and a thread for sound."""

import datetime
from collections.abc import Iterator

import pytest

from sinchphone.exchange.tls import Issued, issue
from sinchphone.media.thread import MediaThread
from tests.peers.peerkit.baresip import Certificates


@pytest.fixture(scope="session")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """Certificates of one authority for everybody on loopback."""
    return issue(tmp_path_factory.mktemp("tls"), "127.0.0.1", datetime.datetime.now(datetime.UTC))


@pytest.fixture(scope="session")
def certificates(issued: Issued, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The same for a phone that wants chain and key in one file."""
    both = tmp_path_factory.mktemp("phones") / "both.pem"
    both.write_text(issued.certificate.chain.read_text() + issued.certificate.key.read_text())
    return Certificates(both, issued.authority)


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread
