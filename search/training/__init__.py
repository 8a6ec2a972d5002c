"""Train what ships in the package, in this order, on two cores:

    python -m search.training retriever DATA   the adapter of the bundled encoder
    python -m search.training reader DATA      the reader's adapter and heads
    python -m search.training calibrate DATA   the figures that weights and thresholds come from

DATA holds ``src/NAME.txt``, a report each, and ``*.jsonl``, questions on them: see ``data.load``.
"""  # noqa: D400, D415
