"""Who and what the demo's organisation consists of: plain data, read by `insights.demo.house`."""

from dataclasses import dataclass

from accounts.models import Role, Tier
from tickets.models import Service

DOMAIN = "meridian.example"
PASSWORD = "belay-demo"  # noqa: S105 - meant to be read: it stands in var/sign-ins.txt


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account; `signs_in` says that they get the demo's password."""

    name: str
    email: str
    role: str
    team: str = ""
    zone: str = "Europe/Amsterdam"
    signs_in: bool = False


@dataclass(frozen=True, slots=True)
class TeamPlan:
    """A team with the address of its lead."""

    name: str
    tier: int
    lead: str
    capacity: int


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """Something the organisation runs, who owns it, and the team that knows it."""

    name: str
    description: str
    team: str
    owner: str
    criticality: int


def _at(name: str, domain: str = DOMAIN) -> str:
    return f"{name.lower().replace(' ', '.').replace('é', 'e').replace('ø', 'o').replace('ń', 'n')}@{domain}"


DESK, FIELD = "Service Desk", "Field Support"
NETWORK, APPS, ACCESS, PAYMENTS = (
    "Network Operations",
    "Applications",
    "Identity & Access",
    "Payments Operations",
)
CORE, PLATFORM, PAYENG = "Core Network", "Platform & Databases", "Payments Engineering"
MANAGEMENT = "IT Management"

TEAMS = (
    TeamPlan(DESK, Tier.L1, f"lead@{DOMAIN}", 60),
    TeamPlan(FIELD, Tier.L1, _at("Marek Zielinski"), 25),
    TeamPlan(NETWORK, Tier.L2, _at("Sanne Visser"), 20),
    TeamPlan(APPS, Tier.L2, _at("Oluwaseun Adeyemi"), 25),
    TeamPlan(ACCESS, Tier.L2, _at("Birgit Hansen"), 15),
    TeamPlan(PAYMENTS, Tier.L2, _at("Rafael Ortega"), 15),
    TeamPlan(CORE, Tier.L3, _at("Henrik Lund"), 10),
    TeamPlan(PLATFORM, Tier.L3, _at("Yuki Tanaka"), 12),
    TeamPlan(PAYENG, Tier.L3, _at("Chiara Romano"), 10),
    TeamPlan(MANAGEMENT, Tier.MANAGEMENT, f"manager@{DOMAIN}", 10),
)

STAFF = (
    Person("Ada Moreno", f"admin@{DOMAIN}", Role.ADMIN, signs_in=True),
    Person("Lena Brandt", f"lead@{DOMAIN}", Role.LEAD, DESK, signs_in=True),
    Person("Piet Janssen", f"agent@{DOMAIN}", Role.AGENT, DESK, signs_in=True),
    Person("Aisha Rahman", f"network@{DOMAIN}", Role.AGENT, NETWORK, signs_in=True),
    Person("Ilse de Vries", f"manager@{DOMAIN}", Role.MANAGER, MANAGEMENT, signs_in=True),
    Person("Joris Bakker", _at("Joris Bakker"), Role.AGENT, DESK),
    Person("Nadia Haddad", _at("Nadia Haddad"), Role.AGENT, DESK),
    Person("Kwame Boateng", _at("Kwame Boateng"), Role.AGENT, DESK, "Europe/London"),
    Person("Eva Lindqvist", _at("Eva Lindqvist"), Role.AGENT, DESK, "Europe/Stockholm"),
    Person("Marek Zielinski", _at("Marek Zielinski"), Role.LEAD, FIELD, "Europe/Warsaw"),
    Person("Tom Fletcher", _at("Tom Fletcher"), Role.AGENT, FIELD, "Europe/London"),
    Person("Lucia Ferrari", _at("Lucia Ferrari"), Role.AGENT, FIELD, "Europe/Rome"),
    Person("Sanne Visser", _at("Sanne Visser"), Role.LEAD, NETWORK),
    Person("Dmitri Volkov", _at("Dmitri Volkov"), Role.AGENT, NETWORK),
    Person("Grace Mwangi", _at("Grace Mwangi"), Role.AGENT, NETWORK, "Africa/Nairobi"),
    Person("Oluwaseun Adeyemi", _at("Oluwaseun Adeyemi"), Role.LEAD, APPS, "Europe/London"),
    Person("Hanna Kowalska", _at("Hanna Kowalska"), Role.AGENT, APPS, "Europe/Warsaw"),
    Person("Sven Berger", _at("Sven Berger"), Role.AGENT, APPS, "Europe/Berlin"),
    Person("Priya Nair", _at("Priya Nair"), Role.AGENT, APPS, "Asia/Kolkata"),
    Person("Birgit Hansen", _at("Birgit Hansen"), Role.LEAD, ACCESS, "Europe/Copenhagen"),
    Person("Mateo Silva", _at("Mateo Silva"), Role.AGENT, ACCESS, "Europe/Lisbon"),
    Person("Rafael Ortega", _at("Rafael Ortega"), Role.LEAD, PAYMENTS, "Europe/Madrid"),
    Person("Zeynep Kaya", _at("Zeynep Kaya"), Role.AGENT, PAYMENTS, "Europe/Istanbul"),
    Person("Ben Okafor", _at("Ben Okafor"), Role.AGENT, PAYMENTS, "Europe/London"),
    Person("Henrik Lund", _at("Henrik Lund"), Role.LEAD, CORE, "Europe/Copenhagen"),
    Person("Tomas Novak", _at("Tomas Novak"), Role.AGENT, CORE, "Europe/Prague"),
    Person("Yuki Tanaka", _at("Yuki Tanaka"), Role.LEAD, PLATFORM, "Asia/Tokyo"),
    Person("Callum Reid", _at("Callum Reid"), Role.AGENT, PLATFORM, "Europe/London"),
    Person("Chiara Romano", _at("Chiara Romano"), Role.LEAD, PAYENG, "Europe/Rome"),
    Person("Arjun Mehta", _at("Arjun Mehta"), Role.AGENT, PAYENG, "Asia/Kolkata"),
    Person("Walter Krause", _at("Walter Krause"), Role.MANAGER, MANAGEMENT, "Europe/Berlin"),
)

# name, VIP, mail domain
ORGANISATIONS = (
    ("Meridian Freight", False, DOMAIN),
    ("Meridian Board Office", True, "board.meridian.example"),
    ("Kestrel Clinics", True, "kestrel.example"),
    ("Bluewater Retail", False, "bluewater.example"),
    ("Northgate Warehouses", False, "northgate.example"),
)

REQUESTERS = (
    Person("Carla Nunes", f"requester@{DOMAIN}", Role.REQUESTER, zone="Europe/Lisbon", signs_in=True),
    Person("Noor El Idrissi", _at("Noor El Idrissi"), Role.REQUESTER),
    Person("Jeroen Smit", _at("Jeroen Smit"), Role.REQUESTER),
    Person("Katarina Holm", _at("Katarina Holm"), Role.REQUESTER, zone="Europe/Stockholm"),
    Person("Paul Beaumont", _at("Paul Beaumont"), Role.REQUESTER, zone="Europe/Paris"),
    Person("Fatima Zahra", _at("Fatima Zahra"), Role.REQUESTER, zone="Africa/Casablanca"),
    Person("George Whitlock", _at("George Whitlock"), Role.REQUESTER, zone="Europe/London"),
    Person("Anneke Mulder", _at("Anneke Mulder", "board.meridian.example"), Role.REQUESTER),
    Person("Victor Sandoval", _at("Victor Sandoval", "board.meridian.example"), Role.REQUESTER),
    Person("Dr Maren Vogt", "vip@kestrel.example", Role.REQUESTER, zone="Europe/Berlin", signs_in=True),
    Person("Simon Achterberg", _at("Simon Achterberg", "kestrel.example"), Role.REQUESTER),
    Person("Leila Amari", _at("Leila Amari", "kestrel.example"), Role.REQUESTER, zone="Europe/Paris"),
    Person("Hugo Martin", _at("Hugo Martin", "bluewater.example"), Role.REQUESTER, zone="Europe/Paris"),
    Person("Agnes Toth", _at("Agnes Toth", "bluewater.example"), Role.REQUESTER, zone="Europe/Budapest"),
    Person("Ravi Shankar", _at("Ravi Shankar", "bluewater.example"), Role.REQUESTER, zone="Asia/Kolkata"),
    Person("Ellen Byrne", _at("Ellen Byrne", "bluewater.example"), Role.REQUESTER, zone="Europe/Dublin"),
    Person("Stefan Wolf", _at("Stefan Wolf", "northgate.example"), Role.REQUESTER, zone="Europe/Berlin"),
    Person("Ewa Nowak", _at("Ewa Nowak", "northgate.example"), Role.REQUESTER, zone="Europe/Warsaw"),
    Person("Miguel Santos", _at("Miguel Santos", "northgate.example"), Role.REQUESTER, zone="Europe/Lisbon"),
)

CATEGORIES = (
    "Network",
    "Workplace",
    "Accounts & access",
    "Applications",
    "Payments",
    "Printing",
    "Telephony",
)

_VITAL, _IMPORTANT, _USEFUL = (
    Service.Criticality.VITAL,
    Service.Criticality.IMPORTANT,
    Service.Criticality.USEFUL,
)
SERVICES = (
    ServicePlan(
        "Card payments", "Terminals and card clearing in all shops.", PAYMENTS, _at("Chiara Romano"), _VITAL
    ),
    ServicePlan(
        "Payouts", "Nightly settlement to carriers and shops.", PAYMENTS, _at("Rafael Ortega"), _VITAL
    ),
    ServicePlan(
        "Office network", "LAN and Wi-Fi in offices and clinics.", NETWORK, _at("Sanne Visser"), _VITAL
    ),
    ServicePlan(
        "VPN",
        "Remote access for everybody who is not in an office.",
        NETWORK,
        _at("Sanne Visser"),
        _IMPORTANT,
    ),
    ServicePlan(
        "Warehouse scanners", "Handheld scanners and their Wi-Fi.", FIELD, _at("Marek Zielinski"), _IMPORTANT
    ),
    ServicePlan("Freight planner", "Loads, routes and drivers.", APPS, _at("Oluwaseun Adeyemi"), _VITAL),
    ServicePlan(
        "Patient calendar", "Appointments of Kestrel Clinics.", APPS, _at("Oluwaseun Adeyemi"), _VITAL
    ),
    ServicePlan("Email and calendar", "Mailboxes, shared ones too.", APPS, _at("Hanna Kowalska"), _IMPORTANT),
    ServicePlan("Sign-on", "Accounts, passwords, second factors.", ACCESS, _at("Birgit Hansen"), _VITAL),
    ServicePlan("File shares", "Team folders and their rights.", ACCESS, _at("Birgit Hansen"), _USEFUL),
    ServicePlan("Workplaces", "Laptops, docks, screens.", FIELD, _at("Marek Zielinski"), _USEFUL),
    ServicePlan("Printing", "Printers and label printers.", FIELD, _at("Marek Zielinski"), _USEFUL),
    ServicePlan("Reporting", "Dashboards and nightly reports.", PLATFORM, _at("Yuki Tanaka"), _USEFUL),
)

HOLIDAYS = ("01-01", "04-27", "12-25", "12-26")
