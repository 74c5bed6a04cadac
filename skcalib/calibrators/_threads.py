"""One BLAS thread while matrices and vectors are small and many."""

from threading import Lock

from threadpoolctl import ThreadpoolController


class _BlasLimit:
    """A limit of the process that lasts as long as anyone needs it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.n_users = 0

    def __enter__(self) -> None:
        with self.lock:
            if self.n_users == 0:
                self.libraries = ThreadpoolController()
                self.limit = self.libraries.limit(limits=1, user_api="blas")
                try:
                    self._let_others_set_limits()
                except BaseException:  # an interrupt: nobody would lift the limit
                    self.limit.restore_original_limits()
                    raise
            self.n_users += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.n_users -= 1
            if self.n_users == 0:
                self.limit.restore_original_limits()
                self._let_others_set_limits()

    def _let_others_set_limits(self) -> None:
        """Leave a `with`: until then threadpoolctl 3.8 takes limits from this thread alone.

        Whoever comes first need not go last, and fits of other threads are to be limited too.
        """
        with self.libraries.limit(limits=None):
            pass


# numpy and scipy each bring a BLAS, whose threads wait, spinning, for cores that those of the other
# hold: a fit of 5000 rows and 100 classes took five times the CPU on two cores. The limit belongs
# to the process, so fits in several threads share one.
one_blas_thread = _BlasLimit()
