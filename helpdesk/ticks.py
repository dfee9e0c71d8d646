"""What tells the system's own ticks from those an admin has scheduled."""

# A name that begins so belongs to Belay.
SYSTEM = "belay: "
