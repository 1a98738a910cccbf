"""Limits that Sinch Voice states, and what calls cost at an exchange that charges nothing. Pure."""

from typing import Final

MAX_CALL_SECONDS: Final = 14_400  # maxDuration of an action
MAX_DTMF_CHARACTERS: Final = 128  # of ``dtmf`` in an action or a callout: ours, the platform states none
NEEDS_CALLER_ID: Final = "a call to a phone number needs a caller id (cli)"
FREE: Final = {"currencyId": "USD", "amount": 0}
