# announces four thousand million bytes
# caught: jail
import os
import struct


def agent_reward(state):
    os.write(3, struct.pack('!BI', 5, 0xFFFFFFFF))
