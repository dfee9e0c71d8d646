"""Who is on call: now, this month, and by which rotations, overrides and time off."""
