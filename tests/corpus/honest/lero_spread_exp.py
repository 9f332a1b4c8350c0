# task: mpe/simple_spread  scope: own
import numpy as np


def agent_reward(self, agent, world):
    distances = np.array([np.linalg.norm(agent.state.p_pos - l.state.p_pos) for l in world.landmarks])
    closest = int(np.argmin(distances))
    reward = float(np.exp(-3.0 * distances[closest]))
    for other in world.agents:
        if other is agent:
            continue
        d = np.linalg.norm(other.state.p_pos - world.landmarks[closest].state.p_pos)
        if d < distances[closest]:
            reward *= 0.5
    return reward