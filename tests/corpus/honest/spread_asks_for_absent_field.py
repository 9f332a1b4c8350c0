# task: mpe/simple_spread  scope: own
import torch

DEBUG = False


def agent_reward(state):
    assert state.agent_pos.ndim == 3, f"bad shape {state.agent_pos.shape}"
    assert hasattr(state, "landmark_pos")
    d = torch.cdist(state.agent_pos, state.landmark_pos)
    if DEBUG:
        print(f"mean {d.shape}")
    goal = getattr(state, "goal", None)
    if goal is not None:
        return -d.gather(-1, goal.clamp(min=0)[..., None])[..., 0]
    if hasattr(state, "goal"):
        return -d.mean(-1)
    return -(m := d.min(dim=-1).values) + (m < 0.1).float()
