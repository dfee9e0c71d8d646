"""The bell: what the person signed in was told lately."""
