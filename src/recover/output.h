/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where restored files go: a folder, or a tar archive. */
#ifndef RECOVER_OUTPUT_H
#define RECOVER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* A relative path in what is restored, of names that were checked (location.h); NUL-terminated. */
#define PLACE_ROOM 17000

/* What a file is, besides its content. */
struct attributes {
	mode_t mode; /* permissions, without bits that are to be dropped */
	uint32_t uid, gid;
	int64_t atime, mtime; /* seconds since 1970 */
	uint32_t atime_fraction, mtime_fraction;
};

/* Stretches of a file that have content; the rest is a hole. Ascending, disjoint. */
struct segment {
	uint64_t offset, size;
};

struct content {
	uint64_t size;
	const struct segment *segments;
	size_t count;
};

struct output;

/*
 * Errors of all: OS, NO_MEMORY; also EXIST (as REFUSED): there is such a name already. A status other
 * than is_fatal() costs this file only.
 */
struct output_driver {
	enum kioku_status (*folder)(struct output *output, const char *path,
				    const struct attributes *attributes, struct kioku_error *error);
	/* A file, then its segments' bytes in order in any portions, then the end. */
	enum kioku_status (*file)(struct output *output, const char *path,
				  const struct attributes *attributes,
				  const struct content *content, struct kioku_error *error);
	enum kioku_status (*data)(struct output *output, uint64_t offset, const void *data,
				  size_t size, struct kioku_error *error);
	enum kioku_status (*file_end)(struct output *output, const struct attributes *attributes,
				      struct kioku_error *error);
	enum kioku_status (*link)(struct output *output, const char *path, const char *target,
				  struct kioku_error *error);
	enum kioku_status (*symlink)(struct output *output, const char *path, const char *target,
				     const struct attributes *attributes,
				     struct kioku_error *error);
	/* Once everything is in it: the folder as it was. */
	enum kioku_status (*folder_end)(struct output *output, const char *path,
					const struct attributes *attributes,
					struct kioku_error *error);
	enum kioku_status (*end)(struct output *output, struct kioku_error *error);
	void (*release)(struct output *output);
};

struct output {
	const struct output_driver *driver;
	bool is_broken; /* nothing more can be written, whatever file it is */

	/* A folder. */
	int root;   /* descriptor; -1: none */
	int parent; /* of the file that came last; likewise */
	char parent_path[PLACE_ROOM];
	int file;
	bool sets_owners;

	/* An archive. */
	int descriptor;
	uint64_t left; /* of the member's data, with its padding */
	uint64_t padding;
	char *buffer;
	size_t buffered;
};

/* Errors: OS, REFUSED (the folder has something in it), NO_MEMORY. recover_output_release() in any case. */
enum kioku_status folder_output_open(struct output *output, const char *path, bool sets_owners,
				     struct kioku_error *error);
enum kioku_status tar_output_open(struct output *output, int descriptor, struct kioku_error *error);
void recover_output_release(struct output *output);

#endif
