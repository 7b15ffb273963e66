"""The training loop and what surrounds it.

recipe.py data -> network, loss, optimizer, with reasons   loop.py fit, evaluate, predict   events.py
metrics.py   checkpoint.py   diagnose.py where NaN began   lock.py   run.py a run folder"""
