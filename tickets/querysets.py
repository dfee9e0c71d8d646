"""Chainable filters over tickets."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q

from accounts.models import User
from accounts.queries import scope_of
from accounts.rules import Reach, Scope, Verb

if TYPE_CHECKING:
    from tickets.models import Ticket  # noqa: F401

OPEN = ("new", "open", "waiting", "hold")


def scope_filter(scope: Scope) -> Q:
    """Turn a frozen Scope into a filter over tickets; a scope that reaches nothing matches nothing."""
    if scope.reach == Reach.ALL:
        return Q()
    own = Q(requester_id=scope.user_id)
    match scope.reach:
        case Reach.TEAMS:
            return own | Q(assignee_id=scope.user_id) | Q(team_id__in=scope.team_ids)
        case Reach.ORGANISATIONS:
            return own | Q(organisation_id__in=scope.organisation_ids)
        case Reach.OWN:
            return own
        case _:
            return Q(pk__in=())


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Tickets, narrowed by what the caller may see and wants."""

    def visible_to(self, user: User | AnonymousUser) -> "TicketQuerySet":
        """Keep the tickets `user` may see (DESIGN 2: deny by default)."""
        return self.within(scope_of(user, Verb.VIEW))

    def within(self, scope: Scope) -> "TicketQuerySet":
        """Keep the tickets inside `scope`."""
        return self.filter(scope_filter(scope))

    def open(self) -> "TicketQuerySet":
        """Keep open tickets that live here (imported history is not open work)."""
        return self.filter(status__in=OPEN, historic=False)

    def due_before(self, at: dt.datetime) -> "TicketQuerySet":
        return self.filter(next_due_at__lt=at)

    def unacknowledged(self) -> "TicketQuerySet":
        return self.filter(unacknowledged_since__isnull=False)

    def for_list(self) -> "TicketQuerySet":
        """Fetch what a list row shows, in one query."""
        return self.select_related("requester", "organisation", "team", "assignee", "service", "category")

    def by_urgency(self) -> "TicketQuerySet":
        """Order by the next deadline, tickets without one last."""
        return self.order_by(models.F("next_due_at").asc(nulls_last=True), "id")

    def lock(self, ids: Any) -> "TicketQuerySet":
        """Lock these tickets in id order; the ticket row is the lock for all that belongs to it."""
        return self.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
