"""Telephone numbers: how people write them, their shape (ITU-T E.164), and when two are the same one. Pure; asks libphonenumber.

::

    "+44 (0)20 7946 0018", "tel:%2B44-20-7946-0018", "＋４４ ２０ …"   -> read_number -> "+442079460018"
    "+460900123456"                                              -> reading     -> "+46900123456"

libphonenumber is loaded when a number is read, not before.
"""

import re
import unicodedata
from enum import Enum
from typing import Final
from urllib.parse import unquote

from sinchphone.errors import DestinationError

MIN_DIGITS: Final = 7  # nothing shorter leads abroad
MAX_DIGITS: Final = 15
INTERNATIONAL: Final = rf"[1-9][0-9]{{{MIN_DIGITS - 1},{MAX_DIGITS - 1}}}"  # without its plus, as a pattern
E164: Final = rf"\+{INTERNATIONAL}"
SHAPE: Final = f"a phone number is + and {MIN_DIGITS} to {MAX_DIGITS} digits (E.164)"
PRIVATE: Final = "private"  # in place of the number of somebody who shows none (Sinch Voice)
CALLER_ID_RULE: Final = f"a phone number such as +46700000000, or {PRIVATE}"
MAX_WRITTEN_CHARACTERS: Final = 250  # what libphonenumber reads
_GLOBAL: Final = r"\+[0-9]{3,15}"
_SUBSCRIBER: Final = r"\+?[0-9*#]+"
_PREFIX: Final = r"\+[0-9]{0,15}"
_TRUNK_ZERO: Final = r"\(0\)"
_EXAMPLE: Final = "a number starts with +country: +46 70 000 00 00"
# Somewhere nearly every three digits mean help; somebody who types one of these means it everywhere.
_WELL_KNOWN_EMERGENCY: Final = frozenset({"000", "110", "111", "112", "119", "911", "995", "999"})


def is_number(text: str) -> bool:
    """Whether that is a number as we pass it on: ``+``, its country, no separators."""
    return re.fullmatch(E164, text) is not None


def looks_like_number(text: str) -> bool:
    """Whether a text says that it is a number: by its plus or as a tel: URI."""
    written = without_marks(text)
    return written.startswith("+") or written[:4].lower() == "tel:"


def is_number_prefix(text: str) -> bool:
    """Whether numbers can begin with that: ``+`` and digits, or ``+`` alone."""
    return re.fullmatch(_PREFIX, text) is not None


def global_number(text: str) -> str | None:
    """``+`` and digits of the user part of a SIP or tel URI, short numbers too; ``None`` where it's no global number (RFC 3966 5.1.4)."""
    bare = without_separators(text)
    return bare if re.fullmatch(_GLOBAL, bare) else None


def subscriber(user: str, context: str | None = None) -> str:
    """Whom the user part of a SIP or tel URI names: a number without its parameters (``;rn=``, ``;npdi``, ``;ext=``: RFC 3966, RFC 4694),
    with the country that ``phone-context`` says; any other name as it is."""
    number, separator, rest = user.partition(";")
    if not re.fullmatch(_SUBSCRIBER, without_separators(number)):
        return user
    for one in rest.split(";") if separator else ():
        name, _, value = one.partition("=")
        context = unquote(value) if name.strip().lower() == "phone-context" else context
    return context + number if context and re.fullmatch(_PREFIX, context) and not number.startswith("+") else number


def without_marks(text: str) -> str:
    """The text in ASCII as far as numbers go: digits of any script and full-width signs, without the invisible marks that are pasted
    with it; narrow spaces are spaces, and every dash is ``-``."""
    return "".join(map(_plain, unicodedata.normalize("NFKC", text))).strip()


def _plain(character: str) -> str:
    match unicodedata.category(character):
        case "Cf":  # U+202A and its like, U+200B, soft hyphens
            return ""
        case "Zs":
            return " "
        case "Pd":
            return "-"
        case "Nd":
            return str(unicodedata.decimal(character))
        case _:
            return "-" if character == "\u2212" else character  # the minus sign


def without_separators(text: str) -> str:
    """The text without what people group digits with."""
    return text.translate(_SEPARATORS)


_SEPARATORS: Final = str.maketrans("", "", " -.()/")


def bare_digits(text: str) -> str | None:
    """The digits of a text that is nothing but digits and separators: a number without its country, or a user's name."""
    digits = without_separators(without_marks(text))
    return digits if digits.isascii() and digits.isdecimal() else None


def read_number(text: str) -> str:
    """``+E164`` from a number as people write or paste it, or a ``tel:`` URI (RFC 3966). Raises DestinationError.

    The number must be *possible*, not *valid*: Sinch's own test number +46000000000 isn't valid. A national prefix that is written after
    the country, as in ``+44 (0)20``, goes where libphonenumber knows that it isn't dialled; Italy's zero stays.
    """
    written = _of_tel_uri(without_marks(text[: MAX_WRITTEN_CHARACTERS + 1]))
    number = without_separators(written)
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()) or len(written) > MAX_WRITTEN_CHARACTERS:
        raise DestinationError(f'"{text}" is not a phone number', hint=_EXAMPLE)
    _refuse_short_emergency(digits)
    if not number.startswith("+"):
        raise DestinationError(f"{digits} has no country", hint=proposal(digits))
    if len(digits) < MIN_DIGITS:
        raise DestinationError(
            f"{number} is a short number: those can't be called", hint="short numbers only work inside their own network"
        )
    if len(digits) - len(re.findall(_TRUNK_ZERO, written)) > MAX_DIGITS:
        raise DestinationError(f"{number} has more than {MAX_DIGITS} digits", hint="one number at a time, without an extension")
    return _possible(number, has_trunk_zero=re.search(_TRUNK_ZERO, written) is not None)


def read_caller_id(value: object) -> str:
    """A number that calls show, as configuration has it; whether it can exist is not asked. Raises ValueError."""
    written = without_marks(value) if isinstance(value, str) else ""
    number = without_separators(written)
    if not is_number(number):
        raise ValueError("must be a phone number with its country, such as +46701234567")
    return reading(number) if re.search(_TRUNK_ZERO, written) else number


def _of_tel_uri(written: str) -> str:
    """The number of a tel: URI, with the country that its phone-context names; any other text as it is."""
    scheme, colon, rest = written.partition(":")
    if not colon or scheme.lower() != "tel":
        return written
    number, *parameters = rest.split(";")
    context = next((one.partition("=")[2] for one in parameters if one.lower().startswith("phone-context=")), "")
    number, context = without_marks(unquote(number)), unquote(context)
    return context + number if context.startswith("+") and not number.startswith("+") else number


def proposal(digits: str) -> str:
    """A hint for digits without a country: the number that they are where their country stands in front of them without its plus."""
    for international in ("", "00", "011"):
        if digits.startswith(international) and (number := _valid(f"+{digits.removeprefix(international)}")):
            return f"a number starts with +country: {number}"
    return _EXAMPLE


def _valid(number: str) -> str | None:
    """The number as libphonenumber reads it, where somebody may have it."""
    import phonenumbers

    if not is_number(number):
        return None
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if phonenumbers.is_valid_number(parsed) else None


def _possible(number: str, *, has_trunk_zero: bool) -> str:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as error:
        raise DestinationError(f"{number} begins with no known country", hint="a number starts with +country") from error
    if not phonenumbers.is_possible_number(parsed):
        raise DestinationError(
            f"{number} can't be a number: it has too few or too many digits for its country",
            hint="a whole number is +country, then what people dial there without the 0 in front",
        )
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    if any(phonenumbers.is_emergency_number(str(parsed.national_number), region) for region in regions):
        raise emergency(number)
    read = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return read if has_trunk_zero or phonenumbers.is_valid_number(parsed) else number


def reading(number: str) -> str:
    """What libphonenumber takes a number for, without a national prefix that doesn't belong behind its country: two numbers are the same
    one where their readings are. What it can't read stays as it is."""
    import phonenumbers

    for _ in range(MAX_DIGITS):  # each turn takes one zero; a network takes as many as there are
        try:
            read = phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.E164)
        except phonenumbers.NumberParseException:
            return number
        if read == number:
            break
        number = read
    return number


def is_same_number(number: str, written: str) -> bool:
    """Whether somebody who writes ``written`` may mean that number (E.164): with its country in any spelling, after an international
    prefix, or as it is dialled inside its country."""
    if not is_number(number):
        return False
    bare = without_separators(_of_tel_uri(without_marks(written[:MAX_WRITTEN_CHARACTERS])))
    digits = bare.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) < MIN_DIGITS:
        return False
    if bare.startswith("+"):
        return reading(bare) == reading(number)
    abroad = [f"+{digits.removeprefix(prefix)}" for prefix in ("", "00", "011") if digits.startswith(prefix)]
    return reading(number) in map(reading, abroad) or _is_national(number, digits)


def _is_national(number: str, digits: str) -> bool:
    import phonenumbers

    match = phonenumbers.is_number_match(number, digits)
    return match in (phonenumbers.MatchType.NSN_MATCH, phonenumbers.MatchType.EXACT_MATCH)


def country_of(number: str) -> str | None:
    """The country of a number (E.164) as ISO 3166-1 has it (``SE``); ``None`` where it isn't of one."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    return region or next((one for one in phonenumbers.region_codes_for_country_code(parsed.country_code or 0) if one != "001"), None)


class NumberKind(Enum):
    """What a number is, as far as its country's plan says it."""

    UNKNOWN = "Unknown"
    FIXED = "Fixed"
    MOBILE = "Mobile"
    OTHER = "Other"


def kind_of(number: str) -> NumberKind:
    """What a number (E.164) is."""
    import phonenumbers

    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return NumberKind.UNKNOWN
    types = phonenumbers.PhoneNumberType
    known = {types.FIXED_LINE: NumberKind.FIXED, types.MOBILE: NumberKind.MOBILE, types.UNKNOWN: NumberKind.UNKNOWN}
    return known.get(kind, NumberKind.UNKNOWN if kind == types.FIXED_LINE_OR_MOBILE else NumberKind.OTHER)


def prefix_reading(prefix: str) -> str:
    """The beginning of the readings of all numbers that begin so: ``+460900`` is ``+46900``."""
    import phonenumbers

    for digits in (1, 2, 3):
        code = prefix[1 : digits + 1]
        regions = phonenumbers.region_codes_for_country_code(int(code)) if code.isdecimal() and len(code) == digits else ()
        if regions:
            metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(code), regions[0])
            national = prefix[digits + 1 :]
            takes_zero = metadata is not None and metadata.national_prefix == "0"
            return f"+{code}{national.lstrip('0') if takes_zero else national}"
    return prefix


def refuse_well_known_emergency(digits: str) -> None:
    """Raises DestinationError for digits that mean help wherever somebody types them."""
    if digits in _WELL_KNOWN_EMERGENCY:
        raise emergency(digits)


def _refuse_short_emergency(digits: str) -> None:
    from phonenumbers import is_emergency_number
    from phonenumbers.shortnumberinfo import SUPPORTED_SHORT_REGIONS

    if len(digits) < MIN_DIGITS and any(is_emergency_number(digits, region) for region in SUPPORTED_SHORT_REGIONS):
        raise emergency(digits)


def emergency(number: str) -> DestinationError:
    """Why an emergency number isn't dialled."""
    return DestinationError(
        f"{number} is an emergency number: sinchphone can't reach emergency services", hint="use a telephone to call for help"
    )
