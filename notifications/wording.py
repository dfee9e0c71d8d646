"""What an admin has made of a kind of message: their words in place of the built-in ones (MessageTemplate).

Applied to a letter when it is sent. The letter's own parts (facts, what people wrote, the button) may be named in it;
heading and footer stay, so that every mail says what it is about and why one gets it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from notifications.letters import (
    PARTS,
    Action,
    Letter,
    Passage,
    as_html,
    as_text,
    compose,
    html_paragraph,
    html_parts,
    main_link,
    one_line,
    page,
    text_parts,
    with_link,
)
from notifications.models import MessageTemplate, Notification
from notifications.rendering import Rendered
from notifications.rules.wording import filled, filled_lines, laid_out, names_in

Form = MessageTemplate.Form
# By kind, form, channel and language.
Templates = Mapping[tuple[str, str, str, str], MessageTemplate]

# Names of a letter's parts and of what stands in it; the labels of facts are names too (“Held so far”: held_so_far).
NAMES: Mapping[str, str] = {
    "title": "the ticket's subject",
    "number": "the ticket's number",
    "severity": "SEV1 to SEV4, where the message has one",
    "subject": "the built-in subject line",
    "first_line": "what is wanted, in a sentence",
    "url": "the address that matters: the acknowledge link, else the ticket",
    "lead": "the first lines, as a part",
    "action": "the button, as a part",
    "tickets": "the tickets of a digest, as a part",
    "passages": "handoff and what people wrote, as a part",
    "facts": "the table of facts, as a part",
    "link": "the second link, as a part",
}
FACTS: Mapping[str, str] = {
    "requester": "who asked",
    "service": "what it is about",
    "held_by": "tier and team",
    "status": "the ticket's status",
    "next_deadline": "what is due next",
    "held_so_far": "how long it was at each step",
    "told_so_far": "who else was told, and what came of it",
    "if_nobody_takes_it": "when it climbs, and where to",
    "handoff": "the handoff, or how it began",
    "with": "the team that has it",
    "solved_by": "the team that solved it",
    "files": "names of files",
}
KNOWN = frozenset(NAMES) | frozenset(FACTS)
BUILT_IN = {
    Form.MAIL: "{{ lead }}\n\n{{ action }}\n\n{{ passages }}\n\n{{ facts }}\n\n{{ link }}",
    Form.SHORT: "{{ subject }}. {{ first_line }}",
}


def templates_for(rows: Iterable[Notification]) -> Templates:
    """Return the templates that apply to these rows' kinds, those that are in use; one query."""
    kinds = {row.kind for row in rows}
    found = MessageTemplate.objects.filter(kind__in=kinds, is_active=True)
    return {(one.kind, one.form, one.channel, one.language): one for one in found}


def worded(row: Notification, rendered: Rendered, templates: Templates) -> Rendered:
    """Return a message in the words that were made for its kind: in its reader's language, for its channel.

    Where there are none, those for everybody and every channel, then the built-in ones.
    """
    letter = rendered.letter
    if not templates or not isinstance(letter, Letter):
        return rendered
    mail, short = _template(row, Form.MAIL, templates), _template(row, Form.SHORT, templates)
    return apply(letter, rendered, mail=mail, short=short)


def apply(
    letter: Letter, rendered: Rendered, *, mail: MessageTemplate | None, short: MessageTemplate | None
) -> Rendered:
    """Return a letter in an admin's words; where these come to nothing, the built-in ones stand."""
    values = values_of(letter)
    subject, text, html, brief = rendered.subject, rendered.text, rendered.html, ""
    if mail is not None:
        subject = one_line(filled(mail.subject, values)) or subject
        names = [name for name in PARTS if name in names_in(mail.body)]
        texts = laid_out(
            mail.body,
            parts={name: text_parts(letter, [name])[0] for name in names},
            paragraph=lambda block: filled_lines(block, values),
        )
        if texts:
            htmls = laid_out(
                mail.body,
                parts={name: html_parts(letter, [name])[0] for name in names},
                paragraph=lambda block: html_paragraph(filled_lines(block, values)),
            )
            text, html = as_text(letter, texts), as_html(letter, htmls)
    if short is not None and (words := " ".join(filled_lines(short.body, values).split())):
        brief = with_link(words, letter)
    return replace(
        rendered,
        subject=subject,
        text=text,
        html=html,
        short=brief or rendered.short,
        own_short=bool(brief),
    )


def values_of(letter: Letter) -> dict[str, str]:
    """Return what a wording's names stand for in this letter; parts that are not a block of their own as text."""
    values = {name: text_parts(letter, [name])[0] for name in PARTS}
    values |= {
        "title": letter.title,
        "number": str(letter.number or ""),
        "severity": f"SEV{letter.severity}" if letter.severity else "",
        "subject": letter.subject,
        "first_line": letter.lead[0] if letter.lead else "",
        "url": main_link(letter),
        "handoff": values["passages"],
    }
    return values | {slug(label): value for label, value in letter.facts}


def slug(label: str) -> str:
    """Return the name of a fact by its label."""
    return re.sub(r"\W+", "_", label.strip().lower()).strip("_")


def _template(row: Notification, form: str, templates: Templates) -> MessageTemplate | None:
    contact: Any = row.contact
    language = contact.language if contact is not None else row.user.language if row.user is not None else ""
    # Who can't read it gains nothing by words made for the channel: the language goes first.
    ways = ((row.channel, language), ("", language), (row.channel, ""), ("", ""))
    return next(filter(None, (templates.get((row.kind, form, *way)) for way in ways)), None)


def example() -> Rendered:
    """Return a message to try words out on, where none of the kind has been sent yet."""
    return compose(
        Letter(
            subject="[SEV1] #4711 — L2, please take it",
            title="VPN drops for the whole site",
            number=4711,
            severity=1,
            lead=("Please take it by 03:12 (Europe/Berlin), in 10 min. After that it climbs to L3.",),
            action=Action(
                "Take it, or tell the next one", page("/a/example/"), "Opens a page with one button."
            ),
            facts=(
                ("Requester", "Carla Jansen, Meridian"),
                ("Service", "VPN"),
                ("Held by", "L2 Network"),
                ("Status", "Open"),
                ("Next deadline", "03:12 (Europe/Berlin), in 10 min"),
                ("Held so far", "Service desk 30 min"),
                ("Told so far", "Aisha (told), Duty L2 (on the way)"),
                ("If nobody takes it", "03:12 (Europe/Berlin), in 10 min it climbs to L3"),
            ),
            passages=(Passage("Handoff from Piet", "What is known: the tunnel drops every 5 minutes."),),
            link=Action("The whole ticket", page("/t/4711/")),
            footer="You get this mail because you are on the contact list of this step.",
            action_first=True,
        )
    )
