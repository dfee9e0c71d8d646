"""Say something on a ticket: reply, note, stakeholder update, handoff; with files."""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO

from django.conf import settings
from django.core.files.base import File

from accounts.models import User
from accounts.rules import Verb
from core.errors import Conflict, Refused
from tickets import kinds
from tickets.models import Attachment, Entry, EntryKind, Status, Ticket
from tickets.operations.access import check_reach, hold
from tickets.operations.changes import apply_status
from tickets.operations.words import clean_body, safe_media_type, safe_name
from tickets.queries import surviving, surviving_id
from tickets.timeline import NewEvent, Work, working

KIND_OF_ENTRY = {
    EntryKind.REPLY: kinds.REPLIED,
    EntryKind.NOTE: kinds.NOTED,
    EntryKind.UPDATE: kinds.UPDATED,
    EntryKind.HANDOFF: kinds.HANDED_OFF,
}
HANDOFF_FIELDS = ("impact", "tried", "suspected", "next_action")


class Merged(Conflict):
    """Say that the ticket goes on in another one."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(
            f"#{ticket.pk} was merged.",
            field="ticket",
            value=ticket.pk,
            mend=f"Write on #{surviving(ticket).pk}.",
        )


@dataclass(slots=True)
class Upload:
    """A file as it came: its name is only shown, never used as a path."""

    name: str
    content: IO[bytes]
    content_type: str = "application/octet-stream"


def add_entry(
    *,
    ticket_id: int,
    kind: str,
    body: str,
    actor: User | None,
    now: dt.datetime,
    author: User | None = None,
    fields: Mapping[str, str] | None = None,
    uploads: Sequence[Upload] = (),
    then_status: str | None = None,
    reason: str = "",
    happened_at: dt.datetime | None = None,
    automatic: bool = False,
    facts: Mapping[str, object] | None = None,
) -> Entry:
    """Add one entry to the conversation and, in the same transaction, set the status that goes with it.

    Words from outside on a merged ticket are written on its survivor; whoever works tickets is told to write there.
    A requester's reply brings a waiting or finished ticket back to open unless it is `automatic` (DESIGN 3: auto
    replies never reopen). An agent's first answer takes a ticket from new to open. `then_status` is what the person
    picked beside the send button; `reason` goes with it; `facts` stand in the event beside ours. Raises Refused,
    Conflict (merged) and NotAllowed.
    """
    write = partial(
        _write_entry,
        ticket_id=ticket_id,
        kind=kind,
        body=body,
        actor=actor,
        now=now,
        author=author,
        fields=fields,
        uploads=uploads,
        then_status=then_status,
        reason=reason,
        happened_at=happened_at,
        automatic=automatic,
        facts=facts,
    )
    try:
        return write()
    except Merged:
        writer = author or actor
        if writer is None or writer.is_agent:
            raise
        # Merged between looking and locking: now it is seen, and followed.
        return write()


def _write_entry(
    *,
    ticket_id: int,
    kind: str,
    body: str,
    actor: User | None,
    now: dt.datetime,
    author: User | None,
    fields: Mapping[str, str] | None,
    uploads: Sequence[Upload],
    then_status: str | None,
    reason: str,
    happened_at: dt.datetime | None,
    automatic: bool,
    facts: Mapping[str, object] | None,
) -> Entry:
    writer = author or actor
    verb = Verb.REPLY if kind == EntryKind.REPLY else Verb.WORK
    with working() as work:
        if writer is not None and not writer.is_agent and ticket_id not in work.tickets:
            ticket_id = _followed(work, ticket_id, actor, verb)
        (ticket,) = hold(work, [ticket_id], actor=actor, verb=verb)
        if ticket.merged_into_id is not None:
            raise Merged(ticket)
        from_requester = _is_from_requester(ticket, writer)
        body = clean_body(body)
        parts = {name: clean_body(text) for name, text in (fields or {}).items()}
        if not body and not uploads and not any(parts.values()):
            raise Refused(
                "There is nothing to send.", field="body", value="", mend="Write a few words first."
            )
        entry = Entry(
            ticket=ticket,
            kind=kind,
            author=writer,
            from_requester=from_requester,
            body=body,
            fields=parts,
        )
        told = {**(facts or {}), "from_requester": from_requester, "automatic": automatic}
        (event,) = work.record(
            [NewEvent(ticket, KIND_OF_ENTRY[EntryKind(kind)], told, entry=entry, happened_at=happened_at)],
            actor=actor,
            now=now,
        )
        _note_answer(ticket, entry, happened_at or event.at, automatic=automatic)
        following = then_status or _status_after(ticket, entry, automatic=automatic)
        if following and following != ticket.status:
            apply_status(
                work,
                [ticket],
                following,
                actor=actor,
                now=now,
                reason=reason,
                happened_at=happened_at,
                cause=event,
            )
        # Last, since a file stays in the store when the transaction is given up.
        attach([(entry, uploads)])
    return entry


def add_reply(*, ticket_id: int, body: str, actor: User | None, now: dt.datetime, **more: object) -> Entry:
    """Reply publicly; see `add_entry`."""
    return add_entry(ticket_id=ticket_id, kind=EntryKind.REPLY, body=body, actor=actor, now=now, **more)  # type: ignore[arg-type]


def add_note(*, ticket_id: int, body: str, actor: User | None, now: dt.datetime, **more: object) -> Entry:
    """Write a note that only agents see; see `add_entry`."""
    return add_entry(ticket_id=ticket_id, kind=EntryKind.NOTE, body=body, actor=actor, now=now, **more)  # type: ignore[arg-type]


def post_update(*, ticket_id: int, body: str, actor: User | None, now: dt.datetime, **more: object) -> Entry:
    """Tell requester and stakeholders where things stand; see `add_entry`."""
    return add_entry(ticket_id=ticket_id, kind=EntryKind.UPDATE, body=body, actor=actor, now=now, **more)  # type: ignore[arg-type]


def write_handoff(
    *, ticket_id: int, fields: Mapping[str, str], actor: User | None, now: dt.datetime, body: str = ""
) -> Entry:
    """Write down what the next tier needs to know: impact, what was tried, suspected cause, next action."""
    unknown = sorted(set(fields) - set(HANDOFF_FIELDS))
    if unknown:
        raise Refused(
            f"“{unknown[0]}” is no part of a handoff.",
            field="handoff",
            value=unknown[0],
            mend=f"Take {', '.join(HANDOFF_FIELDS)}.",
        )
    clean = {name: text.strip() for name, text in fields.items() if text.strip()}
    return add_entry(
        ticket_id=ticket_id, kind=EntryKind.HANDOFF, body=body, fields=clean, actor=actor, now=now
    )


def attach(uploads: Sequence[tuple[Entry, Sequence[Upload]]]) -> list[Attachment]:
    """Store files with their entries; limits are settings. Raises Refused naming the file, before any is stored."""
    rows = []
    for entry, files in uploads:
        if len(files) > settings.BELAY_MAX_FILES:
            raise Refused(
                f"{len(files)} files are too many.",
                field="files",
                value=len(files),
                mend=f"Send at most {settings.BELAY_MAX_FILES} at once.",
            )
        rows += [(_measured(entry, upload), upload) for upload in files]
    for row, upload in rows:
        upload.content.seek(0)
        row.file.save(row.sha256, File(upload.content), save=False)
    return Attachment.objects.bulk_create([row for row, _ in rows]) if rows else []


def _measured(entry: Entry, upload: Upload) -> Attachment:
    limit = settings.BELAY_MAX_FILE_BYTES
    upload.content.seek(0)
    content = upload.content.read(limit + 1)
    if len(content) > limit:
        raise Refused(
            f"“{upload.name}” is larger than {limit // 1_000_000} MB.",
            field="files",
            value=upload.name,
            mend="Send a smaller file or a link.",
        )
    return Attachment(
        entry=entry,
        name=safe_name(upload.name),
        content_type=safe_media_type(upload.content_type),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _followed(work: Work, ticket_id: int, actor: User | None, verb: Verb) -> int:
    """Return where words from outside go: those on a merged ticket to its survivor, which is then held.

    Who may write on the ticket that was merged may be heard on the one that goes on, though they don't see it.
    """
    survivor_id = surviving_id(ticket_id)
    if survivor_id != ticket_id:
        check_reach(ticket_id, actor=actor, verb=verb)
        work.lock([survivor_id])
    return survivor_id


def _is_from_requester(ticket: Ticket, writer: User | None) -> bool:
    """Tell whether the writer speaks for the customer: the requester, or one who is no agent."""
    return writer is not None and (writer.pk == ticket.requester_id or not writer.is_agent)


def _note_answer(ticket: Ticket, entry: Entry, at: dt.datetime, *, automatic: bool) -> None:
    """Remember when the customer last spoke and when they were last answered."""
    if not entry.is_public or automatic:
        return
    name = "last_requester_at" if entry.from_requester else "last_answer_at"
    setattr(ticket, name, at)
    ticket.save(update_fields=[name])


def _status_after(ticket: Ticket, entry: Entry, *, automatic: bool) -> str | None:
    if not entry.is_public or automatic or ticket.historic:
        return None
    if entry.from_requester:
        return Status.OPEN if ticket.status in (Status.WAITING, Status.RESOLVED, Status.CLOSED) else None
    return Status.OPEN if ticket.status == Status.NEW else None
