"""Our particle tasks beside mpe2's, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from marlsmith.marl.tasks import State, TensorTask


def assert_free_running(
    task: TensorTask,
    state: State,
    environments: Sequence[tuple[Any, Any]],
    draw: Callable[[int], np.ndarray],
    observed: Callable[[Any], np.ndarray],
    tolerance: float,
    reward_tolerance: float,
) -> None:
    """Whole episodes of (environment, its raw one), side by side from the same reset: equal in every step.

    `draw` gives actions [count, N]; `observed` all observations of a raw environment; the reward may differ by
    `reward_tolerance` of itself.
    """
    for step in range(25):
        actions = draw(len(environments))
        state, reward, terminated = task.step(state, torch.from_numpy(actions)[None])
        assert not terminated.any()
        seen = task.observe(state)[0].numpy()
        for i, (env, raw) in enumerate(environments):
            _, rewards, _, truncations, _ = env.step(dict(zip(raw.possible_agents, actions[i].tolist(), strict=True)))
            np.testing.assert_allclose(seen[i], observed(raw), rtol=0, atol=tolerance)
            np.testing.assert_allclose(reward[0, i].numpy(), list(rewards.values()), rtol=reward_tolerance, atol=1e-12)
            assert all(truncations.values()) == (step == 24)
