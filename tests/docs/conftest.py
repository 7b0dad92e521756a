"""What the tests of README and docs share."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.docs.reader")
