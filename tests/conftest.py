"""Shared by all tests: no network, no analytics, few threads, and none of the user's work cache."""

import atexit
import os
import shutil
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", DVC_NO_ANALYTICS="1", TOKENIZERS_PARALLELISM="false")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["ATTUNE_CACHE"] = tempfile.mkdtemp(prefix="attune-tests-")
atexit.register(shutil.rmtree, os.environ["ATTUNE_CACHE"], ignore_errors=True)
