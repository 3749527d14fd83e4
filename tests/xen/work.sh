# SPDX-License-Identifier: MIT
# Where build.sh puts the rig and run.sh finds it (sourced by both).
work=${XSGIT_XEN_WORK:-${XDG_CACHE_HOME:-/var/tmp}/xsgit-xen}
