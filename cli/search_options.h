/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of views that search memory. */
#ifndef CLI_SEARCH_OPTIONS_H
#define CLI_SEARCH_OPTIONS_H

#include "options.h"

#define STRINGS_OPTION_COUNT 3
#define RULES_OPTION_COUNT   3

extern const struct option_row strings_options[STRINGS_OPTION_COUNT];
extern const struct option_row rules_options[RULES_OPTION_COUNT];

/* The columns that such a view shows unless others were asked for; NULL: the view's own. */
const char *search_columns(const struct options *options, unsigned view_options);

#endif
