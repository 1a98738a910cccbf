"""Limits that Sinch Voice states, and what calls cost at an exchange that charges nothing. Pure."""

from typing import Final

MAX_CALL_SECONDS: Final = 14_400  # maxDuration of an action
MAX_DTMF_CHARACTERS: Final = 128  # of ``dtmf`` in an action or a callout: ours, the platform states none
FREE: Final = {"currencyId": "USD", "amount": 0}
