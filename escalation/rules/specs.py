"""What an admin writes down as an escalation path, before it is published. Pure."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[Any, Any] = MappingProxyType({})

TELL_LEAD = "tell_lead"
CLIMB = "climb"
TRANSFERS = "transfers"
INVOLVES = "involves"
ALL = "all"
IN_TURN = "in_turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseSpec:
    """What the requester is promised at one severity; None promises nothing."""

    first_response: dt.timedelta | None = None
    next_response: dt.timedelta | None = None
    resolution: dt.timedelta | None = None
    update_every: dt.timedelta | None = None


PROMISES = ("first_response", "next_response", "resolution", "update_every")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One rung; `targets` maps a severity to (acknowledge within, work within), either may be None."""

    name: str
    tier: int
    team_id: int | None = None
    mode: str = TRANSFERS
    # None: the path's.
    calendar_id: int | None = None
    # In the order in which they are told.
    contact_list_ids: tuple[int, ...] = ()
    telling: str = ALL
    # Before the next contact, or the next round.
    wait: dt.timedelta = dt.timedelta(minutes=5)
    rounds: int = 3
    # Conditions under which a ticket skips the step when its path is chosen; None never skips, {} always does.
    skip_when: Mapping[str, Any] | None = None
    targets: Mapping[int, tuple[dt.timedelta | None, dt.timedelta | None]] = field(
        default_factory=lambda: NOTHING
    )


TARGETS = ("acknowledge_within", "work_within")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSpec:
    """A whole path: the row that is edited in place, and the content that becomes a version."""

    name: str
    steps: tuple[StepSpec, ...]
    calendar_id: int | None
    fallback_contact_id: int | None
    description: str = ""
    position: int = 100
    is_default: bool = False
    is_active: bool = True
    sev1_round_the_clock: bool = True
    conditions: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    hold_pauses: bool = False
    follow_up_days: int = 3
    warn_percent: int = 75
    on_first_response_due: str = TELL_LEAD
    on_next_response_due: str = TELL_LEAD
    on_resolution_due: str = CLIMB
    promises: Mapping[int, PromiseSpec] = field(default_factory=lambda: NOTHING)


# What of a PathSpec belongs to the path itself; all the rest makes a version.
OF_THE_PATH = ("name", "description", "position", "is_default", "is_active")


def plain_conditions(conditions: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return conditions without what says nothing (empty lists, an unset vip), lists sorted; None stays None."""
    if conditions is None:
        return None
    plain: dict[str, Any] = {}
    for key in sorted(conditions):
        wanted = conditions[key]
        if isinstance(wanted, list | tuple):
            if wanted:
                plain[key] = sorted(set(wanted))
        elif wanted is not None:
            plain[key] = wanted
    return plain
