# task: mpe/simple_spread  scope: own
import numpy as np

ALPHA = 0.6


def _distance(self, a, b):
    return np.linalg.norm(a.state.p_pos - b.state.p_pos)


def agent_reward(self, agent, world):
    others = [o for o in world.agents if o.name != agent.name]
    crowd = sum(max(0.0, 0.5 - self._distance(agent, o)) for o in others)
    return -min(self._distance(agent, l) for l in world.landmarks) - crowd


def global_reward(self, world):
    return np.mean([self.agent_reward(a, world) for a in world.agents])