# a byte order mark inside the code
# caught: static
def agent_reward(state):
    return ﻿state.reward
