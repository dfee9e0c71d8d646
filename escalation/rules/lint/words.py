"""How doubts speak of steps, people and severities. Pure."""

from collections.abc import Sequence

from escalation.rules.lint.facts import EntryFacts, FallbackFacts


def instead(fallback: FallbackFacts | None) -> str:
    if fallback is not None and fallback.unreachable:
        return f"The fallback “{fallback.name}” is not there either."
    return f"The fallback “{fallback.name}” is told instead." if fallback is not None else ""


def moves_on(is_top: bool) -> str:
    return "the step begins anew" if is_top else "the ticket climbs"


def rounds_in_words(number: int) -> str:
    return "1 round" if number == 1 else f"{number} rounds"


def names(entries: Sequence[EntryFacts]) -> str:
    return joined([entry.name for entry in entries])


def is_or_are(entries: Sequence[EntryFacts]) -> str:
    return "is" if len(entries) == 1 else "are"


def has_or_have(entries: Sequence[EntryFacts]) -> str:
    return "has" if len(entries) == 1 else "have"


def only(severities: Sequence[int]) -> int | None:
    return severities[0] if len(severities) == 1 else None


def listed(severities: Sequence[int]) -> str:
    return joined([f"SEV{severity}" for severity in severities])


def joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
