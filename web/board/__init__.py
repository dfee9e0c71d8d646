"""The ladder board: who holds what, and when it climbs (DESIGN 8)."""
