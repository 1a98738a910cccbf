"""The only file that knows pylibsrtp: SRTP (RFC 3711) for WebRTC and for phones."""

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy as SrtpPolicy
from pylibsrtp import Session as SrtpSession

__all__ = ["SrtpError", "SrtpPolicy", "SrtpSession"]
