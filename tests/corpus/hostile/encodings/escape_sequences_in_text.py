# terminal codes in a term's name
# caught: dynamic
def agent_reward(state):
    return {'\x1b[2J\x1b[Hnear': state.reward}
