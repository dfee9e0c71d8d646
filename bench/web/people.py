"""In a worker beside a bench's web process: sign people in, make conversations long, keep the engines looking alive."""

import datetime as dt
import hashlib

from django.conf import settings
from django.db import transaction
from django.test import Client

from accounts.models import Role, User
from core.db import database_now
from helpdesk import static
from notifications.history import record_sent
from tickets.models import Entry, EntryKind, Ticket
from tickets.operations import add_entry

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
WORDS = (
    "Looked at it together with the person concerned: it happens on two machines out of five, always shortly after "
    "they wake up.\n\nThe log shows three time-outs at 09:14, 09:20 and 09:31; the next look is at noon.\n"
)


def collect_static() -> None:
    """Collect static files unless they are as they were; they serve all of a bench's web processes."""
    static.collect()


def sign_in(*, agents: int, leads: int) -> dict[str, list[str]]:
    """Return the session keys of so many agents, of all teams, and leads; by role."""
    sessions = {}
    for role, count in ((Role.AGENT, agents), (Role.LEAD, leads)):
        people = list(User.objects.filter(role=role).order_by("pk"))
        # Of all teams, not all of the first.
        step = max(len(people) // max(count, 1), 1)
        sessions[str(role.value)] = [session_of(user) for user in people[::step][:count]]
    return sessions


def session_of(user: User) -> str:
    """Sign a person in and return the session's key."""
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def write_long(*, tickets: int, entries: int) -> list[int]:
    """Make the conversations of some open tickets that long, by the real operation; return their numbers."""
    chosen = sample(tickets, salt="long")
    began = database_now()
    agents = list(User.objects.filter(role=Role.AGENT).order_by("pk")[:5])
    before, settings.BELAY_WAKE = settings.BELAY_WAKE, False
    try:
        for pk in chosen:
            now = database_now()
            with transaction.atomic():
                for number in range(entries - Entry.objects.filter(ticket=pk).count()):
                    add_entry(
                        ticket_id=pk,
                        kind=EntryKind.NOTE if number % 3 else EntryKind.REPLY,
                        body=WORDS * (1 + number % 4),
                        actor=agents[number % len(agents)],
                        now=now + dt.timedelta(milliseconds=number),
                    )
    finally:
        settings.BELAY_WAKE = before
    # Nobody is to be told of them: pages are measured here, not delivery.
    record_sent(before=began + dt.timedelta(hours=1))
    return chosen


def sample(count: int, *, salt: str) -> list[int]:
    """Return that many open tickets' numbers, scattered over all, the same in each run."""
    first, last = Ticket.objects.order_by("pk").first(), Ticket.objects.order_by("-pk").first()
    assert first is not None
    assert last is not None
    numbers: list[int] = []
    turn = 0
    while len(numbers) < count:
        turn += 1
        digest = hashlib.sha256(f"{salt}{turn}".encode()).digest()
        near = first.pk + int.from_bytes(digest[:8]) % (last.pk - first.pk + 1)
        found = Ticket.objects.open().filter(pk__gte=near).order_by("pk").values_list("pk", flat=True).first()
        if found is not None and found not in numbers:
            numbers.append(found)
    return numbers


def tick() -> None:
    """Let both engines tick with nothing due, so that pages find them alive, as in an installation that runs."""
    from escalation.engine import tick as escalation_tick
    from notifications.engine import tick as notifications_tick

    escalation_tick()
    notifications_tick()
