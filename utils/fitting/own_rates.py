"""Keras' optimizers, in which some weights have a learning rate of their own."""

import keras


class _OwnRates:
    """What these optimizers share: the step of a weight is scaled, and its decay.

    A scaled gradient would not do: Adam's step does not depend on its size.
    """

    own, factor = frozenset(), 1.0

    def scale_rates(self, variables, factor):
        """Multiply the learning rate of some variables, of those that it is built with.

        Args:
            variables: list of Keras variables.
            factor: on the learning rate of all others.
        """
        self.own, self.factor = frozenset(map(id, variables)), float(factor)

    def _apply_weight_decay(self, variables):
        """Do nothing: `update_step` decays, where it is known which rate a variable has."""

    def update_step(self, gradient, variable, learning_rate):
        """Update a variable by Keras' own rule, at its own rate."""
        if id(self._trainable_variables[self._get_variable_index(variable)]) in self.own:
            learning_rate = learning_rate * self.factor
        if self.weight_decay and self._use_weight_decay(variable):
            decay = keras.ops.cast(learning_rate * self.weight_decay, variable.dtype)
            self.assign_sub(variable, variable * decay)
        super().update_step(gradient, variable, learning_rate)


@keras.saving.register_keras_serializable("video")
class SGD(_OwnRates, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with `scale_rates`, which what is saved does not know of."""


@keras.saving.register_keras_serializable("video")
class AdamW(_OwnRates, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with `scale_rates`, which what is saved does not know of."""
