# form feeds between functions, which are white space
# caught: neutral

def agent_reward(state):
    return state.reward - state.agent_pos.norm(dim=-1)
