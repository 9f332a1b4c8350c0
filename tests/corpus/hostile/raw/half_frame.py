# ends inside a frame
# caught: jail
import os
import struct


def agent_reward(state):
    os.write(3, struct.pack('!BI', 5, 99) + b'{')
    os._exit(0)
