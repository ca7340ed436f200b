"""Parts of `glassbench.py`: what the files hold, the models, their scores, the figures."""
