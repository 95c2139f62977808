/* SPDX-License-Identifier: GPL-2.0-only */
/* All of RAM, once, to an output. */
#ifndef KIOKU_DUMP_H
#define KIOKU_DUMP_H

#include "output.h"

struct dump_settings {
	struct output_settings output;
	const char *format; /* lime, raw or padded */
	const char *digest; /* NULL: none */
	bool compress;
	unsigned int timeout; /* ms that a page may take; 0: any time */
};

/* 0, or a negative errno; either way one line in the log says what came of it. */
int dump_memory(const struct dump_settings *settings);

#endif
