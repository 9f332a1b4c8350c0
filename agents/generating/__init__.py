"""How a model comes to a proposal: what is asked of it, what it may use, and what its answer holds."""
