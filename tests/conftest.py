import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Models this small have BLAS and OpenMP threads wait longer than they work."""
    with threadpool_limits(1):
        yield
