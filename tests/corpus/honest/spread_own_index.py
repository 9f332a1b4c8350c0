# task: mpe/simple_spread  scope: own
import torch

# landmark i belongs to agent i
def agent_reward(state):
    return -(state.agent_pos - state.landmark_pos).norm(dim=-1)

def enhance_observation(obs):
    offsets = obs[..., 4:10].view(obs.shape[0], obs.shape[1], 3, 2)
    i = torch.arange(obs.shape[1], device=obs.device).view(1, -1, 1, 1).expand(obs.shape[0], -1, 1, 2)
    return offsets.gather(2, i).squeeze(2)