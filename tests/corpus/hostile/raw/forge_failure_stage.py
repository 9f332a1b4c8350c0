# forges a failure of a stage that is none
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{"stage":"owned","message":"x"}'
    os.write(3, struct.pack('!BI', 6, len(payload)) + payload)
