"""mpe/simple_spread by hand: landmarks are shared out so that the summed way is least; everyone goes to its own.

SCOPE is "team" because that is the scope of LERO's listing; what is read is in every agent's own observation.
"""

import torch

ALPHA = 0.8
SCOPE = "team"
REACH = 0.1
ORDERS = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])


def assigned(distance):
    """The landmark of each agent in the assignment of least total distance: [..., N, M] -> [..., N]."""
    total = distance[..., torch.arange(3), ORDERS].sum(-1)
    return ORDERS[total.argmin(-1)]


def agent_reward(state):
    distance = torch.cdist(state.agent_pos, state.landmark_pos)
    remaining = distance.gather(-1, assigned(distance).unsqueeze(-1)).squeeze(-1)
    return {"near": -remaining, "arrived": (remaining < REACH).float()}


def global_reward(state):
    distance = torch.cdist(state.landmark_pos, state.agent_pos)
    return {"covered": (distance.amin(-1) < REACH).float().mean(-1)}


def enhance_observation(obs):
    """Offset to the agent's landmark, and its length."""
    landmarks = obs[..., 4:10].unflatten(-1, (3, 2))
    others = obs[..., 10:14].unflatten(-1, (2, 2))
    agents = torch.arange(3)
    places = []
    for i in range(3):
        own = torch.zeros_like(others[:, i, :1])
        seen = torch.cat((others[:, i, :i], own, others[:, i, i:]), 1)  # all agents, seen from agent i
        distance = (seen.unsqueeze(2) - landmarks[:, i].unsqueeze(1)).norm(dim=-1)
        places.append(assigned(distance)[:, i])
    target = torch.stack(places, 1)[..., None, None].expand(-1, len(agents), 1, 2)
    offset = landmarks.gather(2, target).squeeze(2)
    return torch.cat((offset, offset.norm(dim=-1, keepdim=True)), -1)
