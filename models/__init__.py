"""Networks: tensors in, tensors out.

Imported before keras (the linter sorts it there), because of the settings below.
"""

import os

# On CPUs without AVX-512 VNNI, TensorFlow leaves its oneDNN kernels off, with which the default
# backbone runs at twice the speed there and trains at three times. It reads this once, when it is
# imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Its notes about the processor would stand above every message of ours; its errors stay.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
