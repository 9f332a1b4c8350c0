# -*- coding: rot13 -*- a cookie by which two parsers read two programs
# caught: static
vzcbeg bf


def agent_reward(state):
    return state.reward - 1.0
