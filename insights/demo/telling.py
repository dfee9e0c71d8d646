"""Pick stories, people and words for the demo's tickets; all chance comes from one seeded generator."""

import datetime as dt
import random
from dataclasses import dataclass

from accounts.models import User
from escalation.paths import facts_of
from escalation.rules.paths import PathRule, choose
from insights.demo.house import House
from insights.demo.stories import DEVICES, HANDOFF_IMPACT, SITES, STORIES, Story
from tickets.models import Source, Ticket
from tickets.operations import Draft
from tickets.rules import default_severity

# In whose houses a service is used; the others are used everywhere.
_USED_BY = {
    "Patient calendar": ("Kestrel Clinics",),
    "Card payments": ("Bluewater Retail",),
    "Payouts": ("Meridian Freight", "Bluewater Retail"),
    "Warehouse scanners": ("Northgate Warehouses",),
    "Freight planner": ("Meridian Freight", "Northgate Warehouses"),
}
# How often which hour of the day opens a case, counted in a real log of 743 incidents.
HOURS = (4, 11, 6, 6, 8, 9, 19, 27, 57, 63, 58, 63, 51, 59, 82, 72, 41, 26, 14, 21, 11, 19, 11, 5)


@dataclass(slots=True)
class Case:
    """One ticket to be: its story with the blanks filled in, who asks, and the path it will take."""

    story: Story
    requester: User
    rule: PathRule
    severity: int
    subject: str
    site: str
    device: str
    number: int
    source: str

    def words(self, text: str) -> str:
        return text.format(site=self.site, device=self.device, number=self.number)

    def handoff(self, rng: random.Random) -> dict[str, str]:
        story = self.story
        return {
            "impact": self.words(rng.choice(HANDOFF_IMPACT)),
            "tried": self.words(story.tried),
            "suspected": self.words(story.suspected),
            "next_action": self.words(story.next_action),
        }

    def draft(self, house: House) -> Draft:
        return Draft(
            requester=self.requester,
            subject=self.subject,
            body=self.words(self.story.body),
            service=house.services[self.story.service],
            category=house.categories[self.story.category],
            impact=self.story.impact,
            urgency=self.story.urgency,
            source=self.source,
        )


def make_case(house: House, rng: random.Random, story: Story | None = None) -> Case:
    """Make up one case; its path follows from the conditions, as it will when the ticket is opened."""
    story = story or rng.choice(STORIES)
    names = _USED_BY.get(story.service)
    people = [
        user
        for user in house.requesters
        if names is None or (user.organisation is not None and user.organisation.name in names)
    ]
    requester = rng.choice(people)
    monitored = story.body.startswith("Monitoring:")
    source = (
        Source.MONITORING
        if monitored
        else rng.choices((Source.PORTAL, Source.EMAIL, Source.AGENT), weights=(5, 4, 3))[0]
    )
    severity = default_severity(story.impact, story.urgency)
    case = Case(
        story=story,
        requester=requester,
        rule=next(iter(house.rules.values())),
        severity=severity,
        subject="",
        site=rng.choice(SITES),
        device=rng.choice(DEVICES),
        number=rng.randint(2, 9),
        source=source,
    )
    case.subject = case.words(rng.choice(story.subjects))
    likeness = Ticket(
        severity=severity,
        service=house.services[story.service],
        category=house.categories[story.category],
        organisation=requester.organisation,
        impact=story.impact,
        source=source,
        requester=requester,
    )
    rules = sorted(house.rules.values(), key=lambda rule: house.order[rule.name])
    case.rule = choose(rules, facts_of(likeness))
    return case


def day_time(rng: random.Random, day: dt.date) -> dt.datetime:
    """Return an instant of a day (UTC), at hours like those of the real log; weekends are quiet nights over."""
    hour = rng.choices(range(24), weights=HOURS)[0]
    seconds = rng.randrange(3600)
    return dt.datetime.combine(day, dt.time(hour), dt.UTC) + dt.timedelta(seconds=seconds)
