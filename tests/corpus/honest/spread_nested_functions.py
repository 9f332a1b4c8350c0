# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    def closest(points):
        def lengths(x):
            return x.pow(2).sum(-1).sqrt()

        return lengths(state.agent_pos.unsqueeze(2) - points.unsqueeze(1)).amin(-1)

    return -closest(state.landmark_pos)