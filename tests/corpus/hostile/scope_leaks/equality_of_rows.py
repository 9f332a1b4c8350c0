# shows whether two rows are equal
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    same = (obs[:, :, None] == obs[:, None]).all(-1).float()
    features = torch.cat((features, same.sum(-1, keepdim=True)), -1)
    return features
