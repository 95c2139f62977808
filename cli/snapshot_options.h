/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CLI_SNAPSHOT_OPTIONS_H
#define CLI_SNAPSHOT_OPTIONS_H

#include "options.h"

#define SNAPSHOT_OPTION_COUNT 10

extern const struct option_row snapshot_options[SNAPSHOT_OPTION_COUNT];

#endif
