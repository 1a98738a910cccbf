"""What the webrtc room relies on in aiortc, aioice and pylibsrtp, name by name: an upgrade that moves one fails here."""

import ast
import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import sinchphone
from sinchphone.media.port import PortOptions
from sinchphone.media.rtp import secure as sdes
from sinchphone.media.webrtc import identity, seam, secure
from sinchphone.media.webrtc.ice import agent as ice
from sinchphone.media.webrtc.ice import ice_socket, local_addresses, server_queries, turn
from sinchphone.media.webrtc.identity import DtlsCertificate, DtlsIdentity

PACKAGE = Path(sinchphone.__file__).parent
OUTSIDE = {"aiortc", "aioice", "pylibsrtp"}


def plain_connection() -> seam.Connection:
    return seam.Connection(ice_controlling=True)


def plain_transport() -> seam.RTCDtlsTransport:
    unused: Any = object()
    return seam.RTCDtlsTransport(unused, [seam.RTCCertificate.generateCertificate()])


def imports(path: Path) -> set[str]:
    """What it imports; of a file without the name of any that matters: nothing, since reading all takes seconds."""
    text, found = path.read_text(), set[str]()
    for node in ast.walk(ast.parse(text)) if any(name in text for name in OUTSIDE) else ():
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def private_attributes(module: Any) -> set[str]:
    """Every ``something._name`` in a module's source."""
    tree = ast.parse(inspect.getsource(module))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)}


def own_names(cls: type) -> set[str]:
    """What a class of ours defines itself: its methods, and what its ``__init__`` sets."""
    attributes = (node for node in ast.walk(ast.parse(inspect.getsource(cls))) if isinstance(node, ast.Attribute))
    return set(vars(cls)) | {each.attr for each in attributes if isinstance(each.ctx, ast.Store) and ast.unparse(each.value) == "self"}


async def test_only_the_seam_imports_the_outside_libraries() -> None:
    knowing = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if imports(path) & OUTSIDE}
    assert knowing == {"media/webrtc/seam.py", "media/network/srtp_library.py"}


def test_the_outside_libraries_have_bounds() -> None:
    """Two of them to one minor release: private names move in any."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    bounds = {requirement.name: requirement.specifier for requirement in map(Requirement, project["dependencies"])}
    assert not bounds["aiortc"].contains("1.17.0")
    assert not bounds["aioice"].contains("0.14.0")
    assert not bounds["pylibsrtp"].contains("2.0.0")
    for name in OUTSIDE:
        assert bounds[name].contains(version(name))


def test_every_name_the_seam_gives_is_used() -> None:
    modules = (ice, ice_socket, identity, local_addresses, secure, server_queries, sdes, turn)
    used = {name for module in modules for name in re.findall(r"seam\.(\w+)", inspect.getsource(module))}
    assert used | {"PRIVATE_NAMES"} == set(seam.__all__)


@pytest.mark.parametrize("name", seam.PRIVATE_NAMES["Connection"])
async def test_an_ice_connection_still_has(name: str) -> None:
    assert hasattr(plain_connection(), name)


@pytest.mark.parametrize("name", seam.PRIVATE_NAMES["RTCDtlsTransport"])
async def test_a_dtls_transport_still_has(name: str) -> None:
    assert hasattr(plain_transport(), name)


@pytest.mark.parametrize("name", seam.PRIVATE_NAMES["Candidate"])
def test_a_candidate_still_has(name: str) -> None:
    assert hasattr(seam.Candidate.from_sdp("1 1 udp 1 192.0.2.1 9 typ host"), name)


async def test_every_private_name_that_is_used_is_listed() -> None:
    listed = {name for names in seam.PRIVATE_NAMES.values() for name in names}
    theirs = set(dir(plain_connection())) | set(dir(plain_transport()))
    sockets = (ice_socket.IceSocket, ice_socket._SingleTransmission)
    classes = (ice.IceConnection, *sockets, secure.SecurePath, DtlsCertificate, identity.IdentityStock, secure._IceTransport)
    ours = {name for cls in classes for name in own_names(cls)} - theirs
    modules = (ice, ice_socket, identity, secure)
    assert {name for module in modules for name in private_attributes(module)} - ours - listed == set()


async def test_no_name_of_ours_hides_one_of_an_ice_connection_unintentionally() -> None:
    theirs = set(dir(plain_connection()))
    overridden = {"gather_candidates", "connect", "close", "check_complete", "query_consent", "data_received", "check_incoming"}
    overridden |= {"request_received", "protocol_lost"}
    listed = set(seam.PRIVATE_NAMES["Connection"])
    clashes = {name for name in own_names(ice.IceConnection) & theirs if not name.startswith("__")}
    assert clashes - overridden - listed == set()


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (seam.Connection.__init__, ["ice_controlling", "transport_policy", "local_username", "local_password"]),
        (seam.Connection._add_remote_candidate, ["remote_candidate", "network_host"]),
        (seam.Connection._pair_remote_candidate, ["remote_candidate"]),
        (seam.Connection.check_incoming, ["message", "addr", "protocol"]),
        (seam.Connection.check_complete, ["pair"]),
        (seam.Connection.request_received, ["message", "addr", "protocol"]),
        (seam.Connection.respond_error, ["request", "addr", "protocol", "error_code"]),
        (seam.Connection.protocol_lost, ["protocol"]),
        (seam.Connection.data_received, ["data", "component"]),
        (seam.Connection.build_request, ["pair", "nominate"]),
        (seam.StunProtocol.request, ["request", "addr", "integrity_key", "retransmissions"]),
        (seam.StunProtocol.datagram_received, ["data", "addr"]),
        (seam.RTCCertificate._create_ssl_context, ["srtp_profiles"]),
        (seam.RTCDtlsTransport._set_role, ["role"]),
        (seam.RTCDtlsTransport.start, ["remoteParameters"]),
        (seam.candidate_priority, ["candidate_component", "candidate_type", "local_pref"]),
        (seam.get_host_addresses, ["use_ipv4", "use_ipv6"]),
        (seam.StunTransaction.__init__, ["request", "addr", "protocol", "integrity_key", "long_term_credential"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_function_still_takes(function: Any, parameters: list[str]) -> None:
    assert set(parameters) <= set(inspect.signature(function).parameters)


def test_a_dtls_transport_asks_three_things_of_the_transport_below_it() -> None:
    source = inspect.getsource(seam.RTCDtlsTransport)
    assert set(re.findall(r"self\.transport\.(\w+)", source)) == {"_recv", "_send", "role"}


def test_the_checks_of_a_connection_are_those_that_we_replace() -> None:
    """Our ``connect`` repeats the library's steps: a new step there must be looked at."""
    source = inspect.getsource(seam.Connection.connect)
    steps = set(re.findall(r"self\.(_?\w+)", source))
    assert steps == {
        "_local_candidates_end",
        "remote_username",
        "remote_password",
        "_remote_candidates",
        "_pair_remote_candidate",
        "sort_check_list",
        "_unfreeze_initial",
        "_early_checks",
        "check_incoming",
        "_early_checks_done",
        "_check_periodic",
        "_check_list",
        "_check_list_state",
        "_query_consent_task",
        "query_consent",
    }


def test_our_certificate_is_made_by_the_library_and_has_a_sha_256_digest() -> None:
    certificate = DtlsCertificate.generateCertificate()
    assert isinstance(certificate, DtlsCertificate)
    assert DtlsIdentity.of(certificate).local.fingerprints[0].algorithm == "sha-256"


async def test_the_queue_of_dtls_datagrams_is_limited() -> None:
    """Attack: somebody sends DTLS-like datagrams before the handshake, until memory is full."""
    nothing, no = (lambda: None), (lambda: False)
    told = secure.PathListener(lambda data, control: None, nothing, no, nothing, nothing, lambda why: None, nothing)
    path = secure.SecurePath(PortOptions(), DtlsIdentity.create(), told, lambda candidate: None)
    for _ in range(10_000):
        path.ice.dtls_received(b"\x16", ("192.0.2.1", 1))
    assert not path._below._datagrams
    path.ice._prove(("192.0.2.1", 1))
    for _ in range(10_000):
        path.ice.dtls_received(b"\x16", ("192.0.2.1", 1))
    assert 0 < len(path._below._datagrams) <= 64
