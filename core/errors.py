"""What every refusal tells: the field, the value and the mend."""

from typing import Any

from core.text import storable


class Refused(Exception):
    """Say that an operation declines its input; nothing has been written.

    `field` names the input, `value` is what came, `mend` says what would be accepted. Doors (page, API,
    admin, command) show the three together, so that nobody has to guess.
    """

    status = 400

    def __init__(self, message: str, *, field: str = "", value: Any = None, mend: str = "") -> None:
        # What was refused may be the very text that nothing can hold; doors show it all the same.
        message = storable(message)
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = storable(value) if isinstance(value, str) else value
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} {self.mend}".strip()


class NotAllowed(Refused):
    """Say that this person may not do this."""

    status = 403


class Conflict(Refused):
    """Say that the thing has changed since the person looked at it."""

    status = 409
