"""What the board reads: who sees what, and at what price."""
