# forges a failure with terminal codes
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{"stage":"dynamic","message":"\\u001b[2Jowned"}'
    os.write(3, struct.pack('!BI', 6, len(payload)) + payload)
    os._exit(0)
