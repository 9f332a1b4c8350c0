# a zero-width space inside a name
# caught: static
def agent_reward(state):
    re​ward = state.reward
    return state.reward
