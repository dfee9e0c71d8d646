"""What is doubtful about whoever is on call: gaps in the schedule, and people on it who can't be told. Pure."""

from collections.abc import Iterator

from escalation.rules.lint.facts import WARNING, Doubt, DutyFacts, ListFacts
from escalation.rules.lint.words import joined

# As many gaps as anybody reads; the rest is counted.
MOST_GAPS = 3


def lint_duties(found: ListFacts, place: int) -> Iterator[Doubt]:
    """Find what is doubtful about the schedules a contact list names; `place` is the step it is told of."""
    field = f"steps.{place}.contact_list_ids"
    for duty in found.duties:
        who = f"“{duty.name}” on “{found.name}”"
        if duty.gaps:
            yield Doubt(
                "on_call_gap",
                WARNING,
                f"{who}: {_gaps(duty)}",
                "Fill the gaps of the schedule with a rotation or an override, or put somebody on the list besides.",
                field,
                step=place,
            )
        if duty.unreachable:
            names = joined(list(duty.unreachable))
            takes = "takes turns" if len(duty.unreachable) == 1 else "take turns"
            yield Doubt(
                "on_call_without_method",
                WARNING,
                f"{who}: {names} {takes} on “{duty.schedule}” and can't be told: no contact method is switched on.",
                "Give them a contact method, or take them off the rotation.",
                field,
                step=place,
            )


def _gaps(duty: DutyFacts) -> str:
    if duty.idle:
        return f"the schedule “{duty.schedule}” is switched off, so nobody is on call."
    shown, more = duty.gaps[:MOST_GAPS], len(duty.gaps) - MOST_GAPS
    listed = "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
    if duty.gap_until:
        rest = f" Gaps of the next 90 days: {listed} ({duty.zone})."
        return f"nobody is on call on “{duty.schedule}” now, until {duty.gap_until}.{rest}"
    return f"nobody is on call on “{duty.schedule}” at {listed} ({duty.zone}, next 90 days)."
