# text direction marks in a comment that hide a line's end
# caught: static
def agent_reward(state):
    # ‮ } ⁦ return nothing ⁩ ⁦
    return state.reward
