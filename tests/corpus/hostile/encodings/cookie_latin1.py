# -*- coding: latin-1 -*- a cookie by which two parsers read two programs
# caught: static
x = 'Ã©'


def agent_reward(state):
    return state.reward - 1.0
