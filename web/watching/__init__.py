"""Following: what somebody follows, and how they stop."""
