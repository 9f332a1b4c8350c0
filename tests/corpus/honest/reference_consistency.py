# task: mpe/simple_reference  scope: own
import torch
import torch.nn.functional as F


def global_reward(state):
    same_word = (state.message * state.prev.message).sum(-1).mean(-1)
    target = state.landmark_pos.gather(1, state.goal.unsqueeze(-1).expand(*state.goal.shape, 2))
    d = F.pairwise_distance(state.agent_pos, target)
    return {"steady": 0.1 * same_word, "way": -d.mean(dim=1)}