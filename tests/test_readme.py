"""What the README shows must work: its signals are accepted, its commands and files exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer.main

from marlsmith.agents.asking.prices import require_prices
from marlsmith.agents.config import Choice, read_config, role_settings
from marlsmith.agents.offline.draft import Draft
from marlsmith.cli import app
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.checking.samples import sample
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.tasks import make_task
from marlsmith.marl.tasks.verify import verify

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SIGNALS = re.findall(r"```(python|json)\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("language", "text"), SIGNALS, ids=[language for language, _ in SIGNALS])
def test_the_signals_shown_are_accepted(language: str, text: str) -> None:
    name = "signal.json" if language == "json" else "signal.py"
    task = make_task("mpe/simple_spread")
    check_signal(read_signal(name, text), task, "own", sample(task))


TOML = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


MY_ENV = """
import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

class Hunt(ParallelEnv):
    metadata = {"name": "hunt"}
    possible_agents = ["a", "b"]

    def __init__(self, size):
        self.size = size

    def observation_space(self, agent):
        return spaces.Box(0, self.size, (6,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(5)

    def reset(self, seed=None, options=None):
        draws = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self.place, self.prey = draws.uniform(0, self.size, (2, 2)), draws.uniform(0, self.size, (2, 2))
        return self.seen(), self.told()

    def seen(self):
        prey = self.prey.ravel()
        return {name: np.float32([*self.place[i], *prey]) for i, name in enumerate(self.possible_agents)}

    def told(self):
        caught = (np.linalg.norm(self.place[:, None] - self.prey, axis=-1) < 0.5).any(0).sum()
        return {name: {"caught": float(caught)} for name in self.possible_agents}

    def step(self, actions):
        moves = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
        for i, name in enumerate(self.possible_agents):
            self.place[i] = np.clip(self.place[i] + 0.5 * moves[actions[name]], 0, self.size)
        never, told = dict.fromkeys(actions, False), self.told()
        return self.seen(), {name: one["caught"] for name, one in told.items()}, never, never, told

def make_env(size):
    return Hunt(size)
"""


def test_the_task_card_shown_serves_the_offline_designer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (card,) = [block for block in TOML if "environment =" in block]
    (tmp_path / "my_env.py").write_text(MY_ENV)
    (tmp_path / "my_task.toml").write_text(card)
    monkeypatch.chdir(tmp_path)
    task = make_task("my_task.toml")
    verify(task)
    draft = Draft.blank(task.card, "own", "both")
    assert draft.designs_reward
    assert draft.designs_observation
    reward = {"terms": [{"kind": "approach", "assignment": "optimal"}, {"kind": "reach", "threshold": 0.5}]}
    features = [{"kind": "target_offset", "assignment": "nearest"}]
    signal = read_signal("signal.json", json.dumps({**reward, "features": features}))
    check_signal(signal, task, "own", sample(task))


def test_the_models_shown_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each service that the README promises, and a run with them as the file says."""
    monkeypatch.chdir(tmp_path)
    (text,) = [block for block in TOML if "[models]" in block]
    Path("marlsmith.toml").write_text(text)
    models = read_config(Path("marlsmith.toml")).models
    assert set(models) == {"openai", "openrouter", "deepseek", "groq", "together", "ollama", "vllm", "llama-cpp"}
    settings = role_settings(Choice())
    assert (settings.generators, settings.critic) == (("deepseek", "ollama"), "openai")
    assert settings.budget.run.calls == 300
    require_prices(settings)  # or a run with them would be refused


def test_the_options_shown_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shown = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
    shown += re.findall(r"`(marlsmith [^`]+)`", README)
    for line in shown:
        words = line.partition("#")[0].split()
        if "marlsmith" not in words:
            continue
        name, *rest = words[words.index("marlsmith") + 1 :]
        known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
        known |= {option for parameter in commands[name].params for option in parameter.secondary_opts}
        assert {word for word in rest if word.startswith("--")} <= known, line


def test_the_table_lists_every_command() -> None:
    shown = set(re.findall(r"^\| `marlsmith (\w+)", README, re.MULTILINE))
    assert shown == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
