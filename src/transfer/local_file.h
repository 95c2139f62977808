/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file or stream of this machine that is written to. What was written to a file is dropped from the
 * page cache, so that a target's memory is not filled with it.
 */
#ifndef TRANSFER_LOCAL_FILE_H
#define TRANSFER_LOCAL_FILE_H

#include "transfer/destination.h"

struct local_file {
	int descriptor; /* owned */
	bool can_seek;
	bool is_file;              /* a regular file, so that there is a page cache to drop from */
	uint64_t base;             /* where it begins in it */
	uint64_t size;             /* bytes so far, holes included */
	uint64_t flushed, dropped; /* up to here writing back was begun; it has left the cache */
};

/* Takes over a descriptor. can_seek: all of the file is ours, from its first byte on. */
void local_file_init(struct local_file *file, int descriptor, bool can_seek);
void local_file_release(struct local_file *file);

/* These are destination_file_write() and so on. name is for messages. */
enum kioku_status local_file_write(struct local_file *file, const char *name, uint64_t offset,
				   const void *data, size_t size, size_t *written,
				   struct kioku_error *error);
enum kioku_status local_file_hole(struct local_file *file, const char *name, uint64_t offset,
				  uint64_t size, struct kioku_error *error);

/*
 * Brings it to the disk, and drops it from the page cache. progress, which may be NULL, is asked some
 * times meanwhile. Errors: OS, STOPPED (by progress).
 */
enum kioku_status local_file_sync(struct local_file *file, const char *name,
				  bool (*progress)(void *user), void *user,
				  struct kioku_error *error);

/*
 * Reads all of it. MD5 is zeros where OpenSSL refuses it. Errors: OS, STOPPED (by progress),
 * UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status local_file_digest(const struct local_file *file, const char *name,
				    struct file_digests *out, bool (*progress)(void *user),
				    void *user, struct kioku_error *error);

#endif
