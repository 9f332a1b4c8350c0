"""`marlsmith graph`: the state machine, drawn."""

from __future__ import annotations

from marlsmith.graph.wiring import mermaid


def print_graph() -> None:
    print(mermaid())
