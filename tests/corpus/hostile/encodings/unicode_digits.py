# digits of another script
# caught: static
def agent_reward(state):
    return state.reward * ٣
