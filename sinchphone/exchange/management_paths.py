"""Where the management routes are, and how much they take: the exchange and who asks it read this."""

from typing import Final

from sinchphone.exchange.options import MANAGEMENT_PATH

USERS_PATH: Final = f"{MANAGEMENT_PATH}/users"
SMS_PATH: Final = f"{MANAGEMENT_PATH}/sms"
FAULTS_PATH: Final = f"{MANAGEMENT_PATH}/faults"
CALLS_PATH: Final = f"{MANAGEMENT_PATH}/calls"
TRACE_PATH: Final = f"{MANAGEMENT_PATH}/trace"
TRACED_CALLS_PATH: Final = f"{TRACE_PATH}/calls"
MAX_SOUND_BYTES: Final = 4 * 1024 * 1024  # of a file that a simulated phone plays
