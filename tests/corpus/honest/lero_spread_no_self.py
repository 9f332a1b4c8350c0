# task: mpe/simple_spread  scope: own
import math


def distance(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a.state.p_pos, b.state.p_pos)))


def agent_reward(agent, world):
    near = min(distance(agent, landmark) for landmark in world.landmarks)
    speed = math.hypot(agent.state.p_vel[0], agent.state.p_vel[1])
    return -near - (0.1 * speed if near < 0.1 else 0.0)


def global_reward(world):
    return -sum(min(distance(a, l) for a in world.agents) for l in world.landmarks)