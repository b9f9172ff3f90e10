import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # device.py and reference.py, for the tests of this folder
import device as devices

PLATFORMS = os.environ.get('KERNEL_PLATFORMS', 'emulated32 emulated64').split()


@pytest.fixture(scope='session', params=PLATFORMS)
def device(request):
    """The kernels on one platform: KERNEL_PLATFORMS of emulated32, emulated64, cuda, amd."""
    library = devices.build(request.param)
    if library is None:
        pytest.skip(f'no kernels for {request.param}: build with -Drocm=emulated -Dtests=true, or install its compiler')
    return devices.Device(request.param, library)
