# task: mpe/simple_spread  scope: own
import torch


def mix(*terms, weights=(1.0, 0.5), **named):
    total = sum(w * t for w, t in zip(weights, terms))
    for value in named.values():
        total = total + value
    return total


def agent_reward(state, scale=1.0, *, clip=5.0):
    d = torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return (scale * mix(-d, (d < 0.1).float(), extra=0.1 * state.reward)).clamp(-clip, clip)