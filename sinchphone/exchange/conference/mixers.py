"""Who mixes an exchange's rooms, as it's configured."""

from sinchphone.exchange.conference.rooms import RoomMixer
from sinchphone.exchange.options import ConferenceOptions
from sinchphone.media.thread import MediaThread


def mixer_of(options: ConferenceOptions, media: MediaThread) -> RoomMixer | None:
    """Who mixes in place of this process."""
    if options.mixer != "janus":
        return None
    from sinchphone.exchange.conference.janus.mixer import JanusMixer

    return JanusMixer(options.janus, media)
