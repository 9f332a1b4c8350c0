# task: mpe/simple_spread  scope: own
import torch


def agent_reward(self, agent, world):
    me = torch.tensor(agent.state.p_pos)
    marks = torch.stack([torch.from_numpy(l.state.p_pos) for l in world.landmarks])
    return -(marks - me).norm(dim=-1).min()