# writes two results
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{}'
    os.write(3, 2 * (struct.pack('!BI', 5, len(payload)) + payload))
