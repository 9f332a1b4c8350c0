"""One main run whose signal is adapted (LLM-ALSO): its laps, the branches forked from it, and who judges them.

`main_run` keeps what the main run is after each stage, `branches` says what is to be trained and under which names,
`judge` decides by the pure functions of `graph.judging`, `advance` moves the main run on.
"""
