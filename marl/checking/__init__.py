"""Whether a signal is sound enough to spend a training on: its functions are tried on states of the task."""
