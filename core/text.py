"""Text from outside, made fit to be stored."""


def storable(text: str) -> str:
    """Return `text` without what PostgreSQL can't hold: NUL goes, half a surrogate pair becomes U+FFFD."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
