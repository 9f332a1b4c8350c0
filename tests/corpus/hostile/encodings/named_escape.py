# an override mark by its name in a term's name
# caught: dynamic
def agent_reward(state):
    return {'\N{RIGHT-TO-LEFT OVERRIDE}raen': state.reward}
