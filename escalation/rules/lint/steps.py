"""What is doubtful about one step of a path. Pure."""

from collections.abc import Iterator, Sequence

from core.durations import spoken
from escalation.rules.lint.facts import (
    ERROR,
    WARNING,
    Doubt,
    EntryFacts,
    Facts,
    cell,
    schedule,
    without_targets,
)
from escalation.rules.lint.words import instead, is_or_are, listed, moves_on, names, only, rounds_in_words
from escalation.rules.problems import step_label
from escalation.rules.specs import TRANSFERS, StepSpec


def lint_step(facts: Facts, place: int, step: StepSpec) -> Iterator[Doubt]:
    label, field = step_label(place, step), f"steps.{place}"
    severities = facts.severities_at(place)
    if not severities:
        yield Doubt(
            "step_unreachable",
            WARNING,
            f"{label} is never reached: every ticket that takes this path skips it, and no step below leads to it.",
            "Loosen its condition for skipping, or take the step away.",
            f"{field}.skip_when",
            step=place,
        )
        return
    if step.mode == TRANSFERS and step.team_id is None:
        yield Doubt(
            "step_without_team",
            WARNING if step.contact_list_ids else ERROR,
            f"{label} transfers the ticket, but names no team: nobody owns it there.",
            "Choose the team that works there, or let the step involve.",
            f"{field}.team_id",
            step=place,
        )
    if step.contact_list_ids:
        entries = facts.entries(step)
        yield from _lint_nobody(facts, field, label, place, step, severities, entries)
        yield from _lint_rounds(facts, field, label, place, step, severities, entries)
        yield from _lint_loop(facts, field, label, place, severities, entries)
    yield from _lint_times(facts, field, label, place, step, severities)


def _lint_times(
    facts: Facts, field: str, label: str, place: int, step: StepSpec, severities: Sequence[int]
) -> Iterator[Doubt]:
    is_top = facts.is_top(place)
    if not step.contact_list_ids and not any(any(cell(step, severity)) for severity in severities):
        yield Doubt(
            "step_nobody_answers",
            ERROR,
            f"{label} tells nobody and has no clock: a ticket that comes here stays until somebody finds it.",
            "Give it a time to work in the matrix, or somebody to tell.",
            f"{field}.contact_list_ids",
            step=place,
        )
        return
    if is_top and not step.contact_list_ids:
        yield Doubt(
            "top_tells_nobody",
            ERROR,
            f"{label} is the last one and tells nobody: when its time runs out, no one hears of it.",
            "Give it a contact list.",
            f"{field}.contact_list_ids",
            step=place,
        )
    yield from _lint_no_clock(facts, field, label, place, step, severities)
    for severity in severities:
        acknowledge, work = cell(step, severity)
        if acknowledge is not None and work is not None and acknowledge > work:
            yield Doubt(
                "acknowledge_beyond_work",
                WARNING,
                f"{label}, SEV{severity}: {spoken(acknowledge)} to acknowledge is longer than the "
                f"{spoken(work)} to work; {moves_on(is_top)} before the time to acknowledge is over.",
                "Make the time to acknowledge the shorter one.",
                f"{field}.targets.{severity}.acknowledge_within",
                step=place,
                severity=severity,
            )


def _lint_no_clock(
    facts: Facts, field: str, label: str, place: int, step: StepSpec, severities: Sequence[int]
) -> Iterator[Doubt]:
    """Find severities at which nothing ends the step, or nothing does once it is acknowledged at the top."""
    silent = without_targets(facts)
    missing = [s for s in severities if s not in silent and not any(cell(step, s))]
    if facts.is_top(place):
        unworked = [s for s in severities if s not in silent and cell(step, s)[1] is None]
        if unworked:
            yield Doubt(
                "top_without_work_time",
                ERROR if missing else WARNING,
                f"{label} is the last one and has no time to work at {listed(unworked)}: once "
                f"{'its rounds are over' if missing else 'acknowledged there'}, a ticket is never told again.",
                "Give it a time to work: when that runs out, everybody there is told again.",
                f"{field}.targets.{unworked[0]}.work_within",
                step=place,
                severity=only(unworked),
            )
    elif missing:
        stuck = [severity for severity in missing if not facts.climbs_on_promise(severity)]
        yield Doubt(
            "step_without_clock",
            ERROR if stuck else WARNING,
            f"{label} has neither a time to acknowledge nor one to work at {listed(stuck or missing)}: "
            + (
                "a ticket that comes here stays until somebody moves it."
                if stuck
                else "only a missed service target moves a ticket on."
            ),
            "Give it a time to work in the matrix.",
            f"{field}.targets.{(stuck or missing)[0]}.work_within",
            step=place,
            severity=only(stuck or missing),
        )


def _lint_nobody(
    facts: Facts,
    field: str,
    label: str,
    place: int,
    step: StepSpec,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    """Find the severities at which nobody on the step's lists can be reached in any round."""
    silent = [s for s in severities if not any(entry.working and entry.at(s) for entry in entries)]
    if silent:
        at = "" if len(silent) == len(severities) else f" at {listed(silent)}"
        if not entries:
            because, mend = "its contact lists are empty", "Put those on the list who are to be told."
        elif not any(entry.at(severity) for entry in entries for severity in silent):
            because = f"no entry of its contact lists is meant for {listed(silent)}"
            mend = "Let an entry be told at every severity."
        elif any(entry.reachable and entry.at(severity) for entry in entries for severity in silent):
            because = "what is sent to those on its contact lists fails"
            mend = "Mend their contact methods, or add somebody who can be reached."
        else:
            because = "no entry of its contact lists can be told"
            mend = "Give them contact methods, or add somebody who can be reached."
        yield Doubt(
            "step_nobody_answers",
            ERROR,
            f"{label} reaches nobody{at}: {because}. {instead(facts.fallback)}",
            mend,
            f"{field}.contact_list_ids",
            step=place,
            severity=only(silent),
        )
    late = [entry for entry in entries if entry.reachable and entry.from_round > step.rounds]
    if late:
        unheard = [
            severity
            for severity in severities
            if severity not in silent
            and cell(step, severity)[0] is None
            and not any(entry.reachable and entry.wanted(severity, step.rounds) for entry in entries)
        ]
        yield Doubt(
            "entry_beyond_rounds",
            ERROR if unheard else WARNING,
            f"{label} has {rounds_in_words(step.rounds)}, but {names(late)} {is_or_are(late)} to be told from round "
            f"{min(entry.from_round for entry in late)} on"
            + (": the fallback contact is told instead." if unheard else "."),
            "Give the step more rounds, or let them be told from an earlier one.",
            f"{field}.rounds",
            step=place,
        )


def _lint_rounds(
    facts: Facts,
    field: str,
    label: str,
    place: int,
    step: StepSpec,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    """Find tellings that are planned for when the time to acknowledge is over."""
    cut: dict[str, list[int]] = {}
    for severity in severities:
        acknowledge = cell(step, severity)[0]
        planned = schedule(step, entries, severity)
        if acknowledge is None or not planned or planned[-1][0] < acknowledge:
            continue
        heard = {entry.who for at, _, entry in planned if at < acknowledge}
        unheard = {entry.who: entry for _, _, entry in planned if entry.who not in heard}
        if unheard:
            never = list(unheard.values())
            text = f"{names(never)} {is_or_are(never)} never told"
        else:
            text = f"its last round begins only after {spoken(planned[-1][0])}"
        text = f"{text}, as {moves_on(facts.is_top(place))} after {spoken(acknowledge)} without an acknowledgement"
        cut.setdefault(text, []).append(severity)
    for text, found in cut.items():
        yield Doubt(
            "rounds_do_not_fit",
            WARNING,
            f"{label}, {listed(found)}: {text}.",
            "Give more time to acknowledge, a shorter wait or fewer rounds.",
            f"{field}.targets.{found[0]}.acknowledge_within",
            step=place,
            severity=only(found),
        )


def _lint_loop(
    facts: Facts,
    field: str,
    label: str,
    place: int,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    """Find steps whose fallback leads back to where it came from.

    The fallback contact is told when nobody of a step's lists can be reached, or when everything sent to them has
    failed. It is a loop where, at some severity, everybody the step's rounds would tell is that same person: whenever
    the fallback would be told, it is because this very person can't be reached. Only the admins are left then: they
    stand beside the fallback at the top from the beginning, below it only when what was sent to the fallback has
    failed as well.
    """
    fallback = facts.fallback
    if fallback is None or fallback.unreachable:
        return
    looped = [
        severity
        for severity in severities
        if {entry.who for entry in entries if entry.working and entry.at(severity)} == {fallback.who}
    ]
    if looped:
        at = "" if len(looped) == len(severities) else f" at {listed(looped)}"
        yield Doubt(
            "fallback_loop",
            WARNING if facts.is_top(place) else ERROR,
            f"{label}{at} reaches only {fallback.name}, who is the fallback too: when they can't be reached, "
            "the fallback can't either, and only the admins are left.",
            "Put somebody else on the contact list, or choose another fallback.",
            f"{field}.contact_list_ids",
            step=place,
            severity=only(looped),
        )
