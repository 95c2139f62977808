/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a source makes of a configuration: options that it does not have, or cannot have together, come out otherwise. */
#ifndef LAYOUT_CONFIG_CHANGE_H
#define LAYOUT_CONFIG_CHANGE_H

#include "base/diagnostic.h"
#include "kconfig/config_text.h"

#define CONFIG_CHANGE_TEXT 240

/* Names, some of them, in words: "CONFIG_A, CONFIG_B and 3 more". */
struct config_names {
	char text[CONFIG_CHANGE_TEXT];
	size_t used, count, left_out;
};

struct config_changes {
	struct config_names changed; /* options that came out otherwise: layouts may be others */
	struct config_names tools; /* that say what compiler and linker can do, and nothing else */
	struct config_names added; /* that were not asked for, and are on */
};

/* Both must be sorted. Each that is changed is said. */
void config_changes_find(const struct config_text *asked, const struct config_text *made,
			 const struct diagnostics *diagnostics, struct config_changes *out);

#endif
