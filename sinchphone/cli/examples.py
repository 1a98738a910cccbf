"""Examples for the help of each command and group: whole command lines, each of which a test runs."""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("sinchphone call echo", "sinchphone --json history", "sinchphone -q call bob", "sinchphone help"),
    "call": (
        "sinchphone call echo",
        "sinchphone call +46700000000",
        "sinchphone call @mum",
        "sinchphone call ada@pbx.example",
        "sinchphone call conf:standup",
        "sinchphone call --again",
        "sinchphone call echo --no-audio --tone 440 --max-duration 10s --json",
    ),
    "call-user": ("sinchphone call-user bob", "sinchphone call-user 123 --user ada"),
    "call-phone": ("sinchphone call-phone '+46 70 000 00 00'", "sinchphone call-phone +46700000000 --dtmf '1w2#'"),
    "call-sip": ("sinchphone call-sip alice@pbx.example", "sinchphone call-sip sips:alice@pbx.example --header x-desk=7"),
    "conference": ("sinchphone conference standup", "sinchphone conference standup --no-mic"),
    "send-message": ("sinchphone send-message bob 'Back at three'", "sinchphone send-message bob carol 'Lunch?' --wait sent"),
    "listen": (
        "sinchphone listen",
        "sinchphone listen --user bob --auto-answer --once",
        "sinchphone listen --allow 'ada*' --for 8h --json",
    ),
    "history": ("sinchphone history", "sinchphone history --missed --since 1d", "sinchphone history --with @mum --json"),
    "history delete": ("sinchphone history delete --with bob", "sinchphone history delete --older-than 90d"),
    "history export": ("sinchphone history export calls.csv", "sinchphone history export calls.json --since 30d"),
    "contacts": ("sinchphone contacts list", "sinchphone contacts add mum +46700000000"),
    "contacts add": ("sinchphone contacts add mum +46700000000 --user mum", "sinchphone contacts add standup conf:standup"),
    "contacts list": ("sinchphone contacts list", "sinchphone contacts list --json"),
    "contacts show": ("sinchphone contacts show mum",),
    "contacts remove": ("sinchphone contacts remove mum",),
    "exchange": ("sinchphone exchange", "sinchphone exchange --memory --port 0"),
    "exchange status": ("sinchphone exchange status", "sinchphone exchange status --json"),
    "exchange stop": ("sinchphone exchange stop",),
    "devices": ("sinchphone devices", "sinchphone devices --json"),
    "devices test": ("sinchphone devices test", "sinchphone devices test --input card --output card"),
    "devices meter": ("sinchphone devices meter",),
    "doctor": ("sinchphone doctor", "sinchphone doctor --json"),
    "token": ("sinchphone token --user ada",),
    "config": ("sinchphone config path", "sinchphone config init"),
    "config path": ("sinchphone config path",),
    "config show": ("sinchphone config show",),
    "config init": ("sinchphone config init", "sinchphone config init --force"),
    "config schema": ("sinchphone config schema",),
    "help": ("sinchphone help", "sinchphone help calling", "sinchphone help call"),
}
