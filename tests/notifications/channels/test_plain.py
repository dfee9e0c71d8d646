"""Nothing that a ticket says becomes markup or a mention in a chat."""

import pytest

from notifications.channels.plain import plain
from tests.notifications.channels.loopback import Server, envelope, own


@pytest.mark.parametrize(
    "words", ["@channel", "@here now", "hey @everyone", "<!channel>", "<@U123>", "(@all)"]
)
def test_mentions_mention_nobody(words: str) -> None:
    said = plain(words)

    assert not any(mention in said for mention in ("@c", "@h", "@e", "@a", "@U", "<!", "<@"))


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        ("*bold* **bold**", "*"),
        ("`code` ```x```", "`"),
        ("~~gone~~", "~"),
        ("_soft_ __strong__", "_"),
        ("[pay](https://evil.example)", "]("),
        ("[pay]: https://evil.example", "]:"),
        ("[pay][1]", "]["),
        ("<https://evil.example|Belay>", "<"),
        ("<https://evil.example|Belay>", "|"),
        ("||spoiler||", "|"),
        (":fire: now", ":fire:"),
        ("<b>x</b>", "<"),
    ],
)
def test_marks_mark_nothing(words: str, absent: str) -> None:
    assert absent not in plain(words)


@pytest.mark.parametrize("line", ["# big", "> said", "- one", "1. one", "    code", "=== ", "+ x", "\tcode"])
def test_no_line_begins_a_block(line: str) -> None:
    said = plain(f"first\n{line}").splitlines()[1]

    assert not said[:1].isspace()
    assert said[:1] not in "#>-+=1"


@pytest.mark.parametrize(
    "words", ["db_01_primary is down", "at 10:30:45", "[SEV1] #7: 5 % – fine", "C:\\temp"]
)
def test_what_is_no_markup_stays_as_it_is(words: str) -> None:
    assert plain(words) == words


def test_our_own_link_stays_whole() -> None:
    link = "https://belay.example/a/_x_*y*/"

    assert plain(f"*now*: {link}", link).endswith(link)


def test_a_subject_reaches_a_chat_harmless(server: Server) -> None:
    from notifications.channels import chat

    secret = own(f"mmost://127.0.0.1:{server.port}/abcdefghijklmnopqrstuvwxyz")

    chat.sender()(envelope(secret=secret, subject="<!channel> @channel [x](http://evil.example) **loud**"))

    text = server.said["text"]
    assert "@channel" not in text
    assert "<!" not in text
    assert "](" not in text
    assert "**loud" not in text
    assert "https://belay.example/a/xyz" in text
