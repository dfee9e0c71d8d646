"""The alarm that leads and admins read on every page when the engine is behind (DESIGN 4, the watchdog)."""

import datetime as dt
from dataclasses import dataclass

from accounts.models import User
from accounts.rules import Verb
from core.durations import spoken
from escalation import watchdog
from escalation.rules.alive import Vitals, alarm


@dataclass(frozen=True, slots=True)
class Banner:
    """What is wrong, and what to do about it."""

    what: str
    words: str
    mend: str


_WATCH = "Until then watch the board and call people yourself."
_ENGINE = (
    "Look whether the processes engine, beat and pacemaker run and the database answers; /readyz says what is late. "
    f"{_WATCH} See “The engine is behind” in docs/operations.md."
)
_DELIVERY = (
    "Look whether the process delivery runs and the mail server answers. "
    f"{_WATCH} See “Messages are not sent” in docs/operations.md."
)
_WORDS = {
    "behind": ("The engine is {age} behind: escalations are late.", _ENGINE),
    "still": ("The engine last ran {age} ago: nothing escalates when it is due.", _ENGINE),
    "never": ("The engine has never run: nothing escalates.", _ENGINE),
    "outbox": ("Messages have been waiting for {age}: people are told late.", _DELIVERY),
    "delivery_still": ("Delivery last ran {age} ago: nobody is told.", _DELIVERY),
    "delivery_never": ("Delivery has never run: nobody is told.", _DELIVERY),
}


def hears_alarms(user: object) -> bool:
    """Tell whether the engine's troubles are this person's to know."""
    return isinstance(user, User) and user.may(Verb.LEAD)


def banner(vitals: Vitals | None) -> Banner | None:
    """Return the alarm in words, None while all is well."""
    found = alarm(vitals) if vitals is not None else None
    if found is None:
        return None
    words, mend = _WORDS[found.what]
    return Banner(found.what, words.format(age=spoken(dt.timedelta(seconds=found.seconds))), mend)


def wants_look(user: object) -> bool:
    """Tell whether a page for this person has to look at the engines: what was seen last is too old."""
    return hears_alarms(user) and watchdog.kept() is None
