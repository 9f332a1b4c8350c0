"""From a round that opens to candidates that may be trained: who proposes, and what is let pass."""
