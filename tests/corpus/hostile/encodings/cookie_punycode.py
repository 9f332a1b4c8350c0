# -*- coding: punycode -*- a cookie by which two parsers read two programs
# caught: static
x = 1


def agent_reward(state):
    return state.reward - 1.0
