/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A way into a source for one thread: with its own descriptor where the source has one (the bounce
 * page of /proc/kcore hangs off the open file), and by system calls, never through a mapping, so
 * that a disk that fails is an error and not a signal, and a thread that hangs can be left behind.
 */
#ifndef SOURCE_CHANNEL_H
#define SOURCE_CHANNEL_H

#include "base/page_state.h"
#include "source/source.h"

struct source_channel;

/*
 * The source lives on until its last channel is closed, even if kioku_source_close() comes first.
 * Opening and closing are for the thread that owns the source, except of a channel that was left
 * behind, which its own thread closes. The layout is the one in use now.
 * Errors: OS, NO_MEMORY, UNSUPPORTED (a second one of a source that has only one way in).
 */
enum kioku_status source_channel_open(struct kioku_source *source, struct source_channel **out,
				      struct kioku_error *error);
void source_channel_close(struct source_channel *channel);

/* As kioku_source_read(), without its statistics. */
enum kioku_status source_channel_read(struct source_channel *channel, uint64_t physical,
				      void *buffer, size_t size, struct kioku_error *error);

/* Whether several channels may read at once, and a hanging one be left behind. */
bool source_channel_is_free(const struct source_channel *channel);

/*
 * What the machine, or the image's manifest, says of count pages from physical on, a multiple of
 * 4096: PAGE_READ where nothing speaks against reading them. False if nobody can say.
 */
bool source_channel_states(struct source_channel *channel, uint64_t physical, size_t count,
			   uint8_t *states);

#endif
