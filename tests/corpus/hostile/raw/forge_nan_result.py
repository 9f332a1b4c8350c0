# writes a result with numbers that JSON has not
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{"score":NaN}'
    os.write(3, struct.pack('!BI', 5, len(payload)) + payload)
