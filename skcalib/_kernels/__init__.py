"""Arithmetic on arrays: numpy and scipy alone, inputs trusted, no warnings raised."""
