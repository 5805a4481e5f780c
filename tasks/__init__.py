"""What a run is asked for, a module each: parameters, models and data joined for entry points."""
