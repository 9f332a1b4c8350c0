# task: mpe/simple_spread  scope: own
import numpy as np


def agent_reward(self, agent, world):
    """Greedy assignment: the closest pair goes first."""
    dist = np.zeros((len(world.agents), len(world.landmarks)))
    for i, a in enumerate(world.agents):
        for j, l in enumerate(world.landmarks):
            dist[i, j] = np.linalg.norm(a.state.p_pos - l.state.p_pos)
    me = world.agents.index(agent)
    assigned = {}
    free_agents = list(range(len(world.agents)))
    free_landmarks = list(range(len(world.landmarks)))
    for _ in range(len(world.agents)):
        i, j = min(((i, j) for i in free_agents for j in free_landmarks), key=lambda p: dist[p[0], p[1]])
        assigned[i] = j
        free_agents.remove(i)
        free_landmarks.remove(j)
    return -dist[me, assigned[me]]


def global_reward(self, world):
    covered = 0
    for l in world.landmarks:
        if any(np.linalg.norm(a.state.p_pos - l.state.p_pos) < 0.1 for a in world.agents):
            covered += 1
    return covered / len(world.landmarks)