"""Every change to the words that admins give to kinds of messages."""

import datetime as dt

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Refused
from notifications.models import MessageTemplate
from notifications.models.reading import IN_SHORT
from notifications.rendering import kinds
from notifications.rules.wording import names_in, problems_of
from notifications.wording import KNOWN

Form = MessageTemplate.Form
LONGEST = 20_000


def save_template(
    *,
    kind: str,
    form: str,
    body: str,
    actor: User | None,
    now: dt.datetime,
    subject: str = "",
    language: str = "",
    channel: str = "",
    is_active: bool = True,
) -> MessageTemplate:
    """Give a kind of message words of its own, for readers of one language or (empty) for all others.

    A short form may be for one `channel` only; empty is all that have none of their own.

    Holds for messages sent from now on, those that wait in the outbox included. Raises NotAllowed, Refused.
    """
    permit(actor, Verb.ADMINISTER)
    check_wording(kind=kind, form=form, subject=subject, body=body, channel=channel)
    row, _ = MessageTemplate.objects.update_or_create(
        kind=kind,
        form=form,
        language=language.strip().lower(),
        channel=channel,
        defaults={
            "subject": subject.strip(),
            "body": body.strip(),
            "is_active": is_active,
            "changed_at": now,
            "changed_by": actor,
        },
    )
    return row


def remove_template(*, template: MessageTemplate, actor: User | None) -> None:
    """Go back to the built-in words. Raises NotAllowed."""
    permit(actor, Verb.ADMINISTER)
    template.delete()


def check_wording(*, kind: str, form: str, subject: str, body: str, channel: str = "") -> None:
    """Refuse words that say nothing, name what nobody knows, or leave out the way to act. Raises Refused."""
    if kind not in kinds():
        raise Refused(
            f"There is no kind of message “{kind}”.",
            field="kind",
            value=kind,
            mend="Take one of those offered.",
        )
    if form not in Form.values:
        raise Refused(
            f"“{form}” is no form.", field="form", value=form, mend=f"Take {', '.join(Form.values)}."
        )
    _check_channel(form, channel)
    if not body.strip():
        raise Refused(
            "It says nothing.", field="body", mend="Write something, or go back to the built-in words."
        )
    if len(body) > LONGEST:
        raise Refused(
            f"It has {len(body)} characters.", field="body", value=body[:80], mend=f"Take at most {LONGEST}."
        )
    if form == Form.SHORT and subject.strip():
        raise Refused(
            "A short message has no subject line.", field="subject", value=subject, mend="Leave it empty."
        )
    if "\n" in subject.strip():
        raise Refused(
            "A subject is one line.", field="subject", value=subject, mend="Take out the line break."
        )
    for field, text in (("subject", subject), ("body", body)):
        for problem in problems_of(text, KNOWN):
            raise Refused(problem.message, field=field, value=problem.value, mend=problem.mend)
    if form == Form.MAIL and not {"action", "url"}.intersection(names_in(body)):
        raise Refused(
            "Whoever gets it could not act on it: neither the button nor its address is in it.",
            field="body",
            value=body[:80],
            mend="Put {{ action }} on a line of its own, or {{ url }} into a sentence.",
        )


def _check_channel(form: str, channel: str) -> None:
    if not channel:
        return
    if channel not in dict(IN_SHORT):
        raise Refused(
            f"Nothing is said in short by “{channel}”.",
            field="channel",
            value=channel,
            mend=f"Take {', '.join(dict(IN_SHORT))}, or none for all of them.",
        )
    if form != Form.SHORT:
        raise Refused(
            "A mail goes by mail only.",
            field="channel",
            value=channel,
            mend="Leave the channel empty, or take the short form.",
        )
