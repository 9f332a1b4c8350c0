"""What other tools keep of a run, fed by its events.

`rows` turns events into rows, `tensorboard` and `wandb` keep them, `telling` brings the two together: while a run
happens, or of one that exists. Both ways read events.jsonl in its order, so that they tell the same.
"""
