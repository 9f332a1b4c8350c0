# task: mpe/simple_reference  scope: own
import numpy as np


def agent_reward(self, agent, world):
    if agent.goal_a is None or agent.goal_b is None:
        return 0.0
    return -np.sqrt(np.sum(np.square(agent.goal_a.state.p_pos - agent.goal_b.state.p_pos)))


def global_reward(self, world):
    return sum(self.agent_reward(agent, world) for agent in world.agents) / len(world.agents)