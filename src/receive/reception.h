/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stream of one session becomes files in a folder of its own. Used by one thread at a time. What
 * the sender says is checked: a file's number and name, offsets, sizes, digests, the order of things.
 */
#ifndef RECEIVE_RECEPTION_H
#define RECEIVE_RECEPTION_H

#include "receive/session_record.h"
#include "transfer/local_file.h"

struct reception_file {
	struct local_file local; /* its descriptor is -1 while no connection uses it */
	struct digest sha256;    /* of the first bytes, as long as they come in order */
	uint64_t digested;
	bool is_digesting;
};

struct reception {
	struct session_record record;
	const struct state_folder *state; /* borrowed */
	int note;                         /* descriptor of the record's file */
	int folder;                       /* descriptor; -1 while no connection uses it */
	struct reception_file files[TRANSFER_FILES];
	/* Asked again and again in whatever takes long; false ends it with STOPPED. */
	bool (*goes_on)(void *user);
	/* Whether so many bytes more may be received. */
	bool (*may_receive)(void *user, uint64_t bytes);
	void *user;
};

/* record: all but the folder is filled in; makes that, and notes all of it. Errors: OS. */
enum kioku_status reception_begin(struct reception *reception, struct kioku_error *error);

/* A connection begins, or ends, to use it; what is needed is opened, or closed. Errors: OS, CORRUPT. */
enum kioku_status reception_attach(struct reception *reception, struct kioku_error *error);
void reception_detach(struct reception *reception);

/*
 * Does what a message of the stream says, which takes so many bytes there. Errors: STOPPED, and
 * nothing was done; all others are what the sender is refused for, with *refusal.
 */
enum kioku_status reception_apply(struct reception *reception,
				  const struct transfer_message *message, size_t size,
				  enum transfer_refusal *refusal, struct kioku_error *error);

/* Notes how far the stream was applied, so that it may be acknowledged. Errors: OS. */
enum kioku_status reception_note(struct reception *reception, struct kioku_error *error);

/* It is failed for good. */
void reception_fail(struct reception *reception, enum transfer_refusal refusal, const char *reason);

/* Removes the folder of a session in which nothing has come. */
void reception_discard(struct reception *reception);

void reception_release(struct reception *reception);

#endif
