/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/samples.h"

#include <stdlib.h>

bool samples_add(struct kioku_kernel *kernel, struct samples *samples, uint64_t address)
{
	if (samples->count == samples->capacity) {
		size_t capacity = samples->capacity ? samples->capacity * 2 : 64;
		uint64_t *addresses =
			reallocarray(samples->addresses, capacity, sizeof(*addresses));
		if (!addresses)
			return false;
		samples->addresses = addresses;
		uint8_t *data = reallocarray(samples->data, capacity, samples->width);
		if (!data)
			return false;
		samples->data = data;
		samples->capacity = capacity;
	}
	if (!kernel_is_pointer(kernel, address) ||
	    kernel_read(kernel, address, samples->data + samples->count * samples->width,
			samples->width, NULL) != KIOKU_OK)
		return false;
	samples->addresses[samples->count++] = address;
	return true;
}

bool samples_add_once(struct kioku_kernel *kernel, struct samples *samples, uint64_t address)
{
	return samples_find(samples, address) < samples->count ||
	       samples_add(kernel, samples, address);
}

size_t samples_find(const struct samples *samples, uint64_t address)
{
	size_t row = 0;

	while (row < samples->count && samples->addresses[row] != address)
		row++;
	return row;
}

void samples_release(struct samples *samples)
{
	free(samples->addresses);
	free(samples->data);
}

size_t samples_columns(const struct samples *samples, size_t step, column_fn *is_member, void *user,
		       size_t *out, size_t limit)
{
	size_t found = 0;

	for (size_t column = 0; column + step <= samples->width; column += step) {
		if (!is_member(samples, column, user))
			continue;
		if (found < limit)
			out[found] = column;
		found++;
	}
	return found;
}

bool samples_only_column(const struct samples *samples, size_t step, column_fn *is_member,
			 void *user, size_t *out)
{
	return samples_columns(samples, step, is_member, user, out, 1) == 1;
}
