# a control character in the code
# caught: static
def agent_reward(state):
    x = 1
    return state.reward
