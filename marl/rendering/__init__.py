"""Episodes as pictures: recorded states in, an animation out. No policy, no candidate and no torch is here."""
