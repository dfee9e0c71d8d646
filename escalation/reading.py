"""Path versions read back as what an admin wrote down."""

from collections.abc import Iterable

from core.errors import Refused
from escalation.models import EscalationPath, PathVersion, Step
from escalation.rules.specs import PROMISES, PathSpec, PromiseSpec, StepSpec, plain_conditions


def spec_of(path: EscalationPath) -> PathSpec:
    """Return the path with its version in force as a spec; five queries. Raises Refused when it has none."""
    if path.current_id is None:
        raise Refused(f"{path} has no version yet.", field="path", value=path.pk, mend="Publish it first.")
    return spec_of_version(path.current_id)


def spec_of_version(version_id: int) -> PathSpec:
    """Return any version as a spec, with its path's name and position as they are now; five queries."""
    found = specs_of_versions([version_id])
    if version_id not in found:
        raise PathVersion.DoesNotExist(f"There is no path version {version_id}.")
    return found[version_id]


def specs_of_versions(version_ids: Iterable[int]) -> dict[int, PathSpec]:
    """Return versions as specs; five queries, however many they are."""
    rows = PathVersion.objects.filter(pk__in=set(version_ids)).select_related("path")
    versions = rows.prefetch_related("targets", "steps__targets", "steps__step_lists")
    return {version.pk: _version_spec(version) for version in versions}


def _version_spec(version: PathVersion) -> PathSpec:
    path = version.path
    steps = sorted(version.steps.all(), key=lambda step: step.position)
    return PathSpec(
        name=path.name,
        description=path.description,
        position=path.position,
        is_default=path.is_default,
        is_active=path.is_active,
        calendar_id=version.calendar_id,
        sev1_round_the_clock=version.sev1_round_the_clock,
        conditions=plain_conditions(version.conditions) or {},
        fallback_contact_id=version.fallback_id,
        hold_pauses=version.hold_pauses,
        follow_up_days=version.follow_up_days,
        warn_percent=version.warn_percent,
        on_first_response_due=version.on_first_response_due,
        on_next_response_due=version.on_next_response_due,
        on_resolution_due=version.on_resolution_due,
        steps=tuple(_step_spec(step) for step in steps),
        promises={
            target.severity: PromiseSpec(**{name: getattr(target, name) for name in PROMISES})
            for target in sorted(version.targets.all(), key=lambda target: target.severity)
        },
    )


def _step_spec(step: Step) -> StepSpec:
    lists = sorted(step.step_lists.all(), key=lambda row: (row.position, row.pk))
    return StepSpec(
        name=step.name,
        tier=step.tier,
        team_id=step.team_id,
        mode=step.mode,
        calendar_id=step.calendar_id,
        contact_list_ids=tuple(row.contact_list_id for row in lists),
        telling=step.telling,
        wait=step.wait,
        rounds=step.rounds,
        skip_when=plain_conditions(step.skip_when),
        targets={
            target.severity: (target.acknowledge_within, target.work_within)
            for target in sorted(step.targets.all(), key=lambda target: target.severity)
        },
    )
