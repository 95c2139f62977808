/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether an image of the target "counters" is of one instant; as counters.py, but fast. */
#ifndef CHECK_H
#define CHECK_H

#include "targets/counters.h"

#include <stdbool.h>
#include <stddef.h>

/* Memory of one image. */
struct check_image {
	bool (*read)(void *context, uint64_t address, void *buffer, size_t size);
	void *context;
};

/* What is known of the rolled pages; each image is checked from where the last one was. */
struct check_rolls {
	uint64_t done;
	uint64_t *last; /* for each page, the write that was the last one to it */
};

struct check_result {
	unsigned long torn; /* words */
	char first[160];    /* the first of them, in words */
};

/* False if memory could not be read. All images must be given in the order they were made in. */
bool check_counters(const struct check_image *image, uint64_t header, struct check_rolls *rolls,
		    struct check_result *result);

#endif
