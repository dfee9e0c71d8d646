"""What a mail says, written once: its text part and its HTML part come from the same letter."""

import datetime as dt
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Sequence
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
# In escaped text: it ends where a quotation mark or a bracket begins.
_URL = re.compile(r"https?://[^\s<>\"']+?(?=[.,;:!?)]*(?:\s|$|&lt;|&gt;|&quot;|&#x27;))")
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
    # Where one click ends this kind of mail; the footer says so, and mail programs show it as a button.
    unsubscribe: str = ""
    # Where seconds count, the button comes before what people wrote.
    action_first: bool = False


def compose(letter: Letter) -> Rendered:
    """Give a letter its subject line, text and HTML; what people wrote is escaped and cut to a readable length."""
    letter = trimmed(letter)
    order = IN_HASTE if letter.action_first else AT_LEISURE
    return Rendered(
        subject=letter.subject,
        text=as_text(letter, text_parts(letter, order)),
        html=as_html(letter, html_parts(letter, order)),
        short=short_form(letter),
        link=main_link(letter),
        unsubscribe=letter.unsubscribe,
        letter=letter,
    )


# The parts of a letter, as an admin's wording may name them too; first where seconds count, and else.
IN_HASTE = ("lead", "action", "tickets", "passages", "facts", "link")
AT_LEISURE = ("lead", "tickets", "passages", "action", "facts", "link")
PARTS = IN_HASTE


def short_form(letter: Letter) -> str:
    """Return a letter in few words for SMS and chat: the subject, the first line, and the one link that matters."""
    words = f"{letter.subject}. {letter.lead[0]}" if letter.lead else letter.subject
    return with_link(words, letter)


def with_link(words: str, letter: Letter) -> str:
    """Return words on one line, cut so that the link that matters stays whole."""
    link = main_link(letter)
    words = one_line(words.replace(link, " ") if link else words, LONGEST_SHORT)
    return " ".join(filter(None, (words, link)))


def main_link(letter: Letter) -> str:
    """Return the one link that matters, "" where there is none."""
    action = letter.action or letter.link
    return action.url if action is not None else ""


def as_html(letter: Letter, parts: Sequence[str]) -> str:
    """Return the page that a mail's HTML part is; `parts` are escaped already."""
    return _shell().format(
        subject=escape(letter.subject),
        first=escape(letter.lead[0] if letter.lead else letter.title),
        body="".join([_heading(letter), *parts]),
        footer=_URL.sub(_linked, escape(_footer(letter))),
    )


def _footer(letter: Letter) -> str:
    stop = f"Stop these mails: {letter.unsubscribe}" if letter.unsubscribe else ""
    return " ".join(filter(None, (letter.footer or "Belay", stop)))


@cache
def _shell() -> str:
    """Return what all letters stand in; `{names}` are filled with escaped words."""
    source: str = get_template("notifications/letter.html").template.source  # type: ignore[attr-defined]
    return source


def _heading(letter: Letter) -> str:
    marks = [_fill(_SEVERITY, str(letter.severity))] if letter.severity else []
    marks += [_fill("#{}", str(letter.number))] if letter.number else []
    return (_MARKS.format(" ".join(marks)) if marks else "") + _fill(_TITLE, letter.title)


def html_parts(letter: Letter, names: Sequence[str]) -> list[str]:
    """Return parts of a letter as HTML, everything in them escaped; those that say nothing are empty."""
    return [_HTML[name](letter) for name in names]


def _html_lead(letter: Letter) -> str:
    return "".join(_fill(_LINE if place else _FIRST, line) for place, line in enumerate(letter.lead))


def _html_action(letter: Letter) -> str:
    if letter.action is None:
        return ""
    note = _fill(_NOTE, letter.action.note) if letter.action.note else ""
    return _fill(_BUTTON, letter.action.url, letter.action.label) + note


def _html_tickets(letter: Letter) -> str:
    return _TICKETS.format("".join(_ticket_row(line) for line in letter.tickets)) if letter.tickets else ""


def _html_passages(letter: Letter) -> str:
    return "".join(_fill(_PASSAGE, passage.title, passage.text) for passage in letter.passages)


def _html_facts(letter: Letter) -> str:
    return (
        _FACTS.format("".join(_fill(_FACT, label, value) for label, value in letter.facts))
        if letter.facts
        else ""
    )


def _html_link(letter: Letter) -> str:
    return _fill(_LINK, letter.link.url, letter.link.label) if letter.link else ""


_HTML: dict[str, Callable[[Letter], str]] = {
    "lead": _html_lead,
    "action": _html_action,
    "tickets": _html_tickets,
    "passages": _html_passages,
    "facts": _html_facts,
    "link": _html_link,
}


def html_paragraph(text: str) -> str:
    """Return a paragraph of an admin's own; its lines stay lines, and addresses become links."""
    lines = (_URL.sub(_linked, escape(line)) for line in text.splitlines())
    return f'<p style="margin:0 0 12px">{"<br>".join(lines)}</p>\n' if text.strip() else ""


def _linked(match: re.Match[str]) -> str:
    return f'<a href="{match.group(0)}">{match.group(0)}</a>'


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


def trimmed(letter: Letter) -> Letter:
    """Return a letter fit to be sent: one-line subjects and facts, no empty parts, nothing longer than is read."""
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


def as_text(letter: Letter, parts: Sequence[str]) -> str:
    """Return a mail's text part."""
    marks = [f"SEV{letter.severity}"] if letter.severity else []
    marks += [f"#{letter.number}"] if letter.number else []
    heading = "  ".join([*marks, letter.title])
    blocks = [f"{heading}\n{'=' * min(len(heading), _WIDTH)}", *filter(None, parts)]
    # The usual signature mark: mail programs fold away what follows.
    blocks.append(f"-- \n{_footer(letter)}")
    return "\n\n".join(blocks) + "\n"


def text_parts(letter: Letter, names: Sequence[str]) -> list[str]:
    """Return parts of a letter as text; those that say nothing are empty."""
    return [_TEXT[name](letter) for name in names]


def _text_lead(letter: Letter) -> str:
    return "\n\n".join(letter.lead)


def _text_action(letter: Letter) -> str:
    if letter.action is None:
        return ""
    note = f"\n{letter.action.note}" if letter.action.note else ""
    return f"{letter.action.label}:\n{letter.action.url}{note}"


def _text_tickets(letter: Letter) -> str:
    return "\n\n".join(
        f"SEV{line.severity}  #{line.number}  {line.subject}\n{line.note}\n{line.action.label}: {line.action.url}"
        for line in letter.tickets
    )


def _text_passages(letter: Letter) -> str:
    # Indented: a line that somebody wrote can't pass for one of ours.
    return "\n\n".join(
        f"{passage.title}\n\n" + "\n".join(f"    {line}".rstrip() for line in passage.text.splitlines())
        for passage in letter.passages
    )


def _text_facts(letter: Letter) -> str:
    widest = max((len(label) for label, _ in letter.facts), default=0)
    return "\n".join(f"{label:<{widest}}  {value}" for label, value in letter.facts)


def _text_link(letter: Letter) -> str:
    return f"{letter.link.label}: {letter.link.url}" if letter.link else ""


_TEXT: dict[str, Callable[[Letter], str]] = {
    "lead": _text_lead,
    "action": _text_action,
    "tickets": _text_tickets,
    "passages": _text_passages,
    "facts": _text_facts,
    "link": _text_link,
}
