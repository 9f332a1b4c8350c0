# a NUL in a term's name
# caught: dynamic
def agent_reward(state):
    return {'near\x00': state.reward}
