# a lone surrogate, which is no UTF-8
# caught: static
def agent_reward(state):
    x = 'í €'
    return state.reward
