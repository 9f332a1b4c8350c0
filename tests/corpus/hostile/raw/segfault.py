# reads address zero
# caught: jail
import ctypes


def agent_reward(state):
    ctypes.string_at(0)
