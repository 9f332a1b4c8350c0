# bytes that are not UTF-8
# caught: static
# couverture des repères
def agent_reward(state):
    return state.reward
