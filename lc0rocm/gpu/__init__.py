"""The GPU back end seen from Python: loading it, checking it, measuring it. Only this folder knows names of GPUs and their libraries."""
