# imports a module that is not loaded yet
# caught: jail
import os


def agent_reward(state):
    import turtle
    raise RuntimeError(turtle.__file__)
