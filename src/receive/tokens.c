/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/digest.h"
#include "transfer/key.h"

#define TOKENS_FILE "tokens"

enum {
	TOKEN_COUNT_LIMIT = 16384,
	LINE_SIZE = 2 * TOKEN_HASH_SIZE + 32, /* hash, kind, bytes */
	FILE_LIMIT = TOKEN_COUNT_LIMIT * LINE_SIZE,
};

void token_hash(const uint8_t token[TRANSFER_TOKEN_SIZE], uint8_t out[TOKEN_HASH_SIZE])
{
	SHA256(token, TRANSFER_TOKEN_SIZE, out);
}

static bool may_be_used(const struct tokens *tokens, const struct token *token)
{
	return token->standing ? tokens->standing : !token->used;
}

static struct token *find(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE],
			  bool usable)
{
	struct token *found = NULL;

	for (size_t i = 0; i < tokens->count; i++) {
		struct token *token = &tokens->items[i];
		bool same = secret_equal(token->hash, hash, TOKEN_HASH_SIZE);
		found = same & (!usable | may_be_used(tokens, token)) ? token : found;
	}
	return found;
}

struct token *tokens_find(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE])
{
	return find(tokens, hash, true);
}

struct token *tokens_known(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE])
{
	return find(tokens, hash, false);
}

/* Makes room: what was used up longest ago is given away. */
static void drop_used(struct tokens *tokens)
{
	for (size_t i = 0; i < tokens->count; i++) {
		struct token *token = &tokens->items[i];
		if (!token->used || token->standing || token->shown)
			continue;
		memmove(token, token + 1, (--tokens->count - i) * sizeof(*token));
		break;
	}
}

static enum kioku_status add(struct tokens *tokens, const struct token *token,
			     struct kioku_error *error)
{
	if (tokens->count == TOKEN_COUNT_LIMIT)
		drop_used(tokens);
	if (tokens->count == TOKEN_COUNT_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT, "there are more than %d tokens",
				 TOKEN_COUNT_LIMIT);
	struct token *grown = reallocarray(tokens->items, tokens->count + 1, sizeof(*grown));
	if (!grown)
		return error_no_memory(error);
	tokens->items = grown;
	tokens->items[tokens->count++] = *token;
	return KIOKU_OK;
}

static bool parse_hash(const char *text, uint8_t out[TOKEN_HASH_SIZE])
{
	for (size_t i = 0; i < TOKEN_HASH_SIZE; i++)
		if (sscanf(text + 2 * i, "%2hhx", &out[i]) != 1)
			return false;
	return true;
}

/* "HASH KIND BYTES" */
static bool parse_line(const char *line, struct token *out)
{
	char hash[2 * TOKEN_HASH_SIZE + 1], kind[16];

	*out = (struct token){ 0 };
	if (sscanf(line, "%64[0-9a-f] %15s %" SCNu64, hash, kind, &out->received) != 3 ||
	    strlen(hash) != 2 * TOKEN_HASH_SIZE || !parse_hash(hash, out->hash))
		return false;
	out->standing = strcmp(kind, "standing") == 0;
	out->used = strcmp(kind, "used") == 0;
	return out->standing || out->used || strcmp(kind, "open") == 0;
}

enum kioku_status tokens_open(struct tokens *tokens, const struct state_folder *state,
			      bool standing, struct kioku_error *error)
{
	AUTO_FREE char *text = NULL;
	struct token token;
	size_t size;

	*tokens = (struct tokens){ .state = state, .standing = standing };
	enum kioku_status status =
		state_read(state->state, TOKENS_FILE, FILE_LIMIT, &text, &size, error);
	if (status == KIOKU_ERROR_NOT_FOUND)
		return KIOKU_OK;
	TRY(status);
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		if (!parse_line(line, &token))
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "%s/" STATE_FOLDER "/" TOKENS_FILE " is damaged",
					 state->path);
		TRY(add(tokens, &token, error));
	}
	return KIOKU_OK;
}

void tokens_release(struct tokens *tokens)
{
	free(tokens->items);
	*tokens = (struct tokens){ 0 };
}

enum kioku_status tokens_save(const struct tokens *tokens, struct kioku_error *error)
{
	AUTO_FREE char *text = malloc(tokens->count * LINE_SIZE + 1);
	size_t used = 0;

	if (!text)
		return error_no_memory(error);
	for (size_t i = 0; i < tokens->count; i++) {
		const struct token *token = &tokens->items[i];
		digest_hex(token->hash, TOKEN_HASH_SIZE, text + used);
		used += 2 * (size_t)TOKEN_HASH_SIZE;
		used += (size_t)sprintf(text + used, " %s %" PRIu64 "\n",
					token->standing ? "standing"
					: token->used   ? "used"
							: "open",
					token->received);
	}
	return state_write(tokens->state->state, TOKENS_FILE, text, used, false, NULL, error);
}

static enum kioku_status take_in(struct tokens *tokens, const uint8_t token[TRANSFER_TOKEN_SIZE],
				 struct kioku_error *error)
{
	struct token made = { .standing = tokens->standing, .shown = true };

	token_hash(token, made.hash);
	struct token *known = tokens_known(tokens, made.hash);
	if (!known)
		return add(tokens, &made, error);
	known->shown = true;
	known->standing = tokens->standing;
	return KIOKU_OK;
}

enum kioku_status tokens_make(struct tokens *tokens, uint8_t out[TRANSFER_TOKEN_SIZE],
			      struct kioku_error *error)
{
	if (RAND_bytes(out, TRANSFER_TOKEN_SIZE) != 1)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL has no random bytes");
	TRY(take_in(tokens, out, error));
	return tokens_save(tokens, error);
}

size_t tokens_open_count(const struct tokens *tokens)
{
	size_t count = 0;

	for (size_t i = 0; i < tokens->count; i++)
		count += tokens->items[i].shown && may_be_used(tokens, &tokens->items[i]);
	return count;
}

/* Lines that hold no token, and a file that is none, are told by their number alone: they are secrets. */
static enum kioku_status read_lines(struct tokens *tokens, const char *path, char *text,
				    struct kioku_error *error)
{
	unsigned number = 0;

	for (char *line; (line = strsep(&text, "\n"));) {
		AUTO_KEY struct transfer_key key = { 0 };
		size_t size = strcspn(line, " \t\r");
		number++;
		if (size == 0 || line[0] == '#')
			continue;
		if (key_parse((struct bytes){ (const uint8_t *)line, size }, &key, NULL) !=
			    KIOKU_OK ||
		    !key.has_token)
			return error_set(error, KIOKU_ERROR_CORRUPT, "%s: line %u holds no token",
					 path, number);
		TRY(take_in(tokens, key.token, error));
	}
	return KIOKU_OK;
}

static enum kioku_status make_file(struct tokens *tokens, const char *path,
				   struct kioku_error *error)
{
	AUTO_KEY struct transfer_key key = { .has_token = true };
	char text[KEY_TEXT + 1];

	AUTO_CLOSE int file =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return error_os(error, "cannot make the token file %s", path);
	TRY(tokens_make(tokens, key.token, error));
	key_print(&key, text);
	strcat(text, "\n");
	bool written = write_all(file, text, strlen(text));
	OPENSSL_cleanse(text, sizeof(text));
	return written ? KIOKU_OK : error_os(error, "cannot write the token file %s", path);
}

enum kioku_status tokens_read_file(struct tokens *tokens, const char *path,
				   struct kioku_error *error)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	enum kioku_status status =
		state_read(AT_FDCWD, path, TOKEN_COUNT_LIMIT * KEY_TEXT, &text, &size, error);
	if (status == KIOKU_ERROR_NOT_FOUND)
		return make_file(tokens, path, error);
	if (status == KIOKU_OK)
		status = read_lines(tokens, path, text, error);
	if (text)
		OPENSSL_cleanse(text, size);
	TRY(status);
	return tokens_save(tokens, error);
}
