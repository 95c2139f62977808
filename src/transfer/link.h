/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sender's session with a receiver, as in docs/transfer.md: a stream of messages that arrives once
 * and in order, however often the connection is lost. A thread of the link's own writes, listens, and
 * connects again; what was not acknowledged waits in memory meanwhile (see window).
 */
#ifndef TRANSFER_LINK_H
#define TRANSFER_LINK_H

#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/diagnostic.h"
#include "format/transfer_format.h"
#include "transfer/key.h"

/* In seconds. */
struct link_timing {
	double ping;    /* after which something is said */
	double silence; /* after which a connection is given up */
	double pause;   /* before connecting again; doubles each time, up to pause_limit */
	double pause_limit;
	double hurry; /* after link_hurry(): how long a link may be lost */
	double retry; /* how long it may be lost else */
};

extern const struct link_timing link_timing;

struct link_options {
	struct sockaddr_storage address;
	socklen_t address_size;
	const struct transfer_key *key;  /* with both parts */
	const char *host, *image, *tool; /* that HELLO tells */
	uint64_t expected;               /* as in struct destination_options */
	struct link_timing timing;
	const struct diagnostics *diagnostics; /* told from any thread; may be NULL */
};

struct link;

/*
 * Connects and waits until the receiver has accepted the session. That nobody answers is an error at
 * once; that the receiver is busy is not. Options and what they point to are needed for this call
 * only, but for diagnostics. goes_on: as in struct destination_options. Errors: OS, LIMIT, REFUSED,
 * STOPPED, UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status link_open(const struct link_options *options, bool (*goes_on)(void *user),
			    void *user, struct link **out, struct kioku_error *error);

/* NULL is allowed. A session that was not finished ends in the middle. */
void link_close(struct link *link);

/* From any thread: a link that is lost is given up soon. */
void link_hurry(struct link *link);

/* Where the receiver puts the files, made printable; "": it does not say. */
const char *link_folder(const struct link *link);

/*
 * Adds a message to the stream, from any thread; waits while the window is full, and while the link
 * is lost. Errors: OS, LIMIT (the link is lost for good), REFUSED, CORRUPT (by the receiver),
 * ARGUMENT (a text that is too long), NO_MEMORY. All later calls fail in the same way.
 */
enum kioku_status link_send(struct link *link, const struct transfer_message *message,
			    struct kioku_error *error);

/*
 * Waits for the answer to a CLOSE with TRANSFER_ANSWER. progress may be NULL; it is asked some times a
 * second. Errors: as above, STOPPED.
 */
enum kioku_status link_await_digest(struct link *link, uint32_t file, struct file_digests *out,
				    bool (*progress)(void *user), void *user,
				    struct kioku_error *error);

/* Sends END, and waits until the receiver has all on its disk. Errors: as of link_send(). */
enum kioku_status link_finish(struct link *link, bool complete, uint64_t lost,
			      struct kioku_error *error);

DEFINE_CLEANUP(link, struct link, link_close)
#define AUTO_LINK CLEANUP(cleanup_link)

#endif
