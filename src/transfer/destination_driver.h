/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kind of destination provides; drivers are rows of the table in destination.c. */
#ifndef TRANSFER_DESTINATION_DRIVER_H
#define TRANSFER_DESTINATION_DRIVER_H

#include "transfer/destination.h"
#include "base/url.h"

struct destination {
	const struct destination_driver *driver;
	const struct diagnostics *diagnostics; /* may be NULL */
	char *label;                           /* allocated; "" if there is nothing to tell */
	char *place;                           /* allocated, or NULL */
	void *state;                           /* the driver's own */
};

struct destination_file {
	struct destination *destination;
	char *name;    /* allocated; for messages, too */
	uint64_t size; /* the driver keeps it */
	bool has_digest;
	void *state;
};

struct destination_driver {
	const char *scheme; /* NULL: no URL, a path or "-" */
	bool is_stream, can_seek;

	/* Without opening it; may be NULL. */
	enum kioku_status (*check)(const struct url *url, const struct destination_options *options,
				   struct kioku_error *error);
	/* Sets state, and label if it has one. close() comes in any case. */
	enum kioku_status (*open)(struct destination *destination, const struct url *url,
				  const struct destination_options *options,
				  struct kioku_error *error);
	void (*close)(struct destination *destination);
	void (*hurry)(struct destination *destination); /* may be NULL */

	/* name and size are set; file_close() comes in any case. */
	enum kioku_status (*create)(struct destination_file *file, struct kioku_error *error);
	enum kioku_status (*replace)(struct destination *destination, const char *from,
				     const char *to, struct kioku_error *error);
	void (*remove)(struct destination *destination, const char *name);
	enum kioku_status (*finish)(struct destination *destination, bool complete, uint64_t lost,
				    struct kioku_error *error);

	enum kioku_status (*file_write)(struct destination_file *file, uint64_t offset,
					const void *data, size_t size, size_t *written,
					struct kioku_error *error);
	enum kioku_status (*file_hole)(struct destination_file *file, uint64_t offset,
				       uint64_t size, struct kioku_error *error);
	enum kioku_status (*file_finish)(struct destination_file *file, const uint8_t *sha256,
					 struct file_digests *digests, bool (*progress)(void *user),
					 void *user, struct kioku_error *error);
	void (*file_close)(struct destination_file *file);
};

/* file_destination.c: a path; stream_destination.c; ssh_destination.c; receiver_destination.c */
extern const struct destination_driver file_destination, stdout_destination, tcp_destination,
	tcp_listen_destination, ssh_destination, receiver_destination;

#endif
