"""Learning rates that rise at first."""

import keras


@keras.saving.register_keras_serializable("video")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose rates rise linearly to their full height over its first steps.

    Args:
        schedule: any other schedule.
        steps: how many.
    """

    def __init__(self, schedule, steps):
        super().__init__()
        self.schedule, self.steps = schedule, steps

    def __call__(self, step):
        done = keras.ops.cast(step, "float32") / self.steps
        return self.schedule(step) * keras.ops.minimum(done, 1.0)

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Make one of what `get_config` returned."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])
