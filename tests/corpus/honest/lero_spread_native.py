# task: mpe/simple_spread  scope: own
import numpy as np


def agent_reward(self, agent, world):
    # Agents are penalised for touching others.
    rew = 0
    if agent.collide:
        for a in world.agents:
            if self.is_collision(a, agent) and a != agent:
                rew -= 1.0
    return rew


def global_reward(self, world):
    rew = 0
    for lm in world.landmarks:
        dists = [np.sqrt(np.sum(np.square(a.state.p_pos - lm.state.p_pos))) for a in world.agents]
        rew -= min(dists)
    return rew