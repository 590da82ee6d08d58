"""Measuring after the fact: finished runs and bare checkpoints, on the command line and for the page.

`landscope measure` runs here in the foreground. For the page's requests its server starts `python -m landscope.worker`
and looks after it: the one process in which the model of a finished run is built, and user code runs.
"""
