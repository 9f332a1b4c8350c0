# tabs and spaces mixed, read differently by people and Python
# caught: static
def agent_reward(state):
    if True:
	x = 1
    return state.reward
