"""Whether texts from outside are ones. Pure."""


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: JSON can smuggle in lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
