"""What a fit takes besides the scores themselves."""

import tracemalloc

import numpy as np
import pytest

from skcalib import TemperatureScaling


@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize(("n_rows", "n_classes"), [(50_000, 1000), (1000, 50_257)])
def test_a_fit_takes_under_16_mib_however_large_the_scores(n_rows, n_classes, alpha):
    logits = np.random.default_rng(0).standard_normal((n_rows, n_classes), dtype=np.float32)
    y = logits[:, :50].argmax(axis=1)
    model = TemperatureScaling(classes=np.arange(n_classes), alpha=alpha)
    tracemalloc.start()
    model.fit(logits, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_mapped_file_is_not_copied(tmp_path):
    logits = np.random.default_rng(0).standard_normal((20_000, 500), dtype=np.float32)
    y = logits[:, :50].argmax(axis=1)
    np.save(tmp_path / "logits.npy", logits)  # 40 MB
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    model = TemperatureScaling(classes=np.arange(500))
    tracemalloc.start()
    model.fit(mapped, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert (
        model.temperature_ == TemperatureScaling(classes=np.arange(500)).fit(logits, y).temperature_
    )
