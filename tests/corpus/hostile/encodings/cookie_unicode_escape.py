# -*- coding: unicode_escape -*- a cookie by which two parsers read two programs
# caught: static
x = 1 # \x0aimport os


def agent_reward(state):
    return state.reward - 1.0
