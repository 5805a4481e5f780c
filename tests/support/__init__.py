import pytest

pytest.register_assert_rewrite("support.runs")  # its assertions then say what they compared
