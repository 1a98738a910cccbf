"""Reads what SVAML says about recordings. Pure: where the platform would put them, and its keys for that, are never kept."""

from typing import Final

from sinchphone.protocol.callbacks.svaml import StartRecording
from sinchphone.protocol.callbacks.svaml_fields import Fields

FORMATS: Final = ("mp3", "wav", "ogg", "flac")
_ELSEWHERE: Final = "absent: recordings stay on this exchange, and notify says where"


def read_start_recording(fields: Fields) -> StartRecording:
    """The instruction ``startRecording``."""
    return _read_options(fields, "options")


def read_record_flag(fields: Fields) -> StartRecording | None:
    """``record`` and ``recordingOptions`` of an action that connects (the platform's older documents)."""
    wanted = fields.flag("record")
    options = _read_options(fields, "recordingOptions")
    return options if wanted else None


def refuse_record_flag(fields: Fields) -> None:
    """The same of an action whose calls the platform doesn't record."""
    if fields.flag("record"):
        fields.remark("record", "false: calls to users aren't recorded, here as on the platform")
    fields.value("recordingOptions")


def _read_options(fields: Fields, name: str) -> StartRecording:
    options = fields.inner(name)
    if options is None:
        return StartRecording()
    for elsewhere in ("destinationUrl", "destination"):
        if options.has(elsewhere):
            options.remark(elsewhere, _ELSEWHERE, "an address")
    if options.value("credentials") is not None:
        options.remark("credentials", "absent: nothing is uploaded", "given")
    kind = options.word("format", FORMATS) or "mp3"
    notifies = options.flag("notificationEvents") if options.has("notificationEvents") else True
    transcription = options.inner("transcriptionOptions")
    if transcription is not None:
        if transcription.flag("enabled"):
            transcription.remark("enabled", "false: speech isn't written down on this exchange")
        transcription.value("locale")
        transcription.finish()
    options.finish()
    return StartRecording(kind, notifies)
