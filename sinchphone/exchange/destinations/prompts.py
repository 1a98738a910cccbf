"""What the exchange says: recordings that ship with it, each decoded once.

They were spoken by eSpeak NG (``espeak-ng -v en-gb -s 155 -p 45 -w NAME.wav TEXT``), trimmed below -48 dBFS, brought to
-20 dBFS (root mean square) and encoded as Opus, mono, 24 kbit/s. The texts:

- connected: You are connected. This is the sinch phone exchange, and your call has come through. Goodbye.
- speech: Good day. While you listen, here is a short walk. The path leaves the village by the old mill, follows the
  stream between two rows of willows, and climbs to a bench on the hill. From there you see the harbour, a few white
  sails, and the first lamps of the evening. If every word was clear, your line is in good order.
- called: You called
- echo: Speak now. You will hear yourself.
- digit: Please press a key.
- pressed: You pressed
- bad-line: You are on a bad line. Speak now.
- error: We are sorry. The application behind this number did not answer. Goodbye.
- machine: Please leave a message after the tone. (12 kbit/s, as the next one)
- hello: Hello?
- plus, 0 to 9: plus, zero, one, two, three, four, five, six, seven, eight, nine
- star, hash, a to d: star, hash, A, B, C, D
"""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.media.local_audio.files import decode

_DIGIT_NAMES: Final = {"*": "star", "#": "hash"} | {digit: digit.lower() for digit in "0123456789ABCD"}
_FOLDER: Final = Path(__file__).with_name("recordings")
_DIGIT_PAUSE_SAMPLES: Final = RATE // 10  # between digits
_GROUP_PAUSE_SAMPLES: Final = 3 * RATE // 10  # after every third digit, as people say numbers


@cache
def load(name: str) -> Samples:
    """The recording of that name (as listed above), read-only. Raises AudioFileError for one that doesn't exist."""
    samples = decode(str(_FOLDER / f"{name}.ogg"))
    samples.flags.writeable = False
    return samples


def spell_digit(digit: str) -> Samples:
    """The name of a key: one of ``0-9 * # A-D``; nothing for anything else."""
    name = _DIGIT_NAMES.get(digit)
    return load(name) if name else silence(0)


def spell_number(number: str) -> Samples:
    """A phone number, digit by digit in groups of three; what is neither a digit nor a plus is left out."""
    pieces: list[Samples] = []
    digits = 0
    for character in number:
        if character in "0123456789":
            digits += 1
            pause = _GROUP_PAUSE_SAMPLES if digits % 3 == 0 else _DIGIT_PAUSE_SAMPLES
            pieces += [load(character), silence(pause)]
        elif character == "+":
            pieces += [load("plus"), silence(_DIGIT_PAUSE_SAMPLES)]
    return np.concatenate(pieces) if pieces else silence(0)
