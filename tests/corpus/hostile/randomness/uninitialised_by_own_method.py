# a method named type is handed the type
# caught: static
import torch


def type(self, kind):
    return kind(3)


def agent_reward(self, agent, world):
    """Come close to the nearest landmark."""
    return float(self.type(torch.Tensor).sum())
