"""What a test repeats on every Keras backend, and how fast it steps on TensorFlow."""

import contextlib
import os

import pytest

# JAX compiles each operation of each shape: it repeats what shows its arithmetic, a case of a kind.
once = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND") == "jax",
    reason="shown on TensorFlow; another backend adds nothing",
)


@contextlib.contextmanager
def untraced_steps():
    """Run TensorFlow's steps without tracing, which takes most of the time of a few steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
