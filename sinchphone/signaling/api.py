"""Which of the platform's two REST dialects is spoken."""

from enum import StrEnum


class Api(StrEnum):
    """The REST dialects that Sinch's platform has had."""

    OCRA = "ocra"
    PAPI = "papi"  # the older one; it has instant messages
