# task: mpe/simple_speaker_listener_sparse  scope: own
import torch


def global_reward(state):
    goal = state.goal.amax(dim=1).clamp(min=0)
    target = torch.stack([state.landmark_pos[:, k] for k in range(3)], 1)
    mask = torch.nn.functional.one_hot(goal, 3).unsqueeze(-1).float()
    d = ((target * mask).sum(1) - state.agent_pos[:, 1]).norm(dim=-1)
    return {"near": torch.exp(-2 * d), "task": state.reward.mean(-1)}