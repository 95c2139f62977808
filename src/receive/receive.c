/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/thread.h"
#include "receive/connection.h"

enum {
	CONNECTION_LIMIT = 256,
	FAREWELL_SECONDS = 10,     /* for the last senders to learn that they are done */
	HOUSEKEEPING_SECONDS = 30, /* between looks for what may be forgotten */
};

static const double TICK_SECONDS = 0.25;

bool server_goes_on(void *user)
{
	struct server *server = user;

	pthread_mutex_lock(&server->lock);
	bool is_ending = server->is_ending;
	pthread_mutex_unlock(&server->lock);
	return !is_ending;
}

static enum kioku_status check(const struct kioku_receive_options *options,
			       struct kioku_error *error)
{
	if (options->size != sizeof(*options) || !options->event)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the options of kioku_receive() are not those of this version");
	return KIOKU_OK;
}

static enum kioku_status open_store(struct server *server, struct kioku_error *error)
{
	const struct kioku_receive_options *options = server->options;
	const struct store_options store = {
		.url = options->store,
		.region = options->store_region,
		.credentials = options->store_credentials,
		.ca = options->store_ca,
	};

	return options->store ? store_open(&store, &server->store, error) : KIOKU_OK;
}

static enum kioku_status open_tokens(struct server *server, struct kioku_error *error)
{
	const struct kioku_receive_options *options = server->options;

	TRY(tokens_open(&server->tokens, &server->state, options->standing, error));
	return options->token_file ? tokens_read_file(&server->tokens, options->token_file, error)
				   : KIOKU_OK;
}

static enum kioku_status open_server(struct server *server, struct kioku_error *error)
{
	const struct kioku_receive_options *options = server->options;

	TRY(state_folder_open(&server->state, options->folder ? options->folder : ".", error));
	TRY(identity_open(&server->identity, &server->state, error));
	TRY(tls_server(server->identity.key, server->identity.certificate, &server->tls, error));
	if (!tls_fingerprint(server->identity.certificate, server->fingerprint))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
	TRY(open_tokens(server, error));
	TRY(open_store(server, error));
	TRY(sessions_load(server, error));
	TRY(listener_open(server, error));
	if (options->token_file)
		tokens_tell_file(server);
	tokens_refill(server);
	return KIOKU_OK;
}

static void init_server(struct server *server, const struct kioku_receive_options *options)
{
	*server = (struct server){
		.options = options,
		.state = { NULL, -1, -1, -1 },
		.listener = -1,
		.connection_limit = options->connections ? options->connections : CONNECTION_LIMIT,
	};
	pthread_mutex_init(&server->lock, NULL);
	condition_init(&server->changed);
	events_init(&server->events);
}

static void release_server(struct server *server)
{
	cleanup_close(&server->listener);
	sessions_release(server);
	if (server->store)
		store_close(server->store);
	tokens_release(&server->tokens);
	tls_context_release(server->tls);
	identity_release(&server->identity);
	state_folder_close(&server->state);
	events_release(&server->events);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
}

/* --- the caller's thread */

static void tell_progress_of(struct server *server, struct session *session)
{
	uint64_t received = atomic_load(&session->received);
	uint64_t stored = atomic_load(&session->uploaded.stored);

	if (session->owner && received != session->reported)
		session_event(server, session, KIOKU_RECEIVE_PROGRESS, KIOKU_OK, NULL);
	session->reported = received;
	if (session->is_uploading && stored != session->stored_reported)
		session_event(server, session, KIOKU_RECEIVE_STORING, KIOKU_OK, NULL);
	session->stored_reported = stored;
}

static void tell_progress(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	for (struct session *session = server->sessions; session; session = session->next)
		tell_progress_of(server, session);
	pthread_mutex_unlock(&server->lock);
}

static void expire(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	sessions_expire(server);
	pthread_mutex_unlock(&server->lock);
}

/* Whether all that --count asked for is done, and everybody who is done knows. */
static bool is_complete(struct server *server, struct timespec *farewell)
{
	pthread_mutex_lock(&server->lock);
	bool is_completing = server->is_completing;
	bool has_company = server->connection_count > 0, is_due = uploads_are_due(server);
	pthread_mutex_unlock(&server->lock);
	if (!is_completing)
		*farewell = deadline_after(FAREWELL_SECONDS);
	return is_completing && !is_due && (!has_company || deadline_milliseconds(*farewell) == 0);
}

/* Hands out events until the caller, or the count, says that it is enough. */
static void run(struct server *server)
{
	const struct kioku_receive_options *options = server->options;
	struct timespec housekeeping = deadline_after(HOUSEKEEPING_SECONDS);
	struct timespec progress = deadline_after(TICK_SECONDS);
	struct timespec farewell = deadline_after(FAREWELL_SECONDS);
	bool goes_on = true;

	while (goes_on && !is_complete(server, &farewell)) {
		if (!events_take(&server->events, TICK_SECONDS, options->event, options->user,
				 &goes_on))
			goes_on = options->event(options->user, NULL);
		if (deadline_milliseconds(progress) == 0) {
			tell_progress(server);
			progress = deadline_after(TICK_SECONDS);
		}
		if (deadline_milliseconds(housekeeping) == 0) {
			expire(server);
			housekeeping = deadline_after(HOUSEKEEPING_SECONDS);
		}
	}
}

/* Cuts all connections, and waits for their threads. */
static void end_connections(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->is_ending = true;
	for (struct connection *connection = server->connections; connection;
	     connection = connection->next)
		connection_cut(connection, "the receiver is ending");
	pthread_cond_broadcast(&server->changed);
	while (server->connection_count > 0)
		pthread_cond_wait(&server->changed, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static void end(struct server *server, bool has_uploads)
{
	const struct kioku_receive_options *options = server->options;
	bool ignored = true;

	end_connections(server);
	pthread_join(server->accepting, NULL);
	if (has_uploads)
		pthread_join(server->uploading, NULL);
	while (events_take(&server->events, 0, options->event, options->user, &ignored))
		continue;
	sessions_expire(server);
}

static enum kioku_status serve(struct server *server, struct kioku_error *error)
{
	TRY(thread_create(&server->accepting, listener_run, server, error));
	bool has_uploads = server->store != NULL;
	enum kioku_status status =
		has_uploads ? thread_create(&server->uploading, uploads_run, server, error)
			    : KIOKU_OK;
	if (status == KIOKU_OK)
		run(server);
	end(server, has_uploads && status == KIOKU_OK);
	return status;
}

static void sum_up(const struct server *server, struct kioku_receive_result *result)
{
	*result = (struct kioku_receive_result){
		.done = server->done,
		.failed = server->failed,
		.incomplete = server->incomplete,
		.not_stored = server->not_stored,
	};
	for (const struct session *session = server->sessions; session; session = session->next) {
		const struct session_note *note = &session->reception.record.note;
		result->unfinished += note->stage == SESSION_RUNS && note->position > 0;
		result->not_stored += server->store && !session->upload_tried &&
				      note->stage == SESSION_DONE && note->to_store;
	}
}

enum kioku_status kioku_receive(const struct kioku_receive_options *options,
				struct kioku_receive_result *result, struct kioku_error *error)
{
	struct server server;

	*result = (struct kioku_receive_result){ 0 };
	TRY(check(options, error));
	init_server(&server, options);
	enum kioku_status status = open_server(&server, error);
	if (status == KIOKU_OK)
		status = serve(&server, error);
	sum_up(&server, result);
	release_server(&server);
	return status;
}
