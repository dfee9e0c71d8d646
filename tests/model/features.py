"""Which verbs there are: those that a checkout does not have are neither drawn nor expected."""

from importlib import import_module


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


CONSULT = _has("escalation.operations", "consult")
SEND_BACK = _has("escalation.operations", "send_back")
JOINING = _has("tickets.operations", "merge_tickets") and _has("tickets.operations", "link_to_incident")
# Letters to a lead, an owner or somebody who was asked go on to the next person when they are dead.
LETTERS_GO_ON = _has("escalation.operations.dead_letters", "_stand_in")
