"""Follow a ticket, a service or an organisation's SEV1s, and stop."""

import datetime as dt

from accounts.models import Organisation, User
from accounts.operations import permit
from accounts.queries import scope_of
from accounts.rules import Reach, Verb
from core.errors import NotAllowed, Refused
from notifications.models import Watch
from notifications.operations.outbox import withdraw
from tickets.models import Service, Ticket


def watch(
    *,
    user: User,
    now: dt.datetime,
    ticket: Ticket | None = None,
    service: Service | None = None,
    organisation: Organisation | None = None,
) -> Watch:
    """Let a person follow one ticket, one service, or the SEV1s of one organisation; said twice it counts once.

    They hear of what happens from now on, as far as they may see it. Raises NotAllowed, Refused.
    """
    permit(user, Verb.VIEW)
    if sum(subject is not None for subject in (ticket, service, organisation)) != 1:
        raise Refused("Follow what?", field="watch", mend="Name a ticket, a service or an organisation.")
    if ticket is not None and not Ticket.objects.filter(pk=ticket.pk).visible_to(user).exists():
        raise _not_yours("ticket", f"#{ticket.pk}")
    if service is not None:
        # Requesters see their own tickets only; what else happens to a service is not theirs to read.
        permit(user, Verb.READ_NOTES)
    if organisation is not None and not _sees(user, organisation):
        raise _not_yours("organisation", organisation.name)
    row, _ = Watch.objects.get_or_create(
        user=user, ticket=ticket, service=service, organisation=organisation, defaults={"created_at": now}
    )
    return row


def unwatch(*, watch_id: int, user: User, now: dt.datetime) -> bool:
    """Stop following, and call off what waits in the outbox for it; tell whether there was anything to stop.

    Nobody stops for somebody else.
    """
    count, _ = Watch.objects.filter(pk=watch_id, user=user).delete()
    if count:
        withdraw(groups=[watch_group(watch_id)], now=now)
    return bool(count)


def watch_group(watch_id: int) -> str:
    """Return what a watch's messages are withdrawn by."""
    return f"watch:{watch_id}"


def _sees(user: User, organisation: Organisation) -> bool:
    scope = scope_of(user, Verb.VIEW)
    return scope.reach == Reach.ALL or organisation.pk in scope.organisation_ids


def _not_yours(field: str, value: str) -> NotAllowed:
    return NotAllowed(
        f"{value} is not among what you see.", field=field, value=value, mend="Follow what you can see."
    )
