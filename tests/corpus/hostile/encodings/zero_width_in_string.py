# invisible characters in a term's name
# caught: static
def agent_reward(state):
    return {'near​': state.reward}
