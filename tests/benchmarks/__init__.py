"""How fast, how large and how good, against the machine's limits and against other programs.

``python -m tests.benchmarks`` measures and writes the tables and the plot of the README.
"""
