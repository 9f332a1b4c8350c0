# a lone surrogate by an escape in a term's name
# caught: dynamic
def agent_reward(state):
    return {'\ud800': state.reward}
