# task: mpe/simple_spread  scope: own
from itertools import permutations

import numpy as np


def best_cost(world):
    agents, landmarks = world.agents, world.landmarks
    costs = [
        sum(np.linalg.norm(a.state.p_pos - landmarks[j].state.p_pos) for a, j in zip(agents, order))
        for order in permutations(range(len(landmarks)))
    ]
    return min(costs)


def global_reward(self, world):
    return -best_cost(world)