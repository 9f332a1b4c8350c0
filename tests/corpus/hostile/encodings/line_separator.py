# a line separator that editors show as a new line and Python does not
# caught: static
def agent_reward(state):
    # weight     reward = 1
    return state.reward
