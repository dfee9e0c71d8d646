"""Every change of state of tickets; pages, API, mail, admin and engine all come through here."""

from tickets.operations.changes import (
    add_tags,
    assign_ticket,
    assign_tickets,
    change_status,
    change_statuses,
    remove_tags,
    set_details,
    set_severities,
    set_severity,
)
from tickets.operations.conversation import (
    Upload,
    add_entry,
    add_note,
    add_reply,
    post_update,
    write_handoff,
)
from tickets.operations.history import LoggedCase, LoggedRow, Recorded, record_cases
from tickets.operations.incidents import (
    declare_major,
    link_to_incident,
    resolve_linked,
    unlink_from_incident,
)
from tickets.operations.ladder import LadderRow, Placement, set_aside, set_ladder
from tickets.operations.merging import merge_tickets
from tickets.operations.opening import Draft, open_ticket, open_tickets

__all__ = [
    "Draft",
    "LadderRow",
    "LoggedCase",
    "LoggedRow",
    "Placement",
    "Recorded",
    "Upload",
    "add_entry",
    "add_note",
    "add_reply",
    "add_tags",
    "assign_ticket",
    "assign_tickets",
    "change_status",
    "change_statuses",
    "declare_major",
    "link_to_incident",
    "merge_tickets",
    "open_ticket",
    "open_tickets",
    "post_update",
    "record_cases",
    "remove_tags",
    "resolve_linked",
    "set_aside",
    "set_details",
    "set_ladder",
    "set_severities",
    "set_severity",
    "unlink_from_incident",
    "write_handoff",
]
