"""Who leads, who owns, who may acknowledge; and how Belay reaches them."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q

from accounts.models import Team, User
from accounts.queries import active_admins, members_of
from accounts.rules import Verb
from escalation.operations.groups import personal_group
from escalation.operations.state import State
from notifications.models import Contact, ContactListEntry, Notification
from notifications.operations import Message, contacts_for
from notifications.queries import methods_of, people_on_call


def leads_of(states: Iterable[State]) -> dict[int, User]:
    """Return each ticket's lead: its team's, else the step's team's; in one query."""
    wanted = list(states)
    ids = {s.ticket.team_id for s in wanted} | {s.step.team_id for s in wanted}
    teams = Team.objects.filter(pk__in=[pk for pk in ids if pk is not None]).select_related("lead")
    leads = {team.pk: team.lead for team in teams if team.lead is not None and team.lead.is_active}
    found = {}
    for state in wanted:
        lead = leads.get(state.ticket.team_id or 0) or leads.get(state.step.team_id or 0)
        if lead is not None:
            found[state.ticket.pk] = lead
    return found


def reach_users(
    wanted: Sequence[tuple[State, User | None, str, Mapping[str, Any]]],
) -> list[Message]:
    """Return messages to people; where there is nobody to tell, the path's fallback contact is (never silent).

    Where that one can't be reached either, all admins are.
    """
    if not wanted:
        return []
    fallbacks = {state.path.fallback_id for state, user, _, _ in wanted if user is None}
    reachable = methods_of(fallbacks)
    admins = active_admins() if fallbacks - reachable.keys() else []
    addressed = [
        (state, person, kind, context)
        for state, user, kind, context in wanted
        for person in (admins if user is None and state.path.fallback_id not in reachable else [user])
    ]
    people = contacts_for({user.pk: user for _, user, _, _ in addressed if user is not None}.values())
    methods = reachable | methods_of({contact.pk for contact in people.values()})
    messages = []
    for state, user, kind, context in addressed:
        contact_id = people[user.pk].pk if user is not None else state.path.fallback_id
        ways = methods.get(contact_id, ())
        method_id, channel, address = ways[0] if ways else (None, "email", user.email if user else "")
        messages.append(
            Message(
                kind=kind,
                ticket_id=state.ticket.pk,
                seq=state.standing.seq,
                contact_id=contact_id,
                method_id=method_id,
                user_id=user.pk if user is not None else None,
                channel=channel,
                address=address,
                context=context,
                group=personal_group(state.ticket.pk),
            )
        )
    return messages


def may_acknowledge_many(states: Sequence[State], user: User, now: dt.datetime) -> set[int]:
    """Return the tickets whose current step `user` may acknowledge, in a constant number of queries.

    Only a contact or a team member of the current step, or a lead, acknowledges (DESIGN 3); whoever is on call at
    `now` is a contact of the steps that tell whoever is on call.
    """
    if not user.may(Verb.ACKNOWLEDGE):
        return set()
    if user.may(Verb.LEAD):
        return {state.ticket.pk for state in states}
    team_of = {state.ticket.pk: state.step.team_id or state.ticket.team_id for state in states}
    members = members_of({team for team in team_of.values() if team is not None})
    lists = {list_id for state in states for list_id in state.step.list_ids}
    on_lists = _lists_of(user, lists, now)
    told = set(
        Notification.objects.filter(
            ticket_id__in=team_of, contact__user=user, round__isnull=False
        ).values_list("ticket_id", "seq")
    )
    allowed = set()
    for state in states:
        team_id = team_of[state.ticket.pk]
        if (
            (team_id is not None and user.pk in members.get(team_id, ()))
            or on_lists.intersection(state.step.list_ids)
            or (state.ticket.pk, state.standing.seq) in told
        ):
            allowed.add(state.ticket.pk)
    return allowed


def _lists_of(user: User, list_ids: Iterable[int], now: dt.datetime) -> set[int]:
    """Return on which of these lists `user` stands, by name or because they are on call; two queries at most."""
    entries = ContactListEntry.objects.filter(contact_list_id__in=list_ids).filter(
        Q(contact__user=user) | Q(contact__schedule__isnull=False)
    )
    rows = list(entries.values_list("contact_list_id", "contact__schedule_id"))
    schedules = {schedule for _, schedule in rows if schedule is not None}
    on_call = people_on_call(schedules, now) if schedules else {}
    mine = (
        set(Contact.objects.filter(user=user).values_list("pk", flat=True))
        if any(on_call.values())
        else set()
    )
    return {
        list_id
        for list_id, schedule in rows
        if schedule is None or mine.intersection(on_call.get(schedule, ()))
    }


def may_move_down(state: State, user: User) -> bool:
    """Tell whether `user` belongs to the current team or leads: only they de-escalate (DESIGN 3, by hand)."""
    if user.may(Verb.LEAD):
        return True
    teams = {team for team in (state.step.team_id, state.ticket.team_id) if team is not None}
    return user.may(Verb.DEESCALATE) and any(user.pk in users for users in members_of(teams).values())


def admins_as_contacts() -> list[Contact]:
    """Return every active admin's contact, for when nobody else is there."""
    return list(contacts_for(active_admins()).values())
