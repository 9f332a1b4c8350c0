# task: lbf/8x8-2p-2f-coop  scope: own
import torch

FAR = 14.0


def phi(s):
    way = (s.agent_pos[:, :, None] - s.food_pos[:, None]).abs().sum(-1).float()
    way = torch.where(s.food_level[:, None] > 0, way, torch.tensor(FAR))
    return -way.amin(-1) / FAR


def agent_reward(state):
    return {"task": 10.0 * state.reward, "way": state.gamma * phi(state) - phi(state.prev)}