"""The state machine, put together. DESIGN section 3 draws it; `marlsmith graph` prints it."""

from __future__ import annotations

import json
from hashlib import sha256

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from marlsmith.graph.context import Context
from marlsmith.graph.nodes import (
    advance,
    approve,
    branch,
    check,
    diagnose,
    finish,
    judge,
    promote,
    propose,
    start_stage,
)
from marlsmith.graph.routes import after_advance, after_approve, after_check, after_judge, after_promotion
from marlsmith.graph.state import BranchTask, State

Machine = CompiledStateGraph[State, Context, State, State]


def build() -> Machine:
    """For langgraph.json: the server brings its own saver, and would pass its config to any parameter."""
    return build_with(None)


def build_with(saver: BaseCheckpointSaver[str] | None) -> Machine:
    graph = StateGraph(State, context_schema=Context)
    for node in (start_stage, diagnose, propose, check, judge, approve, promote, advance, finish):
        graph.add_node(node.__name__, node)
    graph.add_node("branch", branch, input_schema=BranchTask)  # a Send's, not the state
    graph.add_edge(START, "start_stage")
    graph.add_edge("start_stage", "diagnose")
    graph.add_edge("diagnose", "propose")
    graph.add_edge("propose", "check")
    graph.add_conditional_edges("check", after_check, ["propose", "branch", "judge", "approve"])
    graph.add_edge("branch", "judge")
    ends = ["advance", "start_stage", "finish"]
    graph.add_conditional_edges("judge", after_judge, ["diagnose", "branch", "approve", "promote", *ends])
    graph.add_conditional_edges("approve", after_approve, ["promote", "check", "approve", "diagnose", *ends])
    graph.add_conditional_edges("promote", after_promotion, ends)
    graph.add_conditional_edges("advance", after_advance, ["branch", "start_stage", "finish"])
    graph.add_edge("finish", END)
    return graph.compile(checkpointer=saver)


def fingerprint() -> str:
    """Of nodes, edges and state keys. A resume under another graph would be a silent no-op: it is refused."""
    drawn = build().get_graph()
    shape = {
        "nodes": sorted(drawn.nodes),
        "edges": sorted((edge.source, edge.target, edge.conditional) for edge in drawn.edges),
        "state": sorted(State.__annotations__),
    }
    return sha256(json.dumps(shape).encode()).hexdigest()[:16]


def mermaid() -> str:
    return build().get_graph().draw_mermaid()
