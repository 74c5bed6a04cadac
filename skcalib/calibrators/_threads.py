"""One BLAS thread while a linear map is fitted."""

from threading import Lock

from threadpoolctl import threadpool_limits


class _BlasLimit:
    """A limit of the process that lasts as long as anyone needs it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.n_users = 0
        self.limit: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self.lock:
            if self.n_users == 0:
                self.limit = threadpool_limits(limits=1, user_api="blas")
            self.n_users += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.n_users -= 1
            if self.n_users == 0 and self.limit is not None:
                self.limit.restore_original_limits()


# numpy and scipy each bring a BLAS, whose threads wait, spinning, for cores that those of the other
# hold: a fit of 5000 rows and 100 classes took five times the CPU on two cores. The limit belongs
# to the process, so fits in several threads share one.
one_blas_thread = _BlasLimit()
