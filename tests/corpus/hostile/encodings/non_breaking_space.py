# a no-break space as indentation
# caught: static
def agent_reward(state):
    return state.reward
