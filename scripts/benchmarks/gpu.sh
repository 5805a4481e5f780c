#!/usr/bin/env bash
# Measures a GPU's machine in under 8 minutes: scripts/benchmarks/gpu.sh [FOLDER] [flags of gpu.py].
# Writes FOLDER/gpu.json and FOLDER/gpu.log; FOLDER is $OUT, or else benchmarks, unless given.
# Packages that the machine lacks come from .whl in the project's root, where there is one: wheels,
# and archives *.tar.xz of unpacked ones (OpenCV's wheel is 66 MiB, packed like this 45).
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${OUT:-benchmarks}
if [[ ${1:-} && $1 != -* ]]; then folder=$1; shift; fi
mkdir -p "$folder"
python=${PYTHON:-python3}
if [[ -d .whl ]]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
    --target "$site" .whl/*.whl
  for archive in .whl/*.tar.xz; do
    [[ -f $archive ]] && "$python" -m tarfile -e "$archive" "$site"
  done
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
# Parts build the same networks: what JAX compiles for that is kept, also for a second run, whose
# first calls then take less.
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-/tmp/jax_cache}
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.1 JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES=none
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=2
"$python" -m scripts.benchmarks.gpu --output "$folder/gpu.json" "$@" 2>&1 | tee "$folder/gpu.log"
