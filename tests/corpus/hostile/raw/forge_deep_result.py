# writes a result nested ten thousand deep
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{"a":' + b'[' * 99999 + b']' * 99999 + b'}'
    os.write(3, struct.pack('!BI', 5, len(payload)) + payload)
