"""By which groups the outbox withdraws what a change of step makes moot."""


def consult_group(ticket_id: int, seq: int) -> str:
    """Return the group of the consultations asked for at one seq."""
    return f"consult:{ticket_id}:{seq}"


def question_group(ticket_id: int, seq: int) -> str:
    """Return the group of the messages about the question that one seq's people sent back."""
    return f"question:{ticket_id}:{seq}"


def personal_group(ticket_id: int) -> str:
    """Return the group of messages to a ticket's lead and owner."""
    return f"personal:{ticket_id}"


def groups_of_step(ticket_id: int, seq: int) -> set[str]:
    """Return what ends with a seq beside its tellings: the help and the answers its people asked for."""
    return {consult_group(ticket_id, seq), question_group(ticket_id, seq)}
