/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is noted down of a session, so that a receiver that was killed goes on where it was: one file
 * in the state folder. What was done to files is noted as a whole file that takes the place of the one
 * before; how far the stream was received is rewritten in place, within one page, so that there is
 * never half of it.
 */
#ifndef RECEIVE_SESSION_RECORD_H
#define RECEIVE_SESSION_RECORD_H

#include "format/transfer_format.h"
#include "receive/state_folder.h"
#include "receive/tokens.h"

enum session_stage { SESSION_RUNS, SESSION_DONE, SESSION_FAILED };
enum record_file_stage { FILE_UNUSED, FILE_OPEN, FILE_CLOSED, FILE_REMOVED };

#define SESSION_NAME_SIZE (2 * TRANSFER_SESSION_SIZE + 1)
#define HOST_SIZE         256u
#define FOLDER_SIZE       128u
#define REASON_SIZE       256u

struct record_file {
	char name[TRANSFER_NAME_LIMIT + 1];
	uint8_t stage; /* enum record_file_stage */
	bool answers;  /* its digests are for the sender */
	bool has_sha256;
	uint8_t md5[TRANSFER_MD5_SIZE], sha256[TRANSFER_SHA256_SIZE];
};

struct session_record {
	char magic[16];
	struct session_note {
		uint64_t position; /* of the stream: all before it was applied */
		uint64_t received; /* bytes of the files, holes included */
		uint64_t repeated; /* bytes of messages that were cut off, and came again */
		uint64_t touched;  /* seconds since 1970: when a connection was last seen */
		double seconds;    /* that it took, once it is done */
		uint32_t breaks;
		uint32_t stage;   /* enum session_stage */
		uint32_t refusal; /* of a failed one: enum transfer_refusal, and why */
		char reason[REASON_SIZE];
		bool forgotten; /* the sender needs no answers any more */
		bool to_store;  /* once it is done: to be uploaded */
	} note;
	uint8_t session[TRANSFER_SESSION_SIZE];
	uint8_t secret_hash[TOKEN_HASH_SIZE], token_hash[TOKEN_HASH_SIZE];
	uint64_t started; /* seconds since 1970 */
	uint64_t expected, lost;
	bool complete;
	char host[HOST_SIZE]; /* as the sender calls it */
	char image[TRANSFER_NAME_LIMIT + 1];
	char folder[FOLDER_SIZE]; /* its name */
	struct record_file files[TRANSFER_FILES];
};

_Static_assert(offsetof(struct session_record, session) <= 4096, "the note lies in one page");

/* The session in hexadecimal, which is what its file is called. */
void session_name(const uint8_t session[TRANSFER_SESSION_SIZE], char out[SESSION_NAME_SIZE]);

/* Notes all of it. *descriptor, -1 at first, is for session_record_note(). Errors: OS. */
enum kioku_status session_record_save(const struct session_record *record,
				      const struct state_folder *state, int *descriptor,
				      struct kioku_error *error);

/* Notes record->note. Errors: OS. */
enum kioku_status session_record_note(const struct session_record *record, int descriptor,
				      struct kioku_error *error);

/* Errors: OS, CORRUPT, NO_MEMORY. */
enum kioku_status session_record_load(struct session_record *record,
				      const struct state_folder *state, const char *name,
				      struct kioku_error *error);

void session_record_remove(const struct session_record *record, const struct state_folder *state);

/* Calls function for the name of each session that is noted down. Errors: OS. */
enum kioku_status session_records_list(const struct state_folder *state,
				       enum kioku_status (*function)(void *user, const char *name,
								     struct kioku_error *error),
				       void *user, struct kioku_error *error);

/* The image's file, NULL if there is none that is closed. */
const struct record_file *session_record_image(const struct session_record *record);

#endif
