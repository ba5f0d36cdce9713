"""Halves of surrogate pairs, which JSON can spell one by one and no encoding of text can write."""


def has_halves(text: str) -> bool:
    """Whether `text` holds half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def join_halves(text: str) -> str:
    """Halves that stand together made one character; one that stands alone is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if has_halves(text) else text


def is_high_half(character: str) -> bool:
    """Whether the other half is still to come."""
    return "\ud800" <= character <= "\udbff"
