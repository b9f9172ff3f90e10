"""A cluster of Ray on this machine, for the tests of a process: starting it takes seconds."""
import logging

import pytest

STORE = {"object_store_memory": 80 * 2**20}


class Cluster:
    """A head and a second node, a processor each."""

    def __init__(self):
        from ray.cluster_utils import Cluster
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **STORE})
        self.address, self._second = self._cluster.address, self.join()

    def join(self, **more):
        return self._cluster.add_node(num_cpus=1, **STORE, **more)

    def lose(self, node):
        self._cluster.remove_node(node, allow_graceful=False)

    def replace(self):
        """The second node is killed, and another one joins."""
        self.lose(self._second)
        self._second = self.join()

    def close(self):
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'lc0rocm[ray]'")
    made = Cluster()
    yield made
    made.close()
