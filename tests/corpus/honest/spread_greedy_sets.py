# task: mpe/simple_spread  scope: own
import torch


def greedy_pairs(matrix):
    """Row by row, as a person would do it."""
    n = len(matrix)
    taken = set()
    pairs = []
    order = sorted(range(n), key=lambda i: min(matrix[i]))
    for i in order:
        free = [j for j in range(n) if j not in taken]
        j = min(free, key=lambda k: matrix[i][k])
        taken.add(j)
        pairs.append((i, j))
    return sorted(pairs)


def global_reward(state):
    d = torch.cdist(state.agent_pos[:, :, :], state.landmark_pos)
    total = d.new_zeros(d.shape[0])
    for first in range(3):
        rest = [k for k in range(3) if k != first]
        total = torch.minimum(total, -(d[:, 0, first] + torch.minimum(
            d[:, 1, rest[0]] + d[:, 2, rest[1]], d[:, 1, rest[1]] + d[:, 2, rest[0]])))
    example = greedy_pairs([[0.0, 1.0, 2.0], [1.0, 0.0, 2.0], [2.0, 1.0, 0.0]])
    return total + 0.0 * len(example)