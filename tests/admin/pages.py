"""Read a form out of a page the way a browser without scripts would send it."""

from html.parser import HTMLParser
from typing import Any

Fields = dict[str, list[str]]


class _Form(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.inside = False
        self.fields: Fields = {}
        self.invalid: list[str] = []
        self.select: str | None = None
        self.first_option: str | None = None
        self.chosen = False
        self.multiple = False
        self.textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = given.get("id") == self.form_id
        if not self.inside:
            return
        name = given.get("name")
        if name and given.get("aria-invalid") == "true":
            self.invalid.append(name)
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind in {"submit", "button"} or (kind in {"checkbox", "radio"} and "checked" not in given):
                return
            self.fields.setdefault(name, []).append(
                given.get("value") or ("on" if kind == "checkbox" else "")
            )
        elif tag == "select" and name:
            self.select, self.first_option, self.chosen = name, None, False
            self.multiple = "multiple" in given
        elif tag == "option" and self.select:
            value = given.get("value", "")
            if self.first_option is None:
                self.first_option = value
            if "selected" in given:
                self.chosen = True
                self.fields.setdefault(self.select, []).append(value)
        elif tag == "textarea" and name:
            self.textarea = name
            self.fields[name] = [""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select" and self.select:
            if not self.chosen and not self.multiple and self.first_option is not None:
                self.fields.setdefault(self.select, []).append(self.first_option)
            self.select = None
        elif tag == "textarea":
            self.textarea = None

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.fields[self.textarea][0] += data.removeprefix("\n").removeprefix("\r\n")


def read_form(answer: Any, form_id: str) -> Fields:
    """Return what the form would send, untouched."""
    parser = _Form(form_id)
    parser.feed(answer.content.decode())
    assert parser.fields, f"no form “{form_id}” on the page"
    return parser.fields


def invalid_fields(answer: Any, form_id: str) -> list[str]:
    """Return the names of the controls that the page marks as wrong."""
    parser = _Form(form_id)
    parser.feed(answer.content.decode())
    return parser.invalid
