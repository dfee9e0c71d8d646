"""Path versions as rules: immutable rows, read once per process."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from calendars.queries import current_version_ids, round_the_clock_version_id
from escalation.models import EscalationPath, PathVersion, Step
from escalation.rules.conditions import Facts
from escalation.rules.paths import PathRule, Promises, StepRule
from tickets.models import Ticket

_rules: dict[int, PathRule] = {}


def path_rules(version_ids: Iterable[int]) -> dict[int, PathRule]:
    """Return path versions as pure rules; five queries for those not seen yet, none for the rest.

    Raises PathVersion.DoesNotExist.
    """
    wanted = set(version_ids)
    unknown = wanted - _rules.keys()
    if unknown:
        rows = PathVersion.objects.filter(pk__in=unknown).select_related("path")
        versions = rows.prefetch_related("targets", "steps__targets", "steps__step_lists")
        found = {version.pk: _as_rule(version) for version in versions}
        if missing := unknown - found.keys():
            raise PathVersion.DoesNotExist(f"no path version {min(missing)}")
        _rules.update(found)
    return {pk: _rules[pk] for pk in wanted}


def path_rule(version_id: int) -> PathRule:
    """Return one path version as a pure rule; see `path_rules`."""
    known = _rules.get(version_id)
    return known if known is not None else path_rules([version_id])[version_id]


def current_paths() -> list[PathRule]:
    """Return the active paths' current versions by position, the default one last; one query when known."""
    rows = EscalationPath.objects.filter(is_active=True, current__isnull=False)
    named = list(rows.order_by("is_default", "position", "pk").values_list("current_id", "name"))
    rules = path_rules(pk for pk, _ in named if pk is not None)
    for pk, name in named:
        # A path can be renamed without a new version; everything else of a version is immutable.
        if pk is not None and rules[pk].name != name:
            _rules[pk] = rules[pk] = replace(rules[pk], name=name)
    return [rules[pk] for pk, _ in named if pk is not None]


def facts_of(ticket: Ticket) -> Facts:
    """Return what conditions look at; service and organisation should be loaded."""
    service, organisation = ticket.service, ticket.organisation
    return Facts(
        severity=ticket.severity,
        category=ticket.category_id,
        service=ticket.service_id,
        criticality=service.criticality if service is not None else None,
        organisation=ticket.organisation_id,
        vip=organisation.vip if organisation is not None else False,
        tags=frozenset(ticket.tags),
        impact=ticket.impact,
        complexity=ticket.complexity,
        source=ticket.source,
    )


class CalendarVersions:
    """The calendar version each clock is to be counted in; current versions are looked up once per operation."""

    def __init__(self, paths: Iterable[PathRule]) -> None:
        self._known: dict[int, int] = {}
        self.learn(paths)

    def learn(self, paths: Iterable[PathRule]) -> None:
        """Look up the current versions of all calendars these paths use, in one query at most."""
        ids = set()
        for path in paths:
            ids.add(path.calendar_id)
            ids.update(step.calendar_id for step in path.steps if step.calendar_id is not None)
        missing = ids - self._known.keys()
        if missing:
            self._known.update(current_version_ids(missing))

    def pin(self, versions: Mapping[int, int]) -> None:
        """Count each of these calendars (id) in this version (id), whatever is published meanwhile."""
        self._known.update(versions)

    @property
    def known(self) -> dict[int, int]:
        """The version each calendar looked up so far is counted in."""
        return dict(self._known)

    def for_promise(self, path: PathRule, severity: int) -> int:
        """Return the version promises count in; SEV1 counts round the clock unless the path says otherwise."""
        if severity == 1 and path.sev1_round_the_clock:
            return round_the_clock_version_id()
        return self._current(path, path.calendar_id)

    def for_step(self, path: PathRule, step: StepRule, severity: int) -> int:
        """Return the version the step's clocks count in: its own calendar, by default the path's (DESIGN 3)."""
        if severity == 1 and path.sev1_round_the_clock:
            return round_the_clock_version_id()
        return self._current(path, step.calendar_id if step.calendar_id is not None else path.calendar_id)

    def business_hours(self, path: PathRule, step: StepRule) -> int:
        """Return the version of the step's opening hours, at any severity: what its contact lists mean by them."""
        return self._current(path, step.calendar_id if step.calendar_id is not None else path.calendar_id)

    def for_follow_up(self, path: PathRule) -> int:
        """Return the version whose business days a follow-up waits."""
        return self._current(path, path.calendar_id)

    def _current(self, path: PathRule, calendar_id: int) -> int:
        # Batches learn all their paths beforehand; a single ticket's path is learned on the way.
        if calendar_id not in self._known:
            self.learn([path])
        return self._known[calendar_id]


def _as_rule(version: PathVersion) -> PathRule:
    climb = PathVersion.OnDue.CLIMB
    steps = sorted(version.steps.all(), key=lambda step: step.position)
    return PathRule(
        version_id=version.pk,
        path_id=version.path_id,
        name=version.path.name,
        number=version.number,
        calendar_id=version.calendar_id,
        sev1_round_the_clock=version.sev1_round_the_clock,
        fallback_id=version.fallback_id,
        hold_pauses=version.hold_pauses,
        follow_up_days=version.follow_up_days,
        warn_percent=version.warn_percent,
        climbs_on=MappingProxyType(
            {
                "first_response": version.on_first_response_due == climb,
                "next_response": version.on_next_response_due == climb,
                "resolution": version.on_resolution_due == climb,
            }
        ),
        conditions=MappingProxyType(dict(version.conditions)),
        steps=tuple(_as_step(step) for step in steps),
        promises=MappingProxyType(
            {
                target.severity: Promises(
                    first_response=target.first_response,
                    next_response=target.next_response,
                    resolution=target.resolution,
                    update_every=target.update_every,
                )
                for target in version.targets.all()
            }
        ),
    )


def _as_step(step: Step) -> StepRule:
    lists = sorted(step.step_lists.all(), key=lambda row: (row.position, row.pk))
    return StepRule(
        id=step.pk,
        position=step.position,
        name=step.name,
        tier=step.tier,
        team_id=step.team_id,
        transfers=step.mode == Step.Mode.TRANSFERS,
        calendar_id=step.calendar_id,
        list_ids=tuple(row.contact_list_id for row in lists),
        in_turn=step.telling == Step.Telling.IN_TURN,
        wait=step.wait,
        rounds=step.rounds,
        skip_when=MappingProxyType(step.skip_when) if step.skip_when is not None else None,
        targets=MappingProxyType(
            {
                target.severity: (target.acknowledge_within, target.work_within)
                for target in step.targets.all()
            }
        ),
    )
