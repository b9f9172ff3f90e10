"""The GPU back end seen from Python: loading it, checking it, measuring it. Only this folder knows names of GPUs and their libraries."""
NAMES = ("rocm", "rocm-auto", "rocm-fp16", "rocm-int8", "rocm-fp8")  # of the back ends that run on one
