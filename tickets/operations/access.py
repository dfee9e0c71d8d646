"""Lock tickets for a person, who must be allowed to do this to each of them."""

from collections.abc import Iterable

from accounts.models import User
from accounts.operations import permit
from accounts.queries import scope_of
from accounts.rules import Reach, Verb
from core.errors import NotAllowed
from tickets.models import Ticket
from tickets.timeline import Work


def hold(work: Work, ticket_ids: Iterable[int], *, actor: User | None, verb: Verb) -> list[Ticket]:
    """Lock these tickets in id order for `actor` and return them; one query more where the actor's reach is limited.

    Tickets that an outer operation holds already were decided about there: a contact who takes a ticket by
    acknowledging it may belong to no team that sees it. Raises NotAllowed (role, or a ticket out of reach) and
    Ticket.DoesNotExist.
    """
    permit(actor, verb)
    wanted = set(ticket_ids)
    fresh = wanted - work.tickets.keys()
    tickets = work.lock(wanted)
    _check_reach(fresh, actor, verb)
    return tickets


def check_reach(ticket_id: int, *, actor: User | None, verb: Verb) -> None:
    """Refuse a ticket that `actor` doesn't reach with `verb`, without locking it. Raises NotAllowed."""
    permit(actor, verb)
    _check_reach({ticket_id}, actor, verb)


def _check_reach(ticket_ids: set[int], actor: User | None, verb: Verb) -> None:
    scope = scope_of(actor, verb) if actor is not None and ticket_ids else None
    if scope is None or actor is None or scope.reach == Reach.ALL:
        return
    within = set(Ticket.objects.within(scope).filter(pk__in=ticket_ids).values_list("pk", flat=True))
    if beyond := ticket_ids - within:
        raise NotAllowed(
            f"#{min(beyond)} is not among the tickets that {actor} reaches.",
            field="ticket",
            value=min(beyond),
            mend="Ask somebody of the team that holds it.",
        )
