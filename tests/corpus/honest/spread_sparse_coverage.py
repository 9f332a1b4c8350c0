# task: mpe/simple_spread_sparse  scope: own
import torch


def global_reward(state):
    d = torch.cdist(state.landmark_pos, state.agent_pos).amin(dim=-1)
    covered = (d < 0.1).float()
    return {"part": covered.sum(-1) / 3, "all": covered.prod(-1) * 2, "pull": -d.mean(-1)}