# task: mpe/simple_spread  scope: own
from itertools import permutations

import torch

ORDERS = torch.tensor(list(permutations(range(3))))  # [6, 3]


def enhance_observation(obs):
    """Each agent shares out the landmarks by its own observation."""
    rel = obs[..., 4:10].unflatten(-1, (3, 2))
    team = torch.cat((torch.zeros_like(obs[..., None, :2]), obs[..., 10:14].unflatten(-1, (2, 2))), -2)
    d = torch.cdist(team, rel)
    total = d[..., torch.arange(3), ORDERS].sum(-1)
    mine = ORDERS[total.argmin(-1)][..., 0]
    goal = rel.gather(-2, mine[..., None, None].expand(*mine.shape, 1, 2)).squeeze(-2)
    return torch.cat((goal, torch.nn.functional.one_hot(mine, 3).float()), -1)