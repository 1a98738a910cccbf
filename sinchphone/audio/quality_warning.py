"""What can be wrong with a call's sound, by the names that the Sinch SDK has, and two of ours. Loads no numpy."""

from enum import StrEnum


class QualityWarning(StrEnum):
    """What can be wrong with a call's sound."""

    HIGH_ROUND_TRIP = "HighRemoteInboundRtt"
    HIGH_JITTER = "HighInboundJitter"
    HIGH_LOSS = "HighInboundPacketLoss"
    MISSING_STREAM = "MissingMediaStream"
    CONSTANT_OUTBOUND = "ConstantOutboundAudioLevel"
    CONSTANT_INBOUND = "ConstantInboundAudioLevel"
    ZERO_OUTBOUND = "ZeroOutboundAudioLevel"
    ZERO_INBOUND = "ZeroInboundAudioLevel"
    SILENT_INBOUND = "SilentInboundAudio"  # packets flow, but carry silence
    CLIPPED_OUTBOUND = "ClippedOutboundAudio"  # the microphone is too loud: its peaks are cut off
