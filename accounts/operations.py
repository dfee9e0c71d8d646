"""Every change to people, teams and organisations."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Model, Q

from accounts.models import Membership, Organisation, Role, Team, User
from accounts.rules import Verb, clean_domains, clean_email
from core.errors import NotAllowed, Refused
from core.text import storable


class EmailTaken(Refused):
    """Say that somebody else signs in by this address."""


def permit(actor: User | None, verb: Verb) -> None:
    """Refuse when the actor's role does not allow `verb`; no actor means Belay itself.

    Raises NotAllowed. Which tickets a person may see is decided where they are fetched, by the Scope.
    """
    if actor is not None and not actor.may(verb):
        raise NotAllowed(
            f"{actor} ({actor.get_role_display()}) may not {verb.replace('_', ' ')}.",
            field="actor",
            value=actor.email,
            mend="Ask a lead or an admin.",
        )


def create_user(
    *,
    email: str,
    name: str,
    role: str = Role.REQUESTER,
    password: str | None = None,
    organisation: Organisation | None = None,
    time_zone: str = "UTC",
) -> User:
    """Create a person who signs in by `email`; without a password they set one by mail.

    Raises Refused (a bad address, role or time zone) and EmailTaken.
    """
    email = clean_email(email)
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refused(
            f"“{email}” is no email address.", field="email", value=email, mend="Write name@example.org."
        ) from error
    if role not in Role.values:
        raise Refused(
            f"“{role}” is no role.", field="role", value=role, mend=f"Take one of {', '.join(Role.values)}."
        )
    user = User(
        email=email,
        name=name.strip() or email.split("@")[0],
        role=role,
        organisation=organisation or organisation_for(email),
        time_zone=time_zone,
    )
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    # Names come from mail headers, too.
    user.name = storable(user.name)
    _check_fields(user, exclude=["password", "organisation"])
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        if "email" not in str(error):
            raise
        raise EmailTaken(
            "This email address is taken.", field="email", value=email, mend="Sign in, or use another one."
        ) from error
    return user


def organisation_for(email: str) -> Organisation | None:
    """Return the organisation that claims the address's domain, the oldest one if several do."""
    domain = clean_email(email).rpartition("@")[2]
    return Organisation.objects.filter(domains__contains=[domain]).order_by("pk").first() if domain else None


def create_organisation(*, name: str, domains: Iterable[str] = (), vip: bool = False) -> Organisation:
    """Create an organisation; who writes from one of its `domains` belongs to it. Raises Refused."""
    organisation = Organisation(name=storable(name).strip(), domains=clean_domains(domains), vip=vip)
    _check_fields(organisation)
    _insert(organisation)
    return organisation


def create_team(
    *, name: str, tier: int, lead: User | None = None, capacity: int = 20, members: Iterable[User] = ()
) -> Team:
    """Create a team of one tier with its members; the lead need not be a member. Raises Refused."""
    team = Team(name=storable(name).strip(), tier=tier, lead=lead, capacity=capacity)
    _check_fields(team)
    with transaction.atomic():
        _insert(team)
        Membership.objects.bulk_create(
            [Membership(team=team, user=user) for user in members], ignore_conflicts=True
        )
    return team


# What `change_user` takes; all else of a person has a door of its own.
CHANGEABLE = (
    "email",
    "name",
    "role",
    "organisation",
    "sees_organisation",
    "only_own_teams",
    "time_zone",
    "language",
    "is_active",
    "at_work",
)


def change_user(
    *,
    user_id: int,
    changes: Mapping[str, Any],
    actor: User | None,
    team_ids: Collection[int] | None = None,
    password: str | None = None,
) -> User:
    """Change a person's details, teams (None: as they are) and password (None: as it is).

    Locks all active admins and the person, in id order: the last admin can be neither demoted nor switched off. Raises
    NotAllowed, Refused and EmailTaken.
    """
    permit(actor, Verb.ADMINISTER)
    if unknown := set(changes) - set(CHANGEABLE):
        raise Refused(f"“{min(unknown)}” can't be changed.", field=min(unknown), mend=", ".join(CHANGEABLE))
    try:
        with transaction.atomic():
            concerned = Q(pk=user_id) | Q(role=Role.ADMIN, is_active=True)
            people = {
                u.pk: u for u in User.objects.filter(concerned).select_for_update(no_key=True).order_by("pk")
            }
            user = people.get(user_id)
            if user is None or user.anonymised_at is not None:
                raise Refused(
                    "There is no such person.", field="user", value=user_id, mend="Choose one of the list."
                )
            was_admin = user.is_staff
            for field, value in changes.items():
                setattr(user, field, clean_email(value) if field == "email" else value)
            if was_admin and not user.is_staff and not any(u.is_staff for u in people.values()):
                raise Refused(
                    f"{user} is the last admin.",
                    field="role" if user.is_active else "is_active",
                    value=user.role,
                    mend="Make somebody else an admin first.",
                )
            if password is not None:
                user.set_password(password)
            _check_fields(user, exclude=["password"])
            user.save()
            if team_ids is not None:
                Membership.objects.filter(user=user).exclude(team_id__in=team_ids).delete()
                Membership.objects.bulk_create(
                    [Membership(user=user, team_id=team_id) for team_id in team_ids], ignore_conflicts=True
                )
            return user
    except IntegrityError as error:
        if "email" not in str(error):
            raise
        raise EmailTaken(
            "This email address is taken.",
            field="email",
            value=changes.get("email"),
            mend="Use another one, or change that person.",
        ) from error


def _insert(row: Organisation | Team) -> None:
    """Insert a row whose name must be its own; another one of that name is refused, also in a race."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if "name" not in str(error):
            raise
        raise Refused(
            f"There is “{row.name}” already.", field="name", value=row.name, mend="Take another name."
        ) from error


def _check_fields(row: Model, *, exclude: Collection[str] = ()) -> None:
    """Refuse what the fields don't take (too long, no choice of theirs); what is unique the database decides."""
    try:
        row.full_clean(exclude=set(exclude), validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Refused(messages[0], field=field, value=getattr(row, field, None)) from error
