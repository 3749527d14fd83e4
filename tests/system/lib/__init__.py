# SPDX-License-Identifier: MIT
"""What the system tests share."""
