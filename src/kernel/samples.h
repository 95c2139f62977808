/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Structures of one kind whose layout is not known, as rows of equal width: what must hold for a member
 * must hold in its column for every row, and in no other column.
 */
#ifndef KERNEL_SAMPLES_H
#define KERNEL_SAMPLES_H

#include "base/bytes.h"
#include "kernel/kernel.h"

struct samples {
	uint64_t *addresses; /* virtual */
	uint8_t *data;       /* count rows of width bytes */
	size_t count, capacity;
	size_t width; /* bytes of each, a multiple of 8 */
};

/* Reads the structure at an address as one more row; false: it is not there as a whole, or there is no memory. */
bool samples_add(struct kioku_kernel *kernel, struct samples *samples, uint64_t address);

/* The same, unless there is such a row already, which is fine too. */
bool samples_add_once(struct kioku_kernel *kernel, struct samples *samples, uint64_t address);

/* The row of an address; samples->count: none has it. */
size_t samples_find(const struct samples *samples, uint64_t address);

void samples_release(struct samples *samples);
#define AUTO_SAMPLES CLEANUP(samples_release)

static inline uint64_t sample_u64(const struct samples *samples, size_t row, size_t column)
{
	return load_le64(samples->data + row * samples->width + column);
}

static inline uint32_t sample_u32(const struct samples *samples, size_t row, size_t column)
{
	return load_le32(samples->data + row * samples->width + column);
}

/* Whether a column may be a member, judged by all rows. */
typedef bool column_fn(const struct samples *samples, size_t column, void *user);

/*
 * The columns that may be, step bytes apart, in ascending order. Returns how many there are; at most limit
 * are stored.
 */
size_t samples_columns(const struct samples *samples, size_t step, column_fn *is_member, void *user,
		       size_t *out, size_t limit);

/* The only column that may be; false: there is none, or there are several. */
bool samples_only_column(const struct samples *samples, size_t step, column_fn *is_member,
			 void *user, size_t *out);

#endif
