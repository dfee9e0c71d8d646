"""How fast Belay is, as ratios measured in one run: `bin/bench` (DESIGN 7)."""
