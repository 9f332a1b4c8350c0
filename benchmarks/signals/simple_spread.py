"""mpe/simple_spread by hand: landmarks are shared out so that the summed way is least; everyone goes to its own.

What counts is where an agent would come to rest: an action moves that point at once, and the body only later.
SCOPE is "team" because that is the scope of LERO's listing; what is read is in every agent's own observation.
"""

import torch

ALPHA = 0.8
SCOPE = "team"
REACH = 0.1
COAST = 0.4  # seconds of its speed that an agent still goes: 0.1 s a step, and a quarter of the speed is lost in each
ORDERS = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])


def assigned(distance):
    """The landmark of each agent in the assignment of least total distance: [..., N, M] -> [..., N]."""
    total = distance[..., torch.arange(3), ORDERS].sum(-1)
    return ORDERS[total.argmin(-1)]


def to_go(state, landmark):
    """Offset to the landmark [B, N, 2], from where each agent is and from where it would come to rest."""
    offset = landmark - state.agent_pos
    return offset, offset - COAST * state.agent_vel


def agent_reward(state):
    target = assigned(torch.cdist(state.agent_pos, state.landmark_pos))
    landmark = state.landmark_pos.gather(1, target.unsqueeze(-1).expand(-1, -1, 2))
    offset, left = to_go(state, landmark)
    _, before = to_go(state.prev, landmark)
    return {
        "progress": 5 * (before.norm(dim=-1) - left.norm(dim=-1)),
        "arrived": (offset.norm(dim=-1) < REACH).float(),
    }


def global_reward(state):
    distance = torch.cdist(state.landmark_pos, state.agent_pos)
    return {"covered": (distance.amin(-1) < REACH).float().mean(-1)}


def enhance_observation(obs):
    """Offset to the agent's landmark from where it would come to rest, and its length."""
    landmarks = obs[..., 4:10].unflatten(-1, (3, 2))
    others = obs[..., 10:14].unflatten(-1, (2, 2))
    places = []
    for i in range(3):
        own = torch.zeros_like(others[:, i, :1])
        seen = torch.cat((others[:, i, :i], own, others[:, i, i:]), 1)  # all agents, seen from agent i
        distance = (seen.unsqueeze(2) - landmarks[:, i].unsqueeze(1)).norm(dim=-1)
        places.append(assigned(distance)[:, i])
    target = torch.stack(places, 1)[..., None, None].expand(-1, 3, 1, 2)
    offset = landmarks.gather(2, target).squeeze(2) - COAST * obs[..., :2]
    return torch.cat((offset, offset.norm(dim=-1, keepdim=True)), -1)
