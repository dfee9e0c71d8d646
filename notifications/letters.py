"""What a mail says, written once: its text part and its HTML part come from the same letter."""

import datetime as dt
import re
import unicodedata
import zoneinfo
from dataclasses import dataclass, replace
from functools import cache
from html import escape

from django.conf import settings
from django.template.loader import get_template

from core.durations import spoken
from notifications.rendering import Rendered

# Beyond this, mail programs cut a subject anyway; headers stay far below SMTP's 998 octets a line once encoded.
LONGEST_SUBJECT = 150
# With its link, two or three parts of an SMS.
LONGEST_SHORT = 300
# A mail shows the start of a long text; the whole stands in the ticket.
LONGEST_PASSAGE = 6_000
_WIDTH = 74
# The pieces that stand in letter.html. Filled by `str.format` over escaped words: a template's variables and loops cost
# a third of a delivery, and mails are rendered when ten thousand are due.
_MARKS = '<p style="margin:0 0 6px;font-size:14px">{}</p>\n'
_SEVERITY = '<strong style="border:1px solid;border-radius:4px;padding:1px 7px">SEV{}</strong>'
_TITLE = '<h1 style="margin:0 0 14px;font-size:21px;line-height:1.3">{}</h1>\n'
_FIRST = '<p style="margin:0 0 12px;font-weight:600">{}</p>\n'
_LINE = '<p style="margin:0 0 12px">{}</p>\n'
_PASSAGE = """<h2 style="margin:18px 0 6px;font-size:15px">{}</h2>
<div style="border-left:3px solid #8a94a0;padding:2px 0 2px 14px;white-space:pre-wrap;overflow-wrap:anywhere">{}</div>
"""
_FACTS = (
    '<table cellpadding="0" cellspacing="0" border="0" style="margin:16px 0;font-size:15px">\n{}</table>\n'
)
_LINK = '<p style="margin:20px 0 0"><a href="{}">{}</a></p>\n'
_TICKETS = (
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:6px 0 0;'
    'border-bottom:1px solid #8a94a0">\n{}</table>\n'
)
_FACT = (
    '<tr><th scope="row" align="left" valign="top" style="padding:3px 18px 3px 0;font-weight:400;opacity:.75;'
    'white-space:nowrap">{}</th><td valign="top" style="padding:3px 0">{}</td></tr>\n'
)
_TICKET = (
    '<tr><td style="padding:12px 12px 12px 0;border-top:1px solid #8a94a0;overflow-wrap:anywhere">'
    '<span style="font-size:14px"><strong style="border:1px solid;border-radius:4px;padding:1px 7px">SEV{}</strong>'
    ' #{}</span><br><strong>{}</strong><br><span style="font-size:14px">{}</span></td>'
    '<td align="right" valign="middle" style="padding:12px 0;border-top:1px solid #8a94a0"><a href="{}" '
    'aria-label="{}" style="display:inline-block;padding:11px 18px;border-radius:8px;background-color:#2563b8;'
    'font-size:15px;font-weight:600;color:#ffffff;text-decoration:none;white-space:nowrap">{}</a></td></tr>\n'
)
_BUTTON = (
    '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:18px 0 10px"><tr>'
    '<td style="background-color:#2563b8;border-radius:8px"><a href="{}" style="display:inline-block;'
    'padding:14px 30px;font-size:17px;font-weight:600;color:#ffffff;text-decoration:none">{}</a></td></tr></table>\n'
)
_NOTE = '<p style="margin:0 0 18px;font-size:14px">{}</p>\n'
# Characters that reorder what is read after them: a subject must not be able to fake its own ending.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Passage:
    """Words that a person wrote; shown apart, so that nobody takes them for Belay's own."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """The one thing to do, as a button; `note` says what follows."""

    label: str
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketLine:
    """One of many tickets in a mail, each with an action of its own."""

    number: int
    severity: int
    subject: str
    note: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail before it has a form: what to act on first, then the facts, then what people wrote."""

    subject: str
    title: str
    lead: tuple[str, ...]
    number: int | None = None
    severity: int | None = None
    facts: tuple[tuple[str, str], ...] = ()
    passages: tuple[Passage, ...] = ()
    tickets: tuple[TicketLine, ...] = ()
    action: Action | None = None
    link: Action | None = None
    footer: str = ""
    # Where seconds count, the button comes before what people wrote.
    action_first: bool = False


def compose(letter: Letter) -> Rendered:
    """Give a letter its subject line, text and HTML; what people wrote is escaped and cut to a readable length."""
    letter = _trimmed(letter)
    html = _shell().format(
        subject=escape(letter.subject),
        first=escape(letter.lead[0]),
        body=_body(letter),
        footer=escape(letter.footer or "Belay"),
    )
    return Rendered(
        subject=letter.subject,
        text=_text(letter),
        html=html,
        short=short_form(letter),
        link=_main_link(letter),
    )


def short_form(letter: Letter) -> str:
    """Return a letter in few words for SMS and chat: the subject, the first line, and the one link that matters."""
    words = one_line(f"{letter.subject}. {letter.lead[0]}" if letter.lead else letter.subject, LONGEST_SHORT)
    return " ".join(filter(None, (words, _main_link(letter))))


def _main_link(letter: Letter) -> str:
    action = letter.action or letter.link
    return action.url if action is not None else ""


@cache
def _shell() -> str:
    """Return what all letters stand in; `{names}` are filled with escaped words."""
    source: str = get_template("notifications/letter.html").template.source  # type: ignore[attr-defined]
    return source


def _body(letter: Letter) -> str:
    action = []
    if letter.action is not None:
        action = [_fill(_BUTTON, letter.action.url, letter.action.label)]
        action += [_fill(_NOTE, letter.action.note)] if letter.action.note else []
    marks = [_fill(_SEVERITY, str(letter.severity))] if letter.severity else []
    marks += [_fill("#{}", str(letter.number))] if letter.number else []
    parts = [_MARKS.format(" ".join(marks))] if marks else []
    parts += [_fill(_TITLE, letter.title), _fill(_FIRST, letter.lead[0])]
    parts += [_fill(_LINE, line) for line in letter.lead[1:]]
    parts += action if letter.action_first else []
    if letter.tickets:
        parts += [_TICKETS.format("".join(_ticket_row(line) for line in letter.tickets))]
    parts += [_fill(_PASSAGE, passage.title, passage.text) for passage in letter.passages]
    parts += [] if letter.action_first else action
    if letter.facts:
        parts += [_FACTS.format("".join(_fill(_FACT, label, value) for label, value in letter.facts))]
    if letter.link:
        parts += [_fill(_LINK, letter.link.url, letter.link.label)]
    return "".join(parts)


def _fill(pattern: str, *words: str) -> str:
    """Put words, escaped, into a piece of ours; nothing that people wrote gets into a letter by another way."""
    return pattern.format(*map(escape, words))


def _ticket_row(line: TicketLine) -> str:
    link = line.action
    # Many links that read alike: their names tell them apart for those who hear them.
    name = f"{link.label}: #{line.number}"
    words = (str(line.severity), str(line.number), line.subject, line.note, link.url, name, link.label)
    return _fill(_TICKET, *words)


def one_line(text: str, limit: int = LONGEST_SUBJECT) -> str:
    """Return `text` fit for a header: one line, no control or reordering characters, at most `limit` long."""
    if not text.isprintable():
        text = _harmless(text)
    clean = " ".join(text.split())
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


def _harmless(text: str) -> str:
    spaced = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    # A lone surrogate can't be encoded, and the whole mail would fail with it.
    return _REORDERING.sub("", spaced).encode("utf-8", "replace").decode("utf-8")


def page(path: str) -> str:
    """Return the public address of one of Belay's own pages."""
    return f"{settings.BELAY_URL.rstrip('/')}{path}"


def desk_url(ticket_id: int) -> str:
    """Return where people who work tickets see this one."""
    return page(f"/t/{ticket_id}/")


def portal_url(ticket_id: int) -> str:
    """Return where the requester sees this ticket."""
    return page(f"/portal/{ticket_id}/")


def moment(at: dt.datetime, zone: str, now: dt.datetime) -> str:
    """Return an instant as its reader's wall clock shows it, with the zone named and how far away it is.

    The day stands there only when it is not today's in that zone: "14:32 (Europe/Berlin), in 12 min".
    """
    tz = zoneinfo.ZoneInfo(zone)
    local = at.astimezone(tz)
    same_day = local.date() == now.astimezone(tz).date()
    wall = f"{local:%H:%M}" if same_day else f"{local:%a} {local.day} {local:%b %H:%M}"
    away = at - now
    far = f"in {spoken(away)}" if away >= dt.timedelta(0) else f"{spoken(away)} ago"
    return f"{wall} ({zone}), {far}"


def _trimmed(letter: Letter) -> Letter:
    passages = tuple(
        Passage(passage.title, _cut(passage.text)) for passage in letter.passages if passage.text.strip()
    )
    facts = tuple((label, one_line(value, 300)) for label, value in letter.facts if value)
    return replace(
        letter,
        subject=one_line(letter.subject),
        title=one_line(letter.title, 300),
        lead=tuple(line for line in letter.lead if line),
        facts=facts,
        passages=passages,
        tickets=tuple(replace(line, subject=one_line(line.subject, 120)) for line in letter.tickets),
    )


def _cut(text: str) -> str:
    text = text.strip().encode("utf-8", "replace").decode("utf-8")
    if len(text) <= LONGEST_PASSAGE:
        return text
    return text[:LONGEST_PASSAGE].rstrip() + "\n\n[…] The rest stands in the ticket."


def _text(letter: Letter) -> str:
    marks = [f"SEV{letter.severity}"] if letter.severity else []
    marks += [f"#{letter.number}"] if letter.number else []
    heading = "  ".join([*marks, letter.title])
    blocks = [f"{heading}\n{'=' * min(len(heading), _WIDTH)}", *letter.lead]
    action = []
    if letter.action:
        note = f"\n{letter.action.note}" if letter.action.note else ""
        action = [f"{letter.action.label}:\n{letter.action.url}{note}"]
    # Indented: a line that somebody wrote can't pass for one of ours.
    passages = [
        f"{passage.title}\n\n" + "\n".join(f"    {line}".rstrip() for line in passage.text.splitlines())
        for passage in letter.passages
    ]
    blocks += [
        f"SEV{line.severity}  #{line.number}  {line.subject}\n{line.note}\n{line.action.label}: {line.action.url}"
        for line in letter.tickets
    ]
    blocks += [*action, *passages] if letter.action_first else [*passages, *action]
    if letter.facts:
        widest = max(len(label) for label, _ in letter.facts)
        blocks.append("\n".join(f"{label:<{widest}}  {value}" for label, value in letter.facts))
    if letter.link:
        blocks.append(f"{letter.link.label}: {letter.link.url}")
    # The usual signature mark: mail programs fold away what follows.
    blocks.append(f"-- \n{letter.footer}" if letter.footer else "-- \nBelay")
    return "\n\n".join(blocks) + "\n"
