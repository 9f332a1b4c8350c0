# task: mpe/simple_spread  scope: team
import torch
import torch.nn.functional as F

SCOPE = "team"
D_KEY = 4


def enhance_observation(obs):
    q = obs[..., :D_KEY]
    k = obs[..., :D_KEY]
    scores = torch.matmul(q, k.transpose(-2, -1)) / D_KEY ** 0.5
    attention = F.softmax(scores, dim=-1)
    return torch.bmm(attention, obs[..., 2:4])