# mathematical letters that fold into eval
# caught: static
def agent_reward(state):
    return 𝓮𝓿𝓪𝓵('state.reward')
