# task: mpe/simple_reference  scope: own
import numpy as np

ALPHA = 0.8


def agent_reward(self, agent, world):
    """Say the word that stands for the other one's landmark."""
    wanted = world.landmarks.index(agent.goal_b)
    said = int(np.argmax(agent.state.c)) if np.any(agent.state.c > 0) else -1
    speech = 1.0 if said == wanted else 0.0
    way = np.linalg.norm(agent.goal_a.state.p_pos - agent.goal_b.state.p_pos)
    return speech - 0.5 * way