"""python -m lc0rocm"""
import sys

from lc0rocm.cli import main

sys.exit(main())
