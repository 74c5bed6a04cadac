import numpy as np
import pytest
from kernel_oracles import mean_log_loss, random_problem

from skcalib._kernels._blocks import Logits
from skcalib._kernels._loss_curve import loss_curve


@pytest.mark.parametrize("n_classes", [2, 10, 100])
@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (0.05, 20), (1e-4, 1e4)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 1e-5)])
def test_the_curve_is_the_loss_at_each_temperature(n_classes, low, high, dtype, tolerance):
    z, y = random_problem(n_classes, 50, n_classes, 1.5, dtype)
    weight = np.random.default_rng(0).choice([0.0, 0.5, 2.0], 50)
    temperatures = np.geomspace(low, high, 50)
    expected = [mean_log_loss(z, y, weight, T) for T in temperatures]
    found = loss_curve(Logits(z), y, weight, temperatures)
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_few_passes_are_made():
    class CountingLogits(Logits):
        n_read = 0

        def read(self, rows, buffer):
            CountingLogits.n_read += 1
            return super().read(rows, buffer)

    z, y = random_problem(0, 50, 3)
    loss_curve(CountingLogits(z), y, None, np.geomspace(0.5, 4, 1000))  # log 8 = 6.9 times .3
    assert CountingLogits.n_read == 8
