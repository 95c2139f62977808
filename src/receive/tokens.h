/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which tokens open a session, kept as SHA-256 and how many bytes came by each. A single-use token is
 * used up by the first session that it opens. Calls are serialised by the caller.
 */
#ifndef RECEIVE_TOKENS_H
#define RECEIVE_TOKENS_H

#include <stdint.h>

#include "format/transfer_format.h"
#include "receive/state_folder.h"

#define TOKEN_HASH_SIZE 32u

struct token {
	uint8_t hash[TOKEN_HASH_SIZE];
	bool standing, used;
	bool shown;        /* was made or read by this process */
	uint64_t received; /* bytes of the files, of sessions that are forgotten */
	uint64_t total;    /* and of those that are not, too; not noted down */
};

struct tokens {
	const struct state_folder *state; /* borrowed */
	bool standing;                    /* of this run: standing tokens are accepted */
	struct token *items;
	size_t count;
};

/* Reads what the runs before have left. tokens_release() in any case. Errors: OS, CORRUPT, NO_MEMORY. */
enum kioku_status tokens_open(struct tokens *tokens, const struct state_folder *state,
			      bool standing, struct kioku_error *error);
void tokens_release(struct tokens *tokens);

/* Makes a fresh token, which is known after a restart, too. Errors: OS, LIMIT (too many), NO_MEMORY. */
enum kioku_status tokens_make(struct tokens *tokens, uint8_t out[TRANSFER_TOKEN_SIZE],
			      struct kioku_error *error);

/*
 * Takes in the tokens of a file, one a line; lines that are empty or begin with "#" say nothing. If
 * there is no such file, it is made with a fresh token. Those that were used up stay so. Errors: OS,
 * CORRUPT, LIMIT, NO_MEMORY.
 */
enum kioku_status tokens_read_file(struct tokens *tokens, const char *path,
				   struct kioku_error *error);

/* How many of those that this process has shown may still be used. */
size_t tokens_open_count(const struct tokens *tokens);

void token_hash(const uint8_t token[TRANSFER_TOKEN_SIZE], uint8_t out[TOKEN_HASH_SIZE]);

/* The token that may be used now, or NULL. The time it takes does not depend on which it is. */
struct token *tokens_find(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE]);

/* Whatever its state. */
struct token *tokens_known(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE]);

/* Notes what was changed in a token: when this returns, a restart knows it. Errors: OS, NO_MEMORY. */
enum kioku_status tokens_save(const struct tokens *tokens, struct kioku_error *error);

#endif
