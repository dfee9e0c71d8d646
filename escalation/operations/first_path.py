"""The path an empty house starts with, so that its very first ticket already has a clock and a next person."""

import datetime as dt

from accounts.models import Team, Tier, User
from accounts.operations import create_team
from calendars.models import Calendar
from escalation.models import EscalationPath, PathVersion, Step
from escalation.operations.publishing import publish_path
from escalation.rules.specs import PathSpec, PromiseSpec, StepSpec
from notifications.models import ContactList
from notifications.operations import contacts_for, create_contact_list

_MINUTE = dt.timedelta(minutes=1)
_HOUR = dt.timedelta(hours=1)
# Per severity: time at the service desk, time to acknowledge above it, time there.
_TIMES = {
    1: (30 * _MINUTE, 15 * _MINUTE, 4 * _HOUR),
    2: (2 * _HOUR, 30 * _MINUTE, 8 * _HOUR),
    3: (8 * _HOUR, 2 * _HOUR, 24 * _HOUR),
    4: (24 * _HOUR, 8 * _HOUR, 72 * _HOUR),
}
_PROMISES = {
    1: PromiseSpec(first_response=15 * _MINUTE, next_response=_HOUR, resolution=4 * _HOUR),
    2: PromiseSpec(first_response=_HOUR, next_response=2 * _HOUR, resolution=12 * _HOUR),
    3: PromiseSpec(first_response=4 * _HOUR, next_response=8 * _HOUR, resolution=48 * _HOUR),
    4: PromiseSpec(first_response=8 * _HOUR, next_response=24 * _HOUR, resolution=120 * _HOUR),
}


def ensure_default_path(*, admin: User, now: dt.datetime) -> PathVersion | None:
    """Publish a first default path, from a service desk to `admin`, unless there is any path; return what was made.

    Counts round the clock. It is meant to be edited: the linter says what a real house still misses.
    """
    if EscalationPath.objects.exists():
        return None
    desk = Team.objects.filter(tier=Tier.L1, is_active=True).order_by("pk").first()
    desk = desk or create_team(name="Service desk", tier=Tier.L1, lead=admin, members=[admin])
    contact = contacts_for([admin])[admin.pk]
    admins = ContactList.objects.filter(name="Admins").first() or create_contact_list(
        name="Admins", entries=[(contact, "When the service desk has run out of time.")]
    )
    spec = PathSpec(
        name="Standard",
        description="The first path: from the service desk to the admin. Add the tiers you have.",
        is_default=True,
        calendar_id=Calendar.objects.get(is_built_in=True).pk,
        fallback_contact_id=contact.pk,
        promises=_PROMISES,
        steps=(
            StepSpec(
                name="Service desk",
                tier=Tier.L1,
                team_id=desk.pk,
                targets={severity: (None, desk_time) for severity, (desk_time, _, _) in _TIMES.items()},
            ),
            StepSpec(
                name="Admins",
                tier=Tier.MANAGEMENT,
                mode=Step.Mode.INVOLVES,
                contact_list_ids=(admins.pk,),
                wait=5 * _MINUTE,
                targets={severity: (answer, work) for severity, (_, answer, work) in _TIMES.items()},
            ),
        ),
    )
    return publish_path(path_id=None, spec=spec, actor=None, now=now)
