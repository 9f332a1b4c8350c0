# task: mpe/simple_speaker_listener  scope: own
import torch

SPEAKER, LISTENER = 0, 1


def _way(s, goal):
    target = s.landmark_pos.gather(1, goal[:, None, None].expand(-1, 1, 2)).squeeze(1)
    return torch.norm(s.agent_pos[:, LISTENER] - target, dim=-1)


def agent_reward(state):
    goal = state.goal[:, LISTENER].clamp(min=0)
    listener = _way(state.prev, goal) - _way(state, goal)
    word = state.message[:, SPEAKER].gather(-1, goal[:, None]).squeeze(-1)
    return torch.stack([word, 10.0 * listener], dim=1)