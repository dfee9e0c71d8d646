"""Which tickets the portal shows to whom: one's own, and the organisation's to those who follow it."""

from django.db.models import Exists, OuterRef, Q
from django.http import Http404

from accounts.models import User
from accounts.rules import Verb
from notifications.models import Watch
from tickets.models import Ticket
from tickets.querysets import TicketQuerySet


class SeenAtTheDesk(Exception):
    """Say that this person works on the ticket and sees it at the desk instead."""


def follows_organisation(user: User) -> bool:
    """Tell whether this person follows all tickets of their organisation."""
    return user.sees_organisation and user.organisation_id is not None


def portal_tickets(user: User, *, everybody: bool = True) -> TicketQuerySet:
    """Return the tickets that `user` sees in the portal; without `everybody` only those opened for them.

    Narrower than what agents see at the desk: in the portal everybody is a requester.
    """
    mine = Q(requester=user)
    if everybody and follows_organisation(user):
        mine |= Q(organisation_id=user.organisation_id)
    return Ticket.objects.visible_to(user).filter(mine)


def portal_ticket(user: User, pk: int) -> Ticket:
    """Return one ticket of the portal with what its page shows.

    Raises Http404 for any other ticket, whether it exists or not, and SeenAtTheDesk for people who work on it.
    """
    followed = Exists(Watch.objects.filter(user=user, ticket=OuterRef("pk")))
    ticket = portal_tickets(user).for_list().annotate(followed=followed).filter(pk=pk).first()
    if ticket is not None:
        return ticket
    if user.may(Verb.WORK) and Ticket.objects.visible_to(user).filter(pk=pk).exists():
        raise SeenAtTheDesk
    raise Http404("no such ticket of yours")
