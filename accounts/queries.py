"""Reads about people that other apps ask for."""

from django.contrib.auth.models import AnonymousUser

from accounts.models import Membership, Role, Team, User
from accounts.rules import NOBODY, Reach, Scope, Verb, reach


def scope_of(user: User | AnonymousUser, verb: Verb) -> Scope:
    """Return the frozen Scope of `user` for `verb`; one query for those who are narrowed to teams."""
    if not isinstance(user, User) or not user.is_active:
        return NOBODY
    far = reach(user.role, verb)
    if far == Reach.OWN and user.sees_organisation and user.organisation_id:
        return Scope(user.pk, Reach.ORGANISATIONS, organisation_ids=frozenset({user.organisation_id}))
    if far == Reach.ALL and user.only_own_teams and user.role in (Role.AGENT, Role.LEAD):
        return Scope(user.pk, Reach.TEAMS, team_ids=team_ids_of(user))
    return Scope(user.pk, far)


def team_ids_of(user: User) -> frozenset[int]:
    """Return the teams that `user` belongs to or leads."""
    member = Membership.objects.filter(user=user).values_list("team_id", flat=True)
    led = Team.objects.filter(lead=user).values_list("pk", flat=True)
    return frozenset(member.union(led))


def members_of(team_ids: set[int]) -> dict[int, frozenset[int]]:
    """Return the ids of active members (and the lead) per team, in two queries."""
    found: dict[int, set[int]] = {team_id: set() for team_id in team_ids}
    rows = Membership.objects.filter(team_id__in=team_ids, user__is_active=True)
    for team_id, user_id in rows.values_list("team_id", "user_id"):
        found[team_id].add(user_id)
    leads = Team.objects.filter(pk__in=team_ids, lead__is_active=True)
    for team_id, lead_id in leads.values_list("pk", "lead_id"):
        if lead_id:
            found[team_id].add(lead_id)
    return {team_id: frozenset(users) for team_id, users in found.items()}


def active_admins() -> list[User]:
    """Return everybody who administers Belay, the oldest account first."""
    return list(User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk"))
