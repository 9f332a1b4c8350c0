# task: mpe/simple_speaker_listener  scope: own
import numpy as np


def agent_reward(self, agent, world):
    speaker, listener = world.agents
    target = speaker.goal_b
    dist = np.linalg.norm(listener.state.p_pos - target.state.p_pos)
    if not agent.movable:
        said = np.argmax(agent.state.c)
        return float(said == world.landmarks.index(target)) - dist
    return -dist


def global_reward(self, world):
    a = world.agents[0]
    dist2 = np.sum(np.square(a.goal_a.state.p_pos - a.goal_b.state.p_pos))
    return -dist2