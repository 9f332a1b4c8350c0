"""Whether an exported signal helps another library: Stable-Baselines3's PPO, through SuperSuit, on simple_spread.

    marlsmith export RUN DIR
    python benchmarks/exported.py DIR --steps 30000 --seeds 5

Two trainings a seed, equal but for what the agents see and are paid: mpe2's environment as it is, and the same
inside the export's SignalEnv. All agents share one network. Both are then played greedily on the same fresh
episodes of the plain environment, and the score is the task's own: the share of landmarks that had an agent
within 0.1 at any time (coverage).
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
import supersuit
import torch
from mpe2 import simple_spread_v3
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed

from marlsmith.marl.statistics import bootstrap_interval, iqm, paired_gain

REACH = 0.1
ENVIRONMENTS = 8
ARMS = ("native", "signal")


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    sys.path.insert(0, str(options.export.absolute()))
    kept = options.out.with_suffix(".part.json")
    done: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.is_file() else {}
    for seed in range(options.seeds):
        for arm in ARMS:
            if f"{arm} {seed}" in done:
                continue
            started = time.perf_counter()
            model = train(arm, seed, options.steps)
            found = play(arm, model, options.episodes, 10_000 + seed)
            found["seconds"] = time.perf_counter() - started
            done[f"{arm} {seed}"] = found
            kept.write_text(json.dumps(done))
            print(f"{arm:7} seed {seed}: coverage {found['coverage']:.3f}, {found['seconds']:.0f} s", flush=True)
    _report(done, options)
    kept.unlink()


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, help="a directory that `marlsmith export` made from simple_spread")
    parser.add_argument("--steps", type=int, default=30_000, help="environment steps of a training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/exported.json"))
    return parser.parse_args()


def environment(arm: str) -> Any:
    """mpe2's own, plain or inside the export's wrapper."""
    plain = simple_spread_v3.parallel_env(N=3, max_cycles=25)
    return plain if arm == "native" else importlib.import_module("signal_env").SignalEnv(plain)


def train(arm: str, seed: int, steps: int) -> PPO:
    """The settings are those that marlsmith trains simple_spread with, where PPO has them; the same for both."""
    one = supersuit.pettingzoo_env_to_vec_env_v1(environment(arm))
    many = supersuit.concat_vec_envs_v1(one, ENVIRONMENTS, num_cpus=1, base_class="stable_baselines3")
    many.venv.reset(seed=1000 * seed)  # SuperSuit's SB3 environments cannot be seeded by themselves
    set_random_seed(seed)
    agents = 3
    model = PPO(
        "MlpPolicy", many, n_steps=50, batch_size=300, n_epochs=5, gamma=0.9, gae_lambda=0.95, ent_coef=0.01,
        learning_rate=lambda left: 2e-3 * left, max_grad_norm=10.0, device="cpu",
        policy_kwargs={"net_arch": [64, 64], "activation_fn": torch.nn.ReLU},
    )  # fmt: skip
    model.learn(agents * steps)
    many.close()
    return model


def play(arm: str, model: PPO, episodes: int, seed: int) -> dict[str, float]:
    """Greedy episodes; the score is read from the world and knows neither arm nor reward."""
    env = environment(arm)
    coverages, returns = [], []
    for episode in range(episodes):
        observations, _ = env.reset(seed=seed * 1000 + episode)
        world = (env if arm == "native" else env.env).unwrapped.world
        reached, total = np.zeros(len(world.landmarks), bool), 0.0
        while env.agents:
            names = list(observations)
            chosen, _ = model.predict(np.stack([observations[name] for name in names]), deterministic=True)
            observations, rewards, _, _, infos = env.step(dict(zip(names, chosen.tolist(), strict=True)))
            native = rewards if arm == "native" else {name: infos[name]["native_reward"] for name in names}
            total += float(np.mean(list(native.values())))
            agents = np.stack([agent.state.p_pos for agent in world.agents])
            landmarks = np.stack([landmark.state.p_pos for landmark in world.landmarks])
            reached |= np.linalg.norm(agents[:, None] - landmarks[None], axis=-1).min(0) < REACH
        coverages.append(float(reached.mean()))
        returns.append(total)
    return {"coverage": float(np.mean(coverages)), "native_return": float(np.mean(returns))}


def _report(done: dict[str, dict[str, float]], options: Any) -> None:
    scores = {arm: [done[f"{arm} {seed}"]["coverage"] for seed in range(options.seeds)] for arm in ARMS}
    gain = paired_gain(scores["signal"], scores["native"], 0.05)
    facts = json.loads((options.export / "export.json").read_text("utf-8"))
    table = {
        arm: {
            "scores": scores[arm],
            "mean": float(np.mean(scores[arm])),
            "iqm": iqm(scores[arm]),
            "interval": bootstrap_interval(scores[arm]),
            "native_return": float(np.mean([done[f"{arm} {seed}"]["native_return"] for seed in range(options.seeds)])),
            "seconds": sum(done[f"{arm} {seed}"]["seconds"] for seed in range(options.seeds)),
        }
        for arm in ARMS
    }
    result = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {
            "stable-baselines3": stable_baselines3.__version__,
            "supersuit": supersuit.__version__,
            "torch": torch.__version__,
        },
        "steps": options.steps,
        "seeds": options.seeds,
        "episodes": options.episodes,
        "candidate": facts["candidate"],
        "arms": table,
        "gain": {"mean": gain.mean, "interval": gain.interval},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print("\n| PPO of Stable-Baselines3 | coverage, mean | by seed | native return |")
    print("|---|---|---|---|")
    for arm, row in table.items():
        by_seed = ", ".join(f"{score:.2f}" for score in row["scores"])
        print(f"| {arm} | {row['mean']:.3f} | {by_seed} | {row['native_return']:.1f} |")
    low, high = gain.interval
    print(f"\nPaired gain {gain.mean:+.3f}, 95% interval [{low:+.3f}, {high:+.3f}] over {options.seeds} seeds.")


if __name__ == "__main__":
    main()
