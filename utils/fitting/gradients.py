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
            "This needs gradients from TensorFlow, but Keras runs on "
            f"{keras.backend.backend()}. Leave out KERAS_BACKEND, or give --method rollout "
            "if the network has attention."
        )
    import tensorflow as tf

    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        value = score(model(inputs, training=False))
    return tape.gradient(value, inputs)
