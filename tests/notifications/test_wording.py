"""Messages in an admin's own words: what they may name, what is refused, and that nothing of it fails while sending."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.db import database_now
from core.errors import NotAllowed, Refused
from escalation import kinds
from notifications import engine
from notifications.letters import Action, Letter, Passage, compose
from notifications.models import Contact, MessageTemplate, Notification
from notifications.operations import remove_template, save_template
from notifications.rendering import name_of
from notifications.rules.wording import filled, filled_lines, laid_out, problems_of
from notifications.wording import (
    BUILT_IN,
    FACTS,
    KNOWN,
    apply,
    example,
    slug,
    templates_for,
    values_of,
    worded,
)
from tests import mail
from tests.escalation.looking import at_l2
from tests.house import HOUR, House, build_house

Form = MessageTemplate.Form
EVIL = "<script>alert(1)</script> & \u202egnp"


def letter(**more: Any) -> Letter:
    values: dict[str, Any] = {
        "subject": "[SEV2] #7 — L2, please take it",
        "title": "VPN drops",
        "number": 7,
        "severity": 2,
        "lead": ("Please take it by noon.", "Nobody has taken it so far."),
        "action": Action("Take it", "https://belay.example.org/a/x/", "No sign-in."),
        "facts": (("Held so far", "Service desk 30 min"), ("Service", "VPN")),
        "passages": (Passage("Handoff from Piet", "It drops."),),
    }
    return Letter(**values | more)


def in_words(body: str, *, subject: str = "", form: str = Form.MAIL, of: Letter | None = None) -> Any:
    template = MessageTemplate(kind=kinds.TELL, form=form, subject=subject, body=body)
    rendered = compose(of or letter())
    is_mail = form == Form.MAIL
    return apply(
        rendered.letter,
        rendered,
        mail=template if is_mail else None,
        short=None if is_mail else template,
    )


# --- rules ------------------------------------------------------------------------------------------------------------


def test_names_are_filled_and_unknown_ones_are_empty() -> None:
    assert (
        filled("{{severity}}: {{ title }} {{ nothing }}!", {"severity": "SEV1", "title": "VPN"})
        == "SEV1: VPN !"
    )


def test_a_line_whose_names_are_all_empty_is_left_out() -> None:
    text = "Held: {{ held }}\nService {{ service }} of {{ requester }}\nBye"

    assert filled_lines(text, {"requester": "Carla"}) == "Service  of Carla\nBye"


def test_a_block_that_is_a_parts_name_is_that_part() -> None:
    found = laid_out(
        "Hello\nthere\r\n\r\n{{ facts }}\n\n \n{{ none }}",
        parts={"facts": "<FACTS>", "none": ""},
        paragraph=str.upper,
    )

    assert found == ["HELLO\nTHERE", "<FACTS>"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ titel }}", "Is it title?"),
        ("{{ xyzzy }}", "Take one of"),
        ("{% if x %}", "braces"),
        ("{{ a b }}", "braces"),
        ("{{ title }", "braces"),
        ("{{ title }} {single} }", ""),
    ],
)
def test_what_will_not_do_is_named_with_its_mend(text: str, says: str) -> None:
    found = " ".join(f"{one.message} {one.mend}" for one in problems_of(text, ["title", "facts"]))

    assert says in found
    assert bool(found) == bool(says)


@given(st.text(max_size=200), st.text(max_size=40))
def test_filling_never_fails_and_fills_nothing_twice(text: str, value: str) -> None:
    """A ticket's subject that looks like a name stays what it is."""
    sneaky = f"{value} {{{{ title }}}}"

    assert "{{ title }}" in filled("{{ title }}" + text, {"title": sneaky})


# --- letters ----------------------------------------------------------------------------------------------------------


def test_the_built_in_words_as_a_template_say_what_is_said_without_one() -> None:
    rendered = compose(letter(action_first=True))

    shown = in_words(BUILT_IN[Form.MAIL], of=letter(action_first=True))

    assert shown == rendered


def test_own_words_stand_between_heading_and_footer_in_text_and_html() -> None:
    shown = in_words(
        "Hi, {{ service }} needs you: {{ title }}.\nRunbook: https://wiki.example.org/vpn.\n\n{{ action }}"
        "\n\n{{ facts }}",
        subject="{{ severity }} {{ service }}",
    )

    assert shown.subject == "SEV2 VPN"
    assert "Hi, VPN needs you: VPN drops.\nRunbook" in shown.text
    assert '<a href="https://wiki.example.org/vpn">https://wiki.example.org/vpn</a>.' in shown.html
    assert "Take it:\nhttps://belay.example.org/a/x/" in shown.text
    assert shown.html.count("https://belay.example.org/a/x/") == 1
    assert shown.text.startswith("SEV2  #7  VPN drops\n")
    assert "It drops." not in shown.text


def test_what_people_wrote_stays_escaped_and_harmless_in_own_words() -> None:
    evil = letter(title=EVIL, facts=(("Service", EVIL),), passages=(Passage("P", EVIL),))

    body = "{{ title }} {{ service }} {{ handoff }}\n\n{{ passages }}\n\n{{ url }}"
    shown = in_words(body, subject="{{ title }}\nBcc: x", of=evil)

    assert "<script" not in shown.html
    assert "\n" not in shown.subject
    assert "\u202e" not in shown.subject


def test_a_short_form_keeps_its_link_whole_whatever_its_words() -> None:
    shown = in_words(
        "{{ severity }} {{ title }}: {{ held_so_far }} {{ url }} " + "long " * 200, form=Form.SHORT
    )

    assert shown.short.startswith("SEV2 VPN drops: Service desk 30 min")
    assert shown.short.endswith(" https://belay.example.org/a/x/")
    assert shown.short.count("https://belay") == 1
    assert len(shown.short) <= 300 + 32


def test_the_built_in_short_form_is_what_a_template_of_its_words_gives() -> None:
    assert in_words(BUILT_IN[Form.SHORT], form=Form.SHORT).short == compose(letter()).short


def test_words_that_come_to_nothing_leave_the_built_in_ones() -> None:
    empty = letter(facts=(), passages=())

    shown = in_words("{{ facts }}", of=empty)

    assert shown.text == compose(empty).text


def test_the_example_has_every_name_that_is_offered() -> None:
    values = values_of(example().letter)

    assert {name for name in KNOWN if name not in values} <= {"with", "solved_by", "files"}
    assert set(FACTS) - {"handoff"} >= {slug(label) for label, _ in example().letter.facts}


# --- operations and sending ------------------------------------------------------------------------------------


@pytest.fixture
def house(db: None) -> House:
    return build_house(now=database_now() - HOUR)


def saved(house: House, **more: Any) -> MessageTemplate:
    values: dict[str, Any] = {
        "kind": kinds.TELL,
        "form": Form.MAIL,
        "body": "Up! {{ title }}\n\n{{ action }}",
    }
    return save_template(**values | more, actor=house.admin, now=house.now)


def test_a_telling_goes_out_in_the_words_that_were_saved_meanwhile(house: House, smtp: mail.Mailbox) -> None:
    ticket = at_l2(house)
    saved(house, subject="UP {{ number }}")

    engine.tick(senders=1)

    told = [one for one in smtp.mails if one["To"] == "aisha@example.org"]
    assert [one["Subject"] for one in told] == [f"UP {ticket.pk}"]
    assert "Up! VPN drops" in told[0].get_payload(0).get_payload(decode=True).decode()


def test_words_in_the_readers_language_go_before_those_for_everybody(house: House) -> None:
    ticket = at_l2(house)
    saved(house, subject="Up")
    saved(house, subject="Auf", language="de")
    Contact.objects.filter(name="Duty L2").update(language="de")

    rows = list(Notification.objects.filter(ticket=ticket, round=1).select_related("contact"))
    templates = templates_for(rows)

    subjects = {row.address: worded(row, compose(letter()), templates).subject for row in rows}
    assert subjects == {"aisha@example.org": "Up", "duty2@example.org": "Auf"}


@pytest.mark.parametrize(
    ("channel", "language", "says"),
    [
        ("slack", "", "to Slack"),
        ("slack", "fr", "to Slack"),
        ("sms", "", "to all"),
        # Who reads German gains nothing by English words made for the channel.
        ("slack", "de", "auf Deutsch"),
        ("sms", "de", "SMS auf Deutsch"),
    ],
)
def test_a_short_form_has_words_for_one_channel(house: House, channel: str, language: str, says: str) -> None:
    for body, more in (
        ("to all", {}),
        ("to Slack", {"channel": "slack"}),
        ("auf Deutsch", {"language": "de"}),
        ("SMS auf Deutsch", {"language": "de", "channel": "sms"}),
    ):
        saved(house, form=Form.SHORT, body=body, **more)
    row = Notification(kind=kinds.TELL, channel=channel, contact=Contact(language=language))

    shown = worded(row, compose(letter()), templates_for([row]))

    assert shown.short == f"{says} https://belay.example.org/a/x/"
    assert shown.own_short


def test_without_words_of_its_own_a_short_form_is_the_built_in_one(house: House) -> None:
    saved(house, form=Form.SHORT, body="to Slack", channel="slack")
    saved(house)
    row = Notification(kind=kinds.TELL, channel="sms", contact=Contact())

    shown = worded(row, compose(letter()), templates_for([row]))

    assert (shown.short, shown.own_short) == (compose(letter()).short, False)


def test_saving_again_changes_the_same_words_and_removing_them_brings_the_built_in_ones_back(
    house: House,
) -> None:
    first = saved(house)
    second = saved(house, body="{{ action }} now")
    assert first.pk == second.pk

    remove_template(template=second, actor=house.admin)

    assert not MessageTemplate.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kind": "escalation.nothing"}, "kind"),
        ({"form": "fax"}, "form"),
        ({"body": " \n"}, "body"),
        ({"body": "{{ titel }} {{ action }}"}, "body"),
        ({"subject": "{{ nope }}"}, "subject"),
        ({"subject": "two\nlines"}, "subject"),
        ({"body": "No way to act on it."}, "body"),
        ({"body": "{{ action }}" + "x" * 20_000}, "body"),
        ({"form": Form.SHORT, "subject": "none here", "body": "x"}, "subject"),
        ({"form": Form.SHORT, "body": "x", "channel": "fax"}, "channel"),
        ({"form": Form.SHORT, "body": "x", "channel": "email"}, "channel"),
        ({"channel": "slack"}, "channel"),
    ],
)
def test_words_that_will_not_do_are_refused_by_their_field(
    house: House, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        saved(house, **values)

    assert refused.value.field == field
    assert not MessageTemplate.objects.exists()


def test_only_an_admin_words_messages(house: House) -> None:
    with pytest.raises(NotAllowed):
        save_template(
            kind=kinds.TELL, form=Form.MAIL, body="{{ action }}", actor=house.lead, now=database_now()
        )


# --- admin ------------------------------------------------------------------------------------------------------------


ADD = "/admin/notifications/messagetemplate/add/"
PREVIEW = "/admin/notifications/messagetemplate/preview/"
VALUES = {
    "kind": kinds.TELL,
    "form": "mail",
    "language": "",
    "subject": "",
    "body": "Up {{ title }} {{ url }}",
    "is_active": "on",
}


def test_the_page_lists_the_names_and_saves_by_the_operation(house: House, client: Any) -> None:
    client.force_login(house.admin)
    page = client.get(ADD).content.decode()

    answer = client.post(ADD, VALUES)

    assert "held_so_far" in page
    assert answer.status_code == 302
    row = MessageTemplate.objects.get()
    assert (row.body, row.changed_by) == (VALUES["body"], house.admin)


def test_the_page_keeps_words_for_one_channel_beside_those_for_all(house: House, client: Any) -> None:
    client.force_login(house.admin)
    short = VALUES | {"form": "short", "body": "{{ title }}"}

    for channel in ("", "slack"):
        assert client.post(ADD, short | {"channel": channel}).status_code == 302
    refused = client.post(ADD, VALUES | {"channel": "slack"})
    listed = client.get("/admin/notifications/messagetemplate/").content.decode()

    assert set(MessageTemplate.objects.values_list("channel", flat=True)) == {"", "slack"}
    assert "A mail goes by mail only." in refused.content.decode()
    assert "all others" in listed


def test_words_are_changed_in_place_and_what_they_are_for_stays(house: House, client: Any) -> None:
    client.force_login(house.admin)
    row = saved(house, form=Form.SHORT, body="{{ title }}", channel="slack", language="de")
    page = f"/admin/notifications/messagetemplate/{row.pk}/change/"

    assert client.get(page).status_code == 200
    answer = client.post(page, VALUES | {"body": "Auf! {{ title }}", "channel": "sms"})

    assert answer.status_code == 302
    changed = MessageTemplate.objects.get()
    assert (changed.pk, changed.body, changed.channel, changed.language) == (
        row.pk,
        "Auf! {{ title }}",
        "slack",
        "de",
    )


def test_words_that_are_changed_can_be_looked_at_first(house: House, client: Any) -> None:
    client.force_login(house.admin)
    row = saved(house, form=Form.SHORT, body="{{ title }}", channel="slack")
    page = client.get(f"/admin/notifications/messagetemplate/{row.pk}/change/").content.decode()
    assert f'formaction="{PREVIEW}?of={row.pk}"' in page
    assert f"{name_of(row.kind)} (Slack)" in page

    answer = client.post(f"{PREVIEW}?of={row.pk}", {"body": "Auf! {{ title }}"})

    assert "Auf! VPN drops" in answer.content.decode()
    assert client.post(f"{PREVIEW}?of=x", {"body": "x"}).status_code == 404


def test_the_page_says_beside_the_field_what_is_unknown(house: House, client: Any) -> None:
    client.force_login(house.admin)

    answer = client.post(ADD, VALUES | {"body": "{{ titel }} {{ url }}"})

    assert answer.status_code == 200
    assert "Is it title?" in answer.content.decode()


def test_a_preview_shows_the_latest_message_in_the_new_words_and_saves_nothing(
    house: House, client: Any
) -> None:
    at_l2(house)
    client.force_login(house.admin)

    answer = client.post(PREVIEW, VALUES)

    page = answer.content.decode()
    assert "Made from the latest one" in page
    assert "Up VPN drops" in page
    assert (
        "script-src" not in answer["Content-Security-Policy"]
        or "unsafe" not in answer["Content-Security-Policy"].split("script-src")[1]
    )
    assert not MessageTemplate.objects.exists()


def test_a_preview_without_any_message_uses_an_example_and_of_bad_words_says_why(
    house: House, client: Any
) -> None:
    client.force_login(house.admin)

    good = client.post(PREVIEW, VALUES | {"form": "short", "body": "{{ title }}"})
    bad = client.post(PREVIEW, VALUES | {"body": "{{ titel }}"})

    assert "Made from an example" in good.content.decode()
    assert (bad.status_code, "Is it title?" in bad.content.decode()) == (422, True)


def test_nobody_but_an_admin_previews(house: House, client: Any) -> None:
    client.force_login(house.lead)

    assert client.post(PREVIEW, VALUES).status_code in (302, 403)
