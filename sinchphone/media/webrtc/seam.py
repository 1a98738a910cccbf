"""The only file that knows aiortc and aioice: every name of theirs that this package uses, and nothing else.

We use the libraries' parts below their peer connection: the ICE agent and the DTLS transport. So no
module attribute of theirs is ever replaced; what has to differ is a subclass of ours (``ice.IceConnection``,
``ice.IceSocket``, ``identity.DtlsCertificate``). Their versions are pinned to one minor release, because private names are
among those that we use: they are listed in PRIVATE_NAMES with the reason, and ``tests/media/test_webrtc_seam.py`` fails
by name when one of them moves.
"""

from collections.abc import Mapping
from typing import Final

from aioice import Candidate, Connection, TransportPolicy
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import ICE_COMPLETED, CandidatePair, StunProtocol, get_host_addresses
from aioice.stun import Class as StunClass
from aioice.stun import Message as StunMessage
from aioice.stun import Method as StunMethod
from aioice.stun import Transaction as StunTransaction
from aioice.stun import TransactionError, TransactionFailed, parse_message
from aioice.utils import random_transaction_id
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
)

__all__ = [
    "ICE_COMPLETED",
    "PRIVATE_NAMES",
    "SRTP_PROFILES",
    "Candidate",
    "CandidatePair",
    "Connection",
    "RTCCertificate",
    "RTCDtlsFingerprint",
    "RTCDtlsParameters",
    "RTCDtlsTransport",
    "SRTPProtectionProfile",
    "StunClass",
    "StunMessage",
    "StunMethod",
    "StunProtocol",
    "StunTransaction",
    "TransactionError",
    "TransactionFailed",
    "TransportPolicy",
    "candidate_foundation",
    "candidate_priority",
    "get_host_addresses",
    "parse_message",
    "random_transaction_id",
]

PRIVATE_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "RTCCertificate": {
        "_create_ssl_context": "overridden: adds the cipher suites for peers with an RSA certificate; made ahead of time",
    },
    "RTCDtlsTransport": {
        "_set_role": "the DTLS role comes from a=setup, not from the ICE role",
        "_rx_srtp": "packets are unprotected in the socket's callback, without a queue and a task",
        "_tx_srtp": "packets are protected and sent in one step",
    },
    "the transport given to RTCDtlsTransport": {
        "_recv": "all that it asks of its ICE transport, with",
        "_send": "this and the public ``role``",
    },
    "Candidate": {
        "_network_host": "the address of a remote candidate, to tell whether a check comes from a known one",
    },
    "Connection": {
        "_local_candidates": "gather_candidates() is overridden; what it fills",
        "_local_candidates_start": "and the flags it sets",
        "_local_candidates_end": "as the library does",
        "_protocols": "the sockets, ours are added; close() closes them",
        "_check_list": "connect() is overridden: the same steps, without a pause of 20 ms after the last",
        "_check_list_done": "the end of the checks",
        "_check_list_state": "and how they ended",
        "_check_list_maybe_fail": "asked again when our own candidates are complete",
        "_check_periodic": "starts the next check",
        "_unfreeze_initial": "before the first check",
        "_early_checks": "of a peer that was faster than its description",
        "_early_checks_done": "they have been answered",
        "_remote_candidates": "paired again with local candidates that come late; counted for our limit",
        "_remote_candidates_end": "whatever comes after it is ignored (the public method raises)",
        "_remote_candidates_expected": "overridden: a list that still grows by our own candidates can't fail",
        "_add_remote_candidate": "overridden: limited in number, wakes connect()",
        "_pair_remote_candidate": "pairs a late local candidate; overridden: addresses aren't parsed for each pair",
        "_find_pair": "a pair that is there already",
        "_nominated": "the pair in use",
        "_query_consent_task": "query_consent() is overridden: it reports, and doesn't close",
        "_closing": "set as soon as we close: nothing is opened after it",
    },
}
