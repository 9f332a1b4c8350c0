# writes over the interpreter's memory
# caught: jail
import ctypes


def agent_reward(state):
    ctypes.memset(id(None), 255, 64)
