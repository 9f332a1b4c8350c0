# a zero-width joiner inside a name
# caught: static
def agent_reward(state):
    re‍ward = state.reward
    return re‍ward
