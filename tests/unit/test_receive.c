/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a receiver keeps, and what it does again after it was killed at the worst moment. */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "receive/identity.h"
#include "receive/reception.h"
#include "transfer/tls.h"

#include "tap.h"

static char place[] = "/tmp/kioku-receive-XXXXXX";

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	return remove(path);
}

static void remove_place(void)
{
	nftw(place, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_state(struct state_folder *state)
{
	struct kioku_error error;

	CHECK(mkdtemp(place));
	atexit(remove_place);
	if (state_folder_open(state, place, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
}

static void put_file(const struct state_folder *state, const char *name, const char *text,
		     size_t size)
{
	CHECK_EQUAL(state_write(state->state, name, text, size, false, NULL, NULL), KIOKU_OK);
}

/* --- the folder */

static void one_at_a_time(void)
{
	struct state_folder state, second;
	struct kioku_error error;

	open_state(&state);
	CHECK_EQUAL(state_folder_open(&second, place, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, "another receiver");
	state_folder_close(&second);
	state_folder_close(&state);
	CHECK_EQUAL(state_folder_open(&second, place, &error), KIOKU_OK);
	state_folder_close(&second);
}

static void closed_to_others(void)
{
	struct state_folder state;
	struct kioku_error error;

	open_state(&state);
	fchmod(state.state, 0750);
	state_folder_close(&state);
	CHECK_EQUAL(state_folder_open(&state, place, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, "closed to others");
	state_folder_close(&state);
}

/* --- the key */

static void same_key(void)
{
	uint8_t first[TLS_FINGERPRINT_SIZE], again[TLS_FINGERPRINT_SIZE];
	struct state_folder state;
	struct identity identity;
	struct stat status;

	open_state(&state);
	CHECK_EQUAL(identity_open(&identity, &state, NULL), KIOKU_OK);
	CHECK(tls_fingerprint(identity.certificate, first));
	identity_release(&identity);
	CHECK_EQUAL(fstatat(state.state, "key.pem", &status, 0), 0);
	CHECK_EQUAL(status.st_mode & 0777, 0600);
	CHECK_EQUAL(identity_open(&identity, &state, NULL), KIOKU_OK);
	CHECK(tls_fingerprint(identity.certificate, again));
	identity_release(&identity);
	CHECK(memcmp(first, again, sizeof(first)) == 0);
	state_folder_close(&state);
}

/* Another key in its place would be another receiver, without a word. */
static void damaged_key(void)
{
	struct state_folder state;
	struct identity identity;
	struct kioku_error error;

	open_state(&state);
	put_file(&state, "key.pem", "-----BEGIN", 10);
	CHECK_EQUAL(identity_open(&identity, &state, &error), KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "no Ed25519 key");
	identity_release(&identity);
	state_folder_close(&state);
}

/* --- tokens */

static void tokens_survive(void)
{
	uint8_t one[TRANSFER_TOKEN_SIZE], other[TRANSFER_TOKEN_SIZE], hash[TOKEN_HASH_SIZE];
	struct state_folder state;
	struct tokens tokens;

	open_state(&state);
	CHECK_EQUAL(tokens_open(&tokens, &state, false, NULL), KIOKU_OK);
	CHECK_EQUAL(tokens_make(&tokens, one, NULL), KIOKU_OK);
	CHECK_EQUAL(tokens_make(&tokens, other, NULL), KIOKU_OK);
	CHECK_EQUAL(tokens_open_count(&tokens), 2);
	token_hash(one, hash);
	tokens_find(&tokens, hash)->used = true;
	CHECK(!tokens_find(&tokens, hash));
	tokens_known(&tokens, hash)->received = 77;
	CHECK_EQUAL(tokens_save(&tokens, NULL), KIOKU_OK);
	tokens_release(&tokens);

	CHECK_EQUAL(tokens_open(&tokens, &state, false, NULL), KIOKU_OK);
	CHECK(!tokens_find(&tokens, hash));
	CHECK_EQUAL(tokens_known(&tokens, hash)->received, 77);
	token_hash(other, hash);
	CHECK(tokens_find(&tokens, hash));
	CHECK_EQUAL(tokens_open_count(&tokens), 0); /* this run has not shown it to anybody */
	tokens_release(&tokens);
	state_folder_close(&state);
}

static void tokens_standing(void)
{
	uint8_t token[TRANSFER_TOKEN_SIZE], hash[TOKEN_HASH_SIZE];
	struct state_folder state;
	struct tokens tokens;

	open_state(&state);
	CHECK_EQUAL(tokens_open(&tokens, &state, true, NULL), KIOKU_OK);
	CHECK_EQUAL(tokens_make(&tokens, token, NULL), KIOKU_OK);
	tokens_release(&tokens);
	token_hash(token, hash);
	for (int standing = 0; standing < 2; standing++) {
		CHECK_EQUAL(tokens_open(&tokens, &state, standing, NULL), KIOKU_OK);
		CHECK_EQUAL(tokens_find(&tokens, hash) != NULL, standing);
		tokens_release(&tokens);
	}
	state_folder_close(&state);
}

static void tokens_damaged(void)
{
	static const char *const texts[] = { "x", "00 open 0\n", "open", " \n" };
	struct state_folder state;
	struct tokens tokens;

	open_state(&state);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put_file(&state, "tokens", texts[i], strlen(texts[i]));
		CHECK_EQUAL(tokens_open(&tokens, &state, false, NULL), KIOKU_ERROR_CORRUPT);
		tokens_release(&tokens);
	}
	state_folder_close(&state);
}

/* --- records and receptions */

static bool yes(void *user)
{
	return true;
}

static bool enough(void *user, uint64_t bytes)
{
	return true;
}

static void init_reception(struct reception *reception, const struct state_folder *state)
{
	*reception = (struct reception){
		.state = state, .note = -1, .folder = -1, .goes_on = yes, .may_receive = enough
	};
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		reception->files[i].local.descriptor = -1;
}

static void begin(struct reception *reception, const struct state_folder *state)
{
	init_reception(reception, state);
	strcpy(reception->record.host, "host");
	strcpy(reception->record.image, "image");
	CHECK_EQUAL(reception_begin(reception, NULL), KIOKU_OK);
	CHECK_EQUAL(reception_attach(reception, NULL), KIOKU_OK);
}

/* As after a SIGKILL: nothing is left but what was noted. */
static void begin_again(struct reception *reception, const struct state_folder *state)
{
	char name[SESSION_NAME_SIZE];

	session_name(reception->record.session, name);
	reception_release(reception);
	init_reception(reception, state);
	CHECK_EQUAL(session_record_load(&reception->record, state, name, NULL), KIOKU_OK);
	CHECK_EQUAL(reception_attach(reception, NULL), KIOKU_OK);
}

static void record_damaged(void)
{
	struct session_record damaged;
	struct state_folder state;
	struct reception reception;
	char name[SESSION_NAME_SIZE], file[64];

	open_state(&state);
	begin(&reception, &state);
	session_name(reception.record.session, name);
	snprintf(file, sizeof(file), "session-%s", name);
	AUTO_FREE char *good = NULL;
	size_t size;
	CHECK_EQUAL(state_read(state.state, file, 1 << 20, &good, &size, NULL), KIOKU_OK);
	CHECK_EQUAL(size, sizeof(damaged));
	for (int damage = 0; damage < 6; damage++) {
		memcpy(&damaged, good, sizeof(damaged));
		if (damage == 0)
			damaged.magic[0]++;
		if (damage == 1)
			memset(damaged.folder, 'x', sizeof(damaged.folder));
		if (damage == 2)
			strcpy(damaged.folder, "../elsewhere");
		if (damage == 3)
			strcpy(damaged.files[31].name, "/etc/passwd");
		if (damage == 4)
			damaged.files[0].stage = 9;
		if (damage == 5)
			damaged.session[0]++;
		put_file(&state, file, (const char *)&damaged, sizeof(damaged));
		CHECK_EQUAL(session_record_load(&damaged, &state, name, NULL), KIOKU_ERROR_CORRUPT);
	}
	put_file(&state, file, good, size - 1);
	CHECK_EQUAL(session_record_load(&damaged, &state, name, NULL), KIOKU_ERROR_CORRUPT);
	put_file(&state, file, good, size);
	CHECK_EQUAL(session_record_load(&damaged, &state, name, NULL), KIOKU_OK);
	reception_release(&reception);
	state_folder_close(&state);
}

static struct bytes text(const char *word)
{
	return (struct bytes){ (const uint8_t *)word, strlen(word) };
}

static const uint8_t sha256_of_abc[] = {
	0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
	0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
	0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
};

static struct transfer_message close_abc(uint32_t file)
{
	struct transfer_message message = {
		.type = TRANSFER_CLOSE, .file = file, .flags = TRANSFER_COMPARE, .size = 3
	};

	memcpy(message.sha256, sha256_of_abc, sizeof(message.sha256));
	return message;
}

static void apply(struct reception *reception, const struct transfer_message *message)
{
	enum transfer_refusal refusal;
	struct kioku_error error;

	if (reception_apply(reception, message, 100, &refusal, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "message %d: %s", message->type, error.message);
}

/*
 * Each message is applied; then what was noted before it is put back, as if the receiver had been
 * killed between doing it and noting it, and it is applied again.
 */
static void nothing_is_done_twice(void)
{
	const struct transfer_message messages[] = {
		{ .type = TRANSFER_CREATE, .file = 0, .name = text("image") },
		{ .type = TRANSFER_WRITE, .file = 0, .offset = 0, .data = text("abc") },
		close_abc(0),
		{ .type = TRANSFER_CREATE, .file = 1, .name = text("image.new") },
		{ .type = TRANSFER_WRITE, .file = 1, .offset = 1, .data = text("bc") },
		{ .type = TRANSFER_WRITE, .file = 1, .offset = 0, .data = text("a") },
		close_abc(1),
		{ .type = TRANSFER_REPLACE, .name = text("image.new"), .to = text("image.json") },
		{ .type = TRANSFER_CREATE, .file = 2, .name = text("image.new") },
		{ .type = TRANSFER_HOLE, .file = 2, .offset = 0, .size = 7 },
		{ .type = TRANSFER_CLOSE, .file = 2, .size = 7 },
		{ .type = TRANSFER_REPLACE, .name = text("image.new"), .to = text("image.json") },
		{ .type = TRANSFER_CREATE, .file = 3, .name = text("image.partial") },
		{ .type = TRANSFER_REMOVE, .name = text("image.partial") },
		{ .type = TRANSFER_END, .flags = TRANSFER_COMPLETE },
	};
	struct state_folder state;
	struct reception reception;
	struct session_record before;
	struct stat status;

	open_state(&state);
	begin(&reception, &state);
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		CHECK_EQUAL(reception.record.note.position, 100 * i);
		before = reception.record;
		apply(&reception, &messages[i]);
		CHECK_EQUAL(session_record_save(&before, &state, &reception.note, NULL), KIOKU_OK);
		begin_again(&reception, &state);
		apply(&reception, &messages[i]);
	}
	CHECK_EQUAL(reception.record.note.stage, SESSION_DONE);
	CHECK(memcmp(session_record_image(&reception.record)->sha256, sha256_of_abc, 32) == 0);
	CHECK_EQUAL(fstatat(reception.folder, "image.json", &status, 0), 0);
	CHECK_EQUAL(status.st_size, 7);
	CHECK_EQUAL(fstatat(reception.folder, "image.new", &status, 0), -1);
	CHECK_EQUAL(fstatat(reception.folder, "image.partial", &status, 0), -1);
	reception_release(&reception);
	state_folder_close(&state);
}

/* Somebody else's file is neither taken for ours nor replaced. */
static void foreign_files(void)
{
	const struct transfer_message create = { .type = TRANSFER_CREATE, .name = text("image") };
	const struct transfer_message other = { .type = TRANSFER_CREATE,
						.file = 1,
						.name = text("image.new") };
	const struct transfer_message close_other = { .type = TRANSFER_CLOSE, .file = 1 };
	const struct transfer_message replace = { .type = TRANSFER_REPLACE,
						  .name = text("image.new"),
						  .to = text("image.json") };
	enum transfer_refusal refusal;
	struct state_folder state;
	struct reception reception;
	struct stat status;

	open_state(&state);
	begin(&reception, &state);
	put_file(&(struct state_folder){ .state = reception.folder }, "image", "evidence", 8);
	put_file(&(struct state_folder){ .state = reception.folder }, "image.json", "evidence", 8);
	CHECK(reception_apply(&reception, &create, 10, &refusal, NULL) != KIOKU_OK);
	CHECK_EQUAL(refusal, TRANSFER_REFUSED_STORAGE);
	apply(&reception, &other);
	apply(&reception, &close_other);
	CHECK(reception_apply(&reception, &replace, 10, &refusal, NULL) != KIOKU_OK);
	CHECK_EQUAL(fstatat(reception.folder, "image.json", &status, 0), 0);
	CHECK_EQUAL(status.st_size, 8);
	CHECK_EQUAL(fstatat(reception.folder, "image", &status, 0), 0);
	CHECK_EQUAL(status.st_size, 8);
	reception_release(&reception);
	state_folder_close(&state);
}

static bool no(void *user)
{
	return false;
}

/* A digest that takes long is given up when the link goes, and begun anew by the next one. */
static void stopped_while_digesting(void)
{
	const struct transfer_message create = { .type = TRANSFER_CREATE, .name = text("image") };
	const struct transfer_message tail = { .type = TRANSFER_WRITE,
					       .offset = 1,
					       .data = text("bc") };
	const struct transfer_message head = { .type = TRANSFER_WRITE, .data = text("a") };
	const struct transfer_message close = close_abc(0);
	enum transfer_refusal refusal;
	struct state_folder state;
	struct reception reception;

	open_state(&state);
	begin(&reception, &state);
	apply(&reception, &create);
	apply(&reception, &tail);
	apply(&reception, &head);
	reception.goes_on = no;
	CHECK_EQUAL(reception_apply(&reception, &close, 100, &refusal, NULL), KIOKU_ERROR_STOPPED);
	CHECK_EQUAL(reception.record.note.position, 300);
	reception.goes_on = yes;
	reception_detach(&reception);
	CHECK_EQUAL(reception_attach(&reception, NULL), KIOKU_OK);
	apply(&reception, &close);
	CHECK_EQUAL(reception.record.note.position, 400);
	reception_release(&reception);
	state_folder_close(&state);
}

TAP_MAIN(TEST(one_at_a_time), TEST(closed_to_others), TEST(same_key), TEST(damaged_key),
	 TEST(tokens_survive), TEST(tokens_standing), TEST(tokens_damaged), TEST(record_damaged),
	 TEST(nothing_is_done_twice), TEST(foreign_files), TEST(stopped_while_digesting))
