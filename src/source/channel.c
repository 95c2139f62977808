/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "source/channel.h"
#include "source/driver.h"

struct source_channel {
	struct kioku_source *source;
	const struct source_layout *layout;
	size_t hint;  /* range_map_find()'s */
	void *access; /* of drivers that have that */
};

DEFINE_CLEANUP(channel, struct source_channel, source_channel_close)

/* What is unpacked is kept by the source, for one thread. */
static bool has_one_way(const struct kioku_source *source)
{
	return !source_is_plain(source);
}

enum kioku_status source_channel_open(struct kioku_source *source, struct source_channel **out,
				      struct kioku_error *error)
{
	*out = NULL;
	if (has_one_way(source) && source->has_channel)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "a %s can only be read by one at a time", source->driver->help);

	CLEANUP(cleanup_channel) struct source_channel *channel = calloc(1, sizeof(*channel));
	if (!channel)
		return error_no_memory(error);
	atomic_fetch_add(&source->references, 1);
	channel->source = source;
	channel->layout = source->layout;
	if (source->driver->access)
		TRY(source->driver->access->open(source, &channel->access, error));
	source->has_channel = has_one_way(source);
	*out = TAKE(channel);
	return KIOKU_OK;
}

void source_channel_close(struct source_channel *channel)
{
	if (!channel)
		return;
	struct kioku_source *source = channel->source;
	if (source->driver->access)
		source->driver->access->close(channel->access);
	if (has_one_way(source))
		source->has_channel = false;
	kioku_source_close(source);
	free(channel);
}

/* Bytes of a file as they are, by a system call. */
static enum kioku_status read_file(struct source_channel *channel, uint64_t physical,
				   uint64_t offset, uint8_t *out, size_t size,
				   struct kioku_error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(channel->source->descriptor, out + done, size - done,
				    (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0) {
			done += (size_t)got;
			continue;
		}
		enum kioku_status status =
			got < 0 ? error_os(error, "read")
				: error_set(error, KIOKU_ERROR_ABSENT,
					    "the file became shorter while it was read");
		if (error)
			error->address = physical + done;
		return status;
	}
	return KIOKU_OK;
}

static enum kioku_status read_part(void *user, const struct extent *extent, uint64_t physical,
				   uint8_t *out, size_t *size, struct kioku_error *error)
{
	struct source_channel *channel = user;
	const struct source_access *access = channel->source->driver->access;
	uint64_t offset = extent->offset + (physical - extent->start);

	return access ? access->read(channel->access, physical, offset, out, *size, error)
		      : read_file(channel, physical, offset, out, *size, error);
}

enum kioku_status source_channel_read(struct source_channel *channel, uint64_t physical,
				      void *buffer, size_t size, struct kioku_error *error)
{
	if (has_one_way(channel->source))
		return source_read(channel->source, physical, buffer, size, error);
	return source_read_parts(channel->layout, &channel->hint, physical, buffer, size, read_part,
				 channel, error);
}

bool source_channel_is_free(const struct source_channel *channel)
{
	return !has_one_way(channel->source);
}

bool source_channel_states(struct source_channel *channel, uint64_t physical, size_t count,
			   uint8_t *states)
{
	const struct kioku_source *source = channel->source;
	const struct source_access *access = source->driver->access;

	if (access)
		return access->states(channel->access, physical, count, states);
	if (source->states.count == 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint64_t page = physical + i * CAPTURE_PAGE;
		size_t next = range_map_after(&source->states, page);
		bool is_known = next < source->states.count &&
				source->states.extents[next].start < page + CAPTURE_PAGE;
		states[i] = (uint8_t)(is_known ? source->states.extents[next].kind : PAGE_READ);
	}
	return true;
}
