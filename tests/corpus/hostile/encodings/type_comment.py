# a type comment, which nobody evaluates
# caught: neutral
def agent_reward(state):
    # type: (__import__('os').system('id')) -> None
    return state.reward - state.agent_pos.norm(dim=-1)
