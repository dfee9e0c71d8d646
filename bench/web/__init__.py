"""Belay's real web process on a bench's database, with one page more: what the pages are measured against."""
