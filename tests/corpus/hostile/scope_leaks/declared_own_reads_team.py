# says that its scope is own and reads the team
# caught: dynamic
import torch

SCOPE = "own"


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = torch.cat((features, obs[..., 2:4].mean(1, keepdim=True).expand(-1, obs.shape[1], -1)), -1)
    return features
