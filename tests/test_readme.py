"""What the README and the pages in docs/ show must work: signals are accepted, commands run, files exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.prices import require_prices
from marlsmith.agents.asking.question import Question, Reply, Role
from marlsmith.agents.config import Choice, read_config, role_settings
from marlsmith.agents.offline.draft import Draft
from marlsmith.cli import app
from marlsmith.graph.methods import PRESETS, RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.checking.samples import sample
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.tasks import make_task
from marlsmith.marl.tasks.verify import verify
from marlsmith.schemas import Review

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
SIGNALS = re.findall(r"```(python|json)\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("language", "text"), SIGNALS, ids=[language for language, _ in SIGNALS])
def test_the_signals_shown_are_accepted(language: str, text: str) -> None:
    name = "signal.json" if language == "json" else "signal.py"
    task = make_task("mpe/simple_spread")
    check_signal(read_signal(name, text), task, "own", sample(task))


TOML = [block for page in PAGES.values() for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
(CARD,) = (block for block in TOML if "environment =" in block)
SHELL = {name: re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for name, page in PAGES.items()}


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
    (tmp_path / "my_env.py").write_text(MY_ENV)
    (tmp_path / "my_task.toml").write_text(CARD)
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
    shown = [line for blocks in SHELL.values() for block in blocks for line in block.splitlines()]
    shown += [line for page in PAGES.values() for line in re.findall(r"`(marlsmith [^`]+)`", page)]
    for line in shown:
        words = line.partition("#")[0].split()
        if "marlsmith" not in words:
            continue
        name, *rest = words[words.index("marlsmith") + 1 :]
        known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
        known |= {option for parameter in commands[name].params for option in parameter.secondary_opts}
        assert {word for word in rest if word.startswith("--")} <= known, line


QUICK = {
    "run": ["--dry-run"],
    "train": ["--steps", "100", "--seeds", "1", "--episodes", "1"],
    "report": ["--no-animation"],
}
"""What is added so that a command of a page takes seconds and asks no model."""
ASKED: tuple[tuple[Role, str], ...] = (("generator", "s1r1a0/1"), ("validator", "s1r1c1/check"), ("critic", "s1r2"))


def a_run(path: Path) -> None:
    """That has asked each role something, and asks a person just now."""
    directory = RunDirectory.create(path, RunSettings(task="mpe/simple_spread"), "")
    for role, place in ASKED:
        question = Question(role, place, ({"role": "user", "content": "what now?"},), Review)
        line = book.request_line(question, "somebody", "text", Reply("that"), None, None, None, 0.1)
        book.Book(directory.path / book.FILE).write([line])
    request = path / "manual" / "REQUEST"
    request.mkdir(parents=True)
    (path / "manual" / "OPEN").write_text("REQUEST\n")
    (request / "request.md").write_text("what now?")
    told = {"role": "critic", "place": "s1r1", "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-01T01:00:00Z"}
    (request / "request.json").write_text(json.dumps(told))


SLOW = {"docs/tasks.md"}
"""It trains on environments of others."""
OF_FINISHED = {"docs/results.md", "docs/export.md"}
"""RUN is one that has ended, whose candidates are s1r1c1 and s1r2c1."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "RUN"
    small = "run --steps 400 --episodes 2 --seeds 2 --confirm-seeds 2 --rounds 2 --candidates 1 --population 1 --plain"
    result = CliRunner().invoke(app, [*shlex.split(small), "--out", str(run)])
    assert result.exit_code == 0, result.output
    return run


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow if p in SLOW else ()) for p in PAGES])
def test_the_commands_shown_work_one_after_the_other(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Word for word, where RUN is a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDITOR", "sed -i 1iyes")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing-is-sent-anyway")
    monkeypatch.syspath_prepend(str(tmp_path))
    if page in OF_FINISHED:
        shutil.copytree(request.getfixturevalue("finished"), tmp_path / "RUN")
    else:
        a_run(tmp_path / "RUN")
    for language, text in SIGNALS:
        (tmp_path / ("signal.json" if language == "json" else "signal.py")).write_text(text)
    (tmp_path / "my_env.py").write_text(MY_ENV)
    (tmp_path / "answer.txt").write_text("yes")
    (tmp_path / "my_task.toml").write_text(CARD)
    for line in "".join(SHELL[page]).splitlines():
        words = shlex.split(line, comments=True)
        if "marlsmith" not in words:
            continue
        (tmp_path / "RUN/manual/REQUEST/reply.md").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "DIR", ignore_errors=True)
        name, *rest = words[words.index("marlsmith") + 1 :]
        result = CliRunner().invoke(app, [name, *rest, *QUICK.get(name, ())])
        assert result.exit_code == 0, f"{line}: {result.output}"
        assert result.stdout, line


def test_the_table_lists_every_command() -> None:
    shown = set(re.findall(r"^\| `marlsmith (\w+)", README, re.MULTILINE))
    assert shown == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_method_of_a_main_run_is_explained() -> None:
    shown = re.findall(r"^\| `(\w[\w+-]+)` \|", PAGES["docs/adaptation.md"], re.MULTILINE)
    assert sorted(shown) == sorted(name for name, method in PRESETS.items() if method.adapts)


@pytest.mark.parametrize("page", [*PAGES, "benchmarks/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    file = ROOT / page
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", file.read_text()) if not link.startswith("http")]
    assert links or page != "README.md"
    for link in links:
        assert (file.parent / link).exists(), link


def test_each_page_is_led_to() -> None:
    assert set(re.findall(r"\]\((docs/\w+\.md)\)", README)) == set(PAGES) - {"README.md"}
