/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "receive/server.h"
#include "transfer/key.h"

enum {
	SESSION_LIMIT = 4096,
	HOUR = 3600,
	DAY = 24 * HOUR, /* for which DONE and REFUSED are answered again */
	WEEK = 7 * DAY,  /* for which a transfer may be resumed */
};

static bool may_receive(void *user, uint64_t bytes)
{
	return true;
}

static bool goes_on(void *user)
{
	return true;
}

static struct session *make_session(struct server *server)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->reception.state = &server->state;
	session->reception.note = session->reception.folder = -1;
	session->reception.goes_on = goes_on;
	session->reception.may_receive = may_receive;
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		session->reception.files[i].local.descriptor = -1;
	return session;
}

static void free_session(struct session **session)
{
	if (*session)
		reception_release(&(*session)->reception);
	free(*session);
}

#define AUTO_SESSION CLEANUP(free_session)

static void add_session(struct server *server, struct session *session)
{
	session->next = server->sessions;
	server->sessions = session;
	server->session_count++;
}

/* A token is used up by a session that is there, though we were killed before that was noted. */
static enum kioku_status count_token(struct server *server, const struct session_record *record,
				     struct kioku_error *error)
{
	struct token *token = tokens_known(&server->tokens, record->token_hash);

	if (!token)
		return KIOKU_OK;
	token->total += record->note.received;
	if (token->standing || token->used)
		return KIOKU_OK;
	token->used = true;
	return tokens_save(&server->tokens, error);
}

static enum kioku_status load_one(void *user, const char *name, struct kioku_error *error)
{
	struct server *server = user;
	AUTO_SESSION struct session *session = make_session(server);
	struct kioku_error damage;

	if (!session)
		return error_no_memory(error);
	struct session_record *record = &session->reception.record;
	enum kioku_status status = session_record_load(record, &server->state, name, &damage);
	if (status == KIOKU_ERROR_CORRUPT) {
		struct kioku_receive_event event = { .kind = KIOKU_RECEIVE_REFUSED,
						     .message = damage.message };
		events_push(&server->events, &event);
		return KIOKU_OK;
	}
	if (status != KIOKU_OK)
		return error_set(error, status, "%s", damage.message);
	atomic_store(&session->received, record->note.received);
	session->reported = record->note.received;
	session->breaks = record->note.breaks;
	session->repeated = record->note.repeated;
	TRY(count_token(server, record, error));
	add_session(server, TAKE(session));
	return KIOKU_OK;
}

enum kioku_status sessions_load(struct server *server, struct kioku_error *error)
{
	for (size_t i = 0; i < server->tokens.count; i++)
		server->tokens.items[i].total = server->tokens.items[i].received;
	TRY(session_records_list(&server->state, load_one, server, error));
	sessions_expire(server);
	return KIOKU_OK;
}

void sessions_release(struct server *server)
{
	while (server->sessions) {
		AUTO_SESSION struct session *session = server->sessions;
		server->sessions = session->next;
	}
}

struct session *session_find(const struct server *server, const uint8_t id[TRANSFER_SESSION_SIZE])
{
	struct session *session = server->sessions;

	while (session && memcmp(session->reception.record.session, id, TRANSFER_SESSION_SIZE) != 0)
		session = session->next;
	return session;
}

bool session_has_secret(const struct session *session, const uint8_t secret[TRANSFER_SECRET_SIZE])
{
	uint8_t hash[TOKEN_HASH_SIZE];

	SHA256(secret, TRANSFER_SECRET_SIZE, hash);
	return secret_equal(hash, session->reception.record.secret_hash, sizeof(hash));
}

/* Whoever shows it need not think of what a machine may call itself. */
static void take_host(struct bytes host, char out[HOST_SIZE])
{
	size_t size = host.size < HOST_SIZE - 1 ? host.size : HOST_SIZE - 1;

	for (size_t i = 0; i < size; i++)
		out[i] = host.data[i] > 0x20 && host.data[i] < 0x7f ? (char)host.data[i] : '?';
	out[size] = '\0';
}

static enum kioku_status check_hello(struct server *server, const struct transfer_message *hello,
				     struct token **token, enum transfer_refusal *refusal,
				     struct kioku_error *error)
{
	uint8_t hash[TOKEN_HASH_SIZE];

	token_hash(hello->token, hash);
	*token = tokens_find(&server->tokens, hash);
	*refusal = TRANSFER_REFUSED_TOKEN;
	if (!*token)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the token is not known, or was used up");
	*refusal = TRANSFER_REFUSED_QUOTA;
	if (server->options->quota > 0 && (*token)->total >= server->options->quota)
		return error_set(error, KIOKU_ERROR_REFUSED, "the quota of this token is used up");
	*refusal = TRANSFER_REFUSED_NAME;
	if (!transfer_name_is_valid(hello->name, NULL))
		return error_set(error, KIOKU_ERROR_REFUSED, "the image's name is not allowed");
	*refusal = TRANSFER_REFUSED_BUSY;
	if (server->session_count >= SESSION_LIMIT)
		return error_set(error, KIOKU_ERROR_REFUSED, "there are too many transfers");
	return KIOKU_OK;
}

static void fill_record(struct session_record *record, const struct transfer_message *hello,
			const struct token *token)
{
	memcpy(record->session, hello->session, sizeof(record->session));
	SHA256(hello->secret, TRANSFER_SECRET_SIZE, record->secret_hash);
	memcpy(record->token_hash, token->hash, sizeof(record->token_hash));
	record->started = record->note.touched = (uint64_t)time(NULL);
	record->expected = hello->expected;
	take_host(hello->host, record->host);
	memcpy(record->image, hello->name.data, hello->name.size);
}

enum kioku_status session_start(struct server *server, const struct transfer_message *hello,
				struct session **out, enum transfer_refusal *refusal,
				struct kioku_error *error)
{
	struct token *token;

	TRY(check_hello(server, hello, &token, refusal, error));
	*refusal = TRANSFER_REFUSED_STORAGE;
	AUTO_SESSION struct session *session = make_session(server);
	if (!session)
		return error_no_memory(error);
	fill_record(&session->reception.record, hello, token);
	TRY(reception_begin(&session->reception, error));
	bool was_used = token->used;
	token->used = !token->standing;
	enum kioku_status status = tokens_save(&server->tokens, error);
	if (status != KIOKU_OK) {
		token->used = was_used;
		session_record_remove(&session->reception.record, &server->state);
		reception_discard(&session->reception);
		return status;
	}
	*out = session;
	add_session(server, TAKE(session));
	tokens_refill(server);
	return KIOKU_OK;
}

bool session_spend(struct server *server, struct session *session, uint64_t bytes)
{
	uint64_t quota = server->options->quota, sum;

	if (quota == 0)
		return true;
	pthread_mutex_lock(&server->lock);
	struct token *token = tokens_known(&server->tokens, session->reception.record.token_hash);
	bool allowed =
		!token || (!__builtin_add_overflow(token->total, bytes, &sum) && sum <= quota);
	if (token && allowed)
		token->total = sum;
	pthread_mutex_unlock(&server->lock);
	return allowed;
}

void session_save_note(struct server *server, struct session *session)
{
	struct reception *reception = &session->reception;

	reception->record.note.touched = (uint64_t)time(NULL);
	/* What an earlier run has left has no descriptor yet. */
	if (reception->note >= 0)
		session_record_note(&reception->record, reception->note, NULL);
	else
		session_record_save(&reception->record, &server->state, &reception->note, NULL);
}

static bool has_expired(const struct session *session, uint64_t now)
{
	const struct session_note *note = &session->reception.record.note;
	uint64_t age = now > note->touched ? now - note->touched : 0;

	if (session->owner || session->waiting > 0 || session->is_uploading ||
	    (note->to_store && note->stage == SESSION_DONE))
		return false;
	if (note->stage == SESSION_RUNS)
		return age > (note->position == 0 ? HOUR : WEEK);
	return note->forgotten || age > DAY;
}

static void forget(struct server *server, struct session *session)
{
	const struct session_record *record = &session->reception.record;
	struct token *token = tokens_known(&server->tokens, record->token_hash);

	/* Twice rather than never, if we are killed in between. */
	if (token && record->note.received > 0) {
		token->received += record->note.received;
		tokens_save(&server->tokens, NULL);
	}
	if (record->note.position == 0)
		reception_discard(&session->reception);
	session_record_remove(record, &server->state);
	server->session_count--;
}

void sessions_expire(struct server *server)
{
	uint64_t now = (uint64_t)time(NULL);

	for (struct session **place = &server->sessions; *place;) {
		struct session *session = *place;
		if (!has_expired(session, now)) {
			place = &session->next;
			continue;
		}
		forget(server, session);
		*place = session->next;
		free_session(&session);
	}
}

static void tell_url(struct server *server, const uint8_t *token)
{
	AUTO_KEY struct transfer_key key = { .has_fingerprint = true, .has_token = token != NULL };
	char text[KEY_TEXT], url[sizeof("kioku:///#") + SOCKET_ADDRESS_TEXT + KEY_TEXT];
	struct kioku_receive_event event = { .kind = KIOKU_RECEIVE_URL, .url = url };

	memcpy(key.fingerprint, server->fingerprint, sizeof(key.fingerprint));
	if (token)
		memcpy(key.token, token, sizeof(key.token));
	key_print(&key, text);
	snprintf(url, sizeof(url), "kioku://%s/#%s", server->advertised, text);
	events_push(&server->events, &event);
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(url, sizeof(url));
}

void tokens_refill(struct server *server)
{
	const struct kioku_receive_options *options = server->options;
	size_t wanted = options->tokens > 0 ? options->tokens : 1;
	uint8_t token[TRANSFER_TOKEN_SIZE];

	if (options->token_file)
		return;
	while (tokens_open_count(&server->tokens) < wanted) {
		struct kioku_error error = { 0 };
		if (tokens_make(&server->tokens, token, &error) != KIOKU_OK) {
			struct kioku_receive_event event = { .kind = KIOKU_RECEIVE_REFUSED,
							     .message = error.message };
			error_prefix(&error, "cannot make a token");
			events_push(&server->events, &event);
			break;
		}
		tell_url(server, token);
	}
	OPENSSL_cleanse(token, sizeof(token));
}

void tokens_tell_file(struct server *server)
{
	tell_url(server, NULL);
}

void session_event(struct server *server, const struct session *session,
		   enum kioku_receive_kind kind, enum kioku_status status, const char *message)
{
	const struct session_record *record = &session->reception.record;
	/* Progress is told by another thread than the owner's, which changes the stage. */
	bool is_done = kind != KIOKU_RECEIVE_PROGRESS && record->note.stage == SESSION_DONE;
	const struct record_file *image = is_done ? session_record_image(record) : NULL;
	char name[SESSION_NAME_SIZE], sha256[DIGEST_HEX_SIZE] = "", folder[4096];
	double seconds = difftime(time(NULL), (time_t)record->started);

	session_name(record->session, name);
	snprintf(folder, sizeof(folder), "%s/%s", server->state.path, record->folder);
	if (image && image->has_sha256)
		digest_hex(image->sha256, sizeof(image->sha256), sha256);
	struct kioku_receive_event event = {
		.kind = kind,
		.transfer = name,
		.peer = session->peer,
		.host = record->host,
		.folder = folder,
		.image = record->image,
		.sha256 = sha256,
		.message = message,
		.url = kind == KIOKU_RECEIVE_STORED ? message : NULL,
		.received = atomic_load(&session->received),
		.expected = record->expected,
		.lost = is_done ? record->lost : 0,
		.repeated = session->repeated,
		.breaks = session->breaks,
		.stored = atomic_load(&session->uploaded.stored),
		.size = atomic_load(&session->uploaded.size),
		.seconds = is_done ? record->note.seconds : seconds,
		.complete = is_done && record->complete,
		.status = status,
	};
	events_push(&server->events, &event);
}
