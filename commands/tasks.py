"""`marlsmith tasks`: the list, or the card of one task."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from marlsmith.commands.references import compare, reference
from marlsmith.graph.telling.display import OutputConsole
from marlsmith.marl.signals.view import COMMON_FIELDS
from marlsmith.marl.tasks import TASKS, make_task
from marlsmith.marl.tasks.verify import verify
from marlsmith.schemas import MOST_LISTED, TaskCard, UserError, agents_by_number, listed


def show_tasks(name: str | None, options: Sequence[str], *, as_json: bool) -> None:
    """Without a name all of them, in short."""
    if options and not name:
        raise UserError("--task-option is of one task: write marlsmith tasks NAME --task-option KEY=VALUE")
    chosen = [reference(name, options)] if name else list(TASKS)
    if name:
        compare(chosen[0], verify)
    cards = [make_task(each).card for each in chosen]
    if as_json:
        for card in cards:
            print(card.model_dump_json())
        return
    for card in cards:
        _print_card(OutputConsole(highlight=False), card, whole=name is not None)


def _print_card(console: Console, card: TaskCard, *, whole: bool) -> None:
    console.print(Text(f"{card.name}: {card.agents} agents, {card.horizon} steps, score {card.score}", "bold"))
    if not whole:
        return
    console.print(Text(" ".join(card.description.split())))
    console.print(Text(f"Sparsity: {card.sparsity}."))
    for title, rows in _tables(card).items():
        if not rows:
            continue
        table = Table(box=None, show_header=False, title=title, title_justify="left", padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


def _tables(card: TaskCard) -> dict[str, list[tuple[str, ...]]]:
    """Rows of name, place or shape, unit and meaning, by what they describe."""
    return {
        "state, as in every task": [(name, shape, "", meaning) for name, (shape, meaning) in COMMON_FIELDS.items()],
        "state, of this task": [(f.name, f.shape, f.unit, f.meaning) for f in card.fields],
        "observation": [
            (p.name, f"[{p.start}:{p.stop}]", "" if p.agents is None else agents_by_number(p.agents), p.meaning)
            for p in card.observation
        ],
        **{
            "actions" if len(agents) == card.agents else f"actions of {agents_by_number(agents)}": _action_rows(
                meanings, "-1..1" if card.actions.kind == "continuous" else ""
            )
            for agents, meanings in card.actions.by_agents()
        },
        "metrics": [(m.name, "", m.unit, m.meaning) for m in card.metrics],
    }


def _action_rows(meanings: tuple[str, ...], unit: str) -> list[tuple[str, ...]]:
    """One by one, or a long list in short."""
    if len(meanings) > MOST_LISTED:
        return [(listed(meanings),)]
    return [(str(number), "", unit, meaning) for number, meaning in enumerate(meanings)]
