"""The program `lc0rocm`, and `python -m lc0rocm`: what has to be right before the command line can be looked at."""
import os
import signal
import sys


def main() -> int:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: a file that is opened later would take its place, and get what is written there
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # print would take standard output
        sys.stderr = open(2, "w")
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        if interrupt is signal.default_int_handler:  # nothing is begun that could be kept: no stack of imports
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from lc0rocm import cli
        signal.signal(signal.SIGINT, interrupt)
        return cli.main()
    except ModuleNotFoundError as error:
        if str(error.name).startswith("lc0rocm."):
            sentence = f"{error.name} is missing: a zip file or a source folder lacks what is compiled; `pip install` it, and start it elsewhere"
        else:
            sentence = f"the Python package {error.name} is missing; `pip install lc0rocm` brings all that is needed"
    except ImportError as error:  # of the core, or of NumPy's, which explains at length: a library that it was built with is gone
        first: BaseException = error
        while first.__cause__:
            first = first.__cause__
        sentence = f"the installation is damaged, install it again: {str(first).strip().splitlines()[-1]}"
    print("lc0rocm:", sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
