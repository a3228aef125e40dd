"""One real ray for all tests of this folder, started here; its workers find the tests' modules."""

import logging
import os
import sys

import pytest


@pytest.fixture(scope="session")
def local_ray():
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'skymm[ray]'")
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, runtime_env=paths)
    yield
    ray.shutdown()
