/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CLI_SERVE_OPTIONS_H
#define CLI_SERVE_OPTIONS_H

#include "options.h"

#define SERVE_OPTION_COUNT 21

extern const struct option_row serve_options[SERVE_OPTION_COUNT];

#endif
