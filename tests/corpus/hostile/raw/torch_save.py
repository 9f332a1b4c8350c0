# writes by torch.save
# caught: jail
import torch


def agent_reward(state):
    torch.save(state.obs, CANARY + '/out.pt')
