"""Every change to on-call schedules: rotations, overrides, time off, and the private calendar feeds.

A schedule is resolved fresh at each telling, so a change holds from its commit on; nothing running is moved by it.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Team, User, check_time_zone
from accounts.operations import permit
from accounts.rules import Verb
from calendars.models import Calendar
from core.errors import NotAllowed, Refused
from notifications.models import (
    CalendarFeed,
    Contact,
    OnCallOverride,
    OnCallSchedule,
    Rotation,
    RotationMember,
    RotationWindow,
    TimeOff,
)
from notifications.rules.rotation import UNITS, Window

Kind = OnCallOverride.Kind
# Longer than anybody plans, and short enough that every page can lay it out.
LONGEST = dt.timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What a rotation says: who takes turns, of what length, from when on, and in which windows it is on call at all.

    `starts_on`, `ends_on` and `handoff_time` are on the wall clock of the schedule. People of one group are on call
    together.
    """

    name: str
    groups: Sequence[Sequence[Contact]]
    unit: str
    starts_on: dt.date
    handoff_time: dt.time
    length: int = 1
    level: int = 1
    windows: Sequence[Window] = ()
    ends_on: dt.date | None = None
    aligned: bool = False


def create_schedule(
    *,
    name: str,
    time_zone: str,
    actor: User | None,
    team: Team | None = None,
    tier: int | None = None,
    description: str = "",
    covers: Calendar | None = None,
) -> OnCallSchedule:
    """Create a schedule on which nobody is on call yet. Raises NotAllowed, Refused."""
    permit(actor, Verb.LEAD)
    _check_schedule(name, time_zone, None)
    return OnCallSchedule.objects.create(
        name=name.strip(),
        time_zone=time_zone,
        team=team,
        tier=tier,
        description=description.strip(),
        covers=covers,
    )


def change_schedule(
    *,
    schedule: OnCallSchedule,
    name: str,
    time_zone: str,
    actor: User | None,
    team: Team | None = None,
    tier: int | None = None,
    description: str = "",
    covers: Calendar | None = None,
    is_active: bool = True,
) -> OnCallSchedule:
    """Write a schedule anew; in another zone its rotations hand over at the same times on that wall clock.

    Switched off it has nobody on call. Raises NotAllowed, Refused.
    """
    permit(actor, Verb.LEAD)
    _check_schedule(name, time_zone, schedule)
    schedule.name, schedule.time_zone, schedule.team = name.strip(), time_zone, team
    schedule.tier, schedule.description, schedule.is_active = tier, description.strip(), is_active
    schedule.covers = covers
    schedule.save()
    return schedule


def save_rotation(
    *, schedule: OnCallSchedule, turns: Turns, actor: User | None, rotation: Rotation | None = None
) -> Rotation:
    """Write a rotation of a schedule, or write `rotation` anew. Raises NotAllowed, Refused."""
    permit(actor, Verb.LEAD)
    _check_turns(schedule, turns, rotation)
    with transaction.atomic():
        # Whoever reads a schedule meanwhile sees the old rotation or the new one, never half of it.
        row = rotation or Rotation(schedule=schedule)
        row.name, row.level, row.unit, row.length = turns.name.strip(), turns.level, turns.unit, turns.length
        row.starts_on, row.handoff_time, row.ends_on = turns.starts_on, turns.handoff_time, turns.ends_on
        row.aligned = turns.aligned
        row.save()
        row.windows.all().delete()
        row.members.all().delete()
        RotationWindow.objects.bulk_create(
            [
                RotationWindow(rotation=row, days=sorted(window.days), start=window.start, end=window.end)
                for window in turns.windows
            ]
        )
        RotationMember.objects.bulk_create(
            [
                RotationMember(rotation=row, contact=contact, position=position)
                for position, group in enumerate(turns.groups, start=1)
                for contact in group
            ]
        )
    return row


def remove_rotation(*, rotation: Rotation, actor: User | None) -> None:
    """Take a rotation off its schedule. Raises NotAllowed."""
    permit(actor, Verb.LEAD)
    rotation.delete()


def add_override(
    *,
    schedule: OnCallSchedule,
    kind: str,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    actor: User | None,
    now: dt.datetime,
    contact: Contact | None = None,
    replaces: Contact | None = None,
    note: str = "",
) -> OnCallOverride:
    """Put somebody on call for once, or take somebody off; `contact` comes, `replaces` goes.

    Leads may for anybody; an agent may come on call themselves, also for somebody else. Raises NotAllowed, Refused.
    """
    if kind not in Kind.values:
        raise Refused(
            f"“{kind}” is no kind of override.", field="kind", value=kind, mend=f"Take {', '.join(Kind)}."
        )
    if actor is not None and not actor.may(Verb.LEAD):
        own = contact is not None and contact.user_id == actor.pk and kind in (Kind.ADD, Kind.REPLACE)
        if not own or not actor.may(Verb.ACKNOWLEDGE):
            raise NotAllowed(
                "Only a lead puts others on call, or takes anybody off.",
                field="contact",
                value=str(contact or ""),
                mend="Take a shift yourself, or ask a lead.",
            )
    _check_span(starts_at, ends_at, now)
    wants_contact, wants_replaced = kind != Kind.REMOVE, kind in (Kind.REPLACE, Kind.REMOVE)
    _check_person("contact", contact, wanted=wants_contact, what="Who comes on call?")
    _check_person("replaces", replaces, wanted=wants_replaced, what="Who is taken off?")
    if contact is not None and contact == replaces:
        raise Refused(
            f"{contact} can't take over from {contact}.",
            field="contact",
            value=contact.name,
            mend="Choose two people.",
        )
    return OnCallOverride.objects.create(
        schedule=schedule,
        kind=kind,
        starts_at=starts_at,
        ends_at=ends_at,
        contact=contact,
        replaces=replaces,
        note=note.strip(),
        created_by=actor,
    )


def remove_override(*, override: OnCallOverride, actor: User | None, now: dt.datetime) -> None:
    """Take an override back; one that has begun ends now, so that the past stays as it was. Raises NotAllowed."""
    mine = actor is not None and override.created_by_id == actor.pk
    if not mine:
        permit(actor, Verb.LEAD)
    _end(override, now)


def add_time_off(
    *,
    contact: Contact,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    actor: User | None,
    now: dt.datetime,
    substitute: Contact | None = None,
    note: str = "",
) -> TimeOff:
    """Note that somebody is away; on every schedule the substitute has their turns. Raises NotAllowed, Refused."""
    _check_own(contact, actor)
    _check_span(starts_at, ends_at, now)
    _check_person("contact", contact, wanted=True, what="Who is away?")
    if substitute is not None:
        _check_person("substitute", substitute, wanted=True, what="Who stands in?")
        if substitute == contact:
            raise Refused(
                "Nobody stands in for themselves.",
                field="substitute",
                value=substitute.name,
                mend="Choose somebody else, or nobody.",
            )
    return TimeOff.objects.create(
        contact=contact, starts_at=starts_at, ends_at=ends_at, substitute=substitute, note=note.strip()
    )


def remove_time_off(*, time_off: TimeOff, actor: User | None, now: dt.datetime) -> None:
    """Take time off back; what has begun ends now, so that the past stays as it was. Raises NotAllowed."""
    _check_own(time_off.contact, actor)
    _end(time_off, now)


def feed_of(*, user: User, schedule: OnCallSchedule | None) -> CalendarFeed:
    """Return a person's private feed of their own shifts (no schedule) or of one schedule, made when there is none."""
    return CalendarFeed.objects.get_or_create(user=user, schedule=schedule, defaults={"nonce": uuid.uuid4()})[
        0
    ]


def renew_feed(*, feed: CalendarFeed, actor: User) -> CalendarFeed:
    """Give a feed a new address; whoever has the old one gets nothing any more. Raises NotAllowed."""
    if feed.user_id != actor.pk:
        raise NotAllowed("This feed is somebody else's.", field="feed", mend="Renew your own.")
    feed.nonce = uuid.uuid4()
    feed.save(update_fields=["nonce"])
    return feed


def _end(row: OnCallOverride | TimeOff, now: dt.datetime) -> None:
    if row.starts_at >= now:
        row.delete()
    elif row.ends_at > now:
        row.ends_at = now
        row.save(update_fields=["ends_at"])


def _check_own(contact: Contact, actor: User | None) -> None:
    mine = actor is not None and contact.user_id == actor.pk and actor.may(Verb.ACKNOWLEDGE)
    if not mine:
        permit(actor, Verb.LEAD)


def _check_span(starts_at: dt.datetime, ends_at: dt.datetime, now: dt.datetime) -> None:
    if ends_at <= starts_at:
        raise Refused(
            "It ends before it has begun.",
            field="ends_at",
            value=ends_at.isoformat(),
            mend="Give a later end.",
        )
    if ends_at <= now:
        raise Refused(
            "It is over already.",
            field="ends_at",
            value=ends_at.isoformat(),
            mend="Give an end that is to come.",
        )
    if ends_at - starts_at > LONGEST:
        raise Refused(
            "It lasts longer than a year.",
            field="ends_at",
            value=ends_at.isoformat(),
            mend="Give an earlier end; change the rotation for what is to stay.",
        )


def _check_person(field: str, contact: Contact | None, *, wanted: bool, what: str) -> None:
    if contact is None:
        if wanted:
            raise Refused(what, field=field, mend="Choose a person.")
        return
    if not wanted:
        raise Refused(
            "Nobody is named here for this kind of override.",
            field=field,
            value=contact.name,
            mend="Leave it empty.",
        )
    if contact.kind != Contact.Kind.PERSON:
        raise Refused(
            f"{contact} is no person.", field=field, value=contact.name, mend="Only people are on call."
        )
    if not contact.is_active:
        raise Refused(
            f"{contact} is switched off as a contact.",
            field=field,
            value=contact.name,
            mend="Switch the contact on, or choose somebody else.",
        )


def _check_schedule(name: str, time_zone: str, schedule: OnCallSchedule | None) -> None:
    name = name.strip()
    if not name:
        raise Refused("A schedule needs a name.", field="name", value=name, mend="Say whose it is.")
    twins = OnCallSchedule.objects.filter(name=name)
    if schedule is not None:
        twins = twins.exclude(pk=schedule.pk)
    if twins.exists():
        raise Refused(
            f"There is a schedule “{name}” already.", field="name", value=name, mend="Take another name."
        )
    try:
        check_time_zone(time_zone)
    except ValidationError as error:
        raise Refused(
            error.messages[0], field="time_zone", value=time_zone, mend="Take one of the names offered."
        ) from error


def _check_turns(schedule: OnCallSchedule, turns: Turns, rotation: Rotation | None) -> None:
    name = turns.name.strip()
    if not name:
        raise Refused("A rotation needs a name.", field="name", value=turns.name, mend="Give one.")
    twins = Rotation.objects.filter(schedule=schedule, name=name)
    if rotation is not None:
        twins = twins.exclude(pk=rotation.pk)
    if twins.exists():
        raise Refused(
            f"{schedule} has a rotation “{name}” already.",
            field="name",
            value=name,
            mend="Take another name.",
        )
    if turns.unit not in UNITS:
        raise Refused(
            f"“{turns.unit}” is no unit of a turn.",
            field="unit",
            value=turns.unit,
            mend=f"Take {', '.join(UNITS)}.",
        )
    if not 1 <= turns.length <= 1000:
        raise Refused(
            f"A turn can't last {turns.length} of them.",
            field="length",
            value=turns.length,
            mend="Take a number from 1 to 1000.",
        )
    if turns.ends_on is not None and turns.ends_on <= turns.starts_on:
        raise Refused(
            "The rotation ends before it has begun.",
            field="ends_on",
            value=turns.ends_on.isoformat(),
            mend="Give a later day, or none.",
        )
    _check_groups(turns.groups)
    for window in turns.windows:
        if not window.days or not window.days <= frozenset(range(7)):
            raise Refused("A window needs days.", field="windows", mend="Tick at least one day.")


def _check_groups(groups: Sequence[Sequence[Contact]]) -> None:
    if not groups:
        raise Refused("Nobody takes a turn.", field="groups", mend="Name at least one person.")
    for place, group in enumerate(groups, start=1):
        if not group:
            raise Refused(
                f"Nobody has turn {place}.",
                field="groups",
                value=place,
                mend="Name somebody, or leave it out.",
            )
        for contact in group:
            _check_person("groups", contact, wanted=True, what="")
        if len({contact.pk for contact in group}) != len(group):
            raise Refused(
                f"Somebody stands twice in turn {place}.",
                field="groups",
                value=place,
                mend="Name everybody once a turn.",
            )
