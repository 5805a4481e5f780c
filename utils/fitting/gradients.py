"""Gradients with respect to inputs, the one thing of automatic differentiation that Keras lacks."""

import keras


def differentiate(model, inputs, score):
    """Return the gradient of a score of a model's outputs.

    Args:
        model: a `keras.Model`, run as in inference.
        inputs: its inputs, an array or tensor.
        score: function outputs -> scalar tensor.

    Returns:
        Tensor like the inputs.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Gradients are taken with TensorFlow, Keras runs on {keras.backend.backend()}: leave "
            "out KERAS_BACKEND, or give --method rollout where the network allows it."
        )
    import tensorflow as tf

    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        value = score(model(inputs, training=False))
    return tape.gradient(value, inputs)
