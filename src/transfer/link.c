/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/link.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"
#include "transfer/link_state.h"

enum { WINDOW = 1 << 20 }; /* a segment: as much may be sent twice when a link breaks */
enum { HEAD_LIMIT = TRANSFER_HEADER_SIZE + TRANSFER_HELLO_LIMIT }; /* a message without data */

#define ASK_EVERY 0.2

const struct link_timing link_timing = {
	.ping = 5,
	.silence = 15,
	.pause = 0.25,
	.pause_limit = 15,
	.hurry = 10,
	.retry = 3600,
};

void link_wake(struct link *link)
{
	eventfd_write(link->wake, 1);
}

/* --- opening and closing */

static struct bytes text_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static enum kioku_status make_hello(struct link *link, const struct link_options *options,
				    struct kioku_error *error)
{
	struct transfer_message hello = {
		.type = TRANSFER_HELLO,
		.version = TRANSFER_VERSION,
		.expected = options->expected,
		.host = text_of(options->host),
		.name = text_of(options->image),
		.tool = text_of(options->tool),
	};

	if (RAND_bytes(link->session, sizeof(link->session)) != 1 ||
	    RAND_priv_bytes(link->secret, sizeof(link->secret)) != 1)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL has no random numbers");
	memcpy(hello.token, options->key->token, sizeof(hello.token));
	memcpy(hello.session, link->session, sizeof(hello.session));
	memcpy(hello.secret, link->secret, sizeof(hello.secret));
	link->greeting_size = transfer_encode(&hello, link->greeting);
	OPENSSL_cleanse(&hello, sizeof(hello));
	return link->greeting_size > 0
		       ? KIOKU_OK
		       : error_set(error, KIOKU_ERROR_ARGUMENT, "a name is too long");
}

static struct link *make_link(const struct link_options *options)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->address = options->address;
	link->address_size = options->address_size;
	link->timing = options->timing;
	link->diagnostics = options->diagnostics;
	link->outbox.window = WINDOW;
	link->wake = -1;
	socket_address_text(&link->address, link->label);
	pthread_mutex_init(&link->turn, NULL);
	pthread_mutex_init(&link->lock, NULL);
	condition_init(&link->changed);
	return link;
}

/* Waits until something changes; lock is held. False: asked whether to go on, somebody said no. */
static bool wait_for_change(struct link *link, bool (*goes_on)(void *user), void *user)
{
	struct timespec deadline = deadline_after(ASK_EVERY);

	if (!goes_on) {
		pthread_cond_wait(&link->changed, &link->lock);
		return true;
	}
	pthread_cond_timedwait(&link->changed, &link->lock, &deadline);
	pthread_mutex_unlock(&link->lock);
	bool yes = goes_on(user);
	pthread_mutex_lock(&link->lock);
	return yes;
}

/* Why the link has failed; lock is held. */
static enum kioku_status failure(const struct link *link, struct kioku_error *error)
{
	if (error)
		*error = link->error;
	return link->error.status;
}

/* Waits for one of the flags of a link; lock is held. */
static enum kioku_status await(struct link *link, const bool *flag, bool (*goes_on)(void *user),
			       void *user, struct kioku_error *error)
{
	while (!*flag && !link->failed)
		if (!wait_for_change(link, goes_on, user))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	return *flag ? KIOKU_OK : failure(link, error);
}

enum kioku_status link_open(const struct link_options *options, bool (*goes_on)(void *user),
			    void *user, struct link **out, struct kioku_error *error)
{
	AUTO_LINK struct link *link = make_link(options);

	if (!link)
		return error_no_memory(error);
	link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->wake < 0)
		return error_os(error, "cannot make an event descriptor");
	TRY(tls_client(options->key->fingerprint, &link->context, error));
	TRY(make_hello(link, options, error));
	TRY(thread_create(&link->thread, link_run, link, error));
	link->has_thread = true;
	pthread_mutex_lock(&link->lock);
	enum kioku_status status = await(link, &link->welcomed, goes_on, user, error);
	pthread_mutex_unlock(&link->lock);
	TRY(status);
	*out = TAKE(link);
	return KIOKU_OK;
}

void link_close(struct link *link)
{
	if (!link)
		return;
	pthread_mutex_lock(&link->lock);
	link->closing = true;
	pthread_mutex_unlock(&link->lock);
	if (link->has_thread) {
		link_wake(link);
		pthread_join(link->thread, NULL);
	}
	if (link->wake >= 0)
		close(link->wake);
	tls_context_release(link->context);
	outbox_release(&link->outbox);
	pthread_cond_destroy(&link->changed);
	pthread_mutex_destroy(&link->lock);
	pthread_mutex_destroy(&link->turn);
	OPENSSL_cleanse(link, sizeof(*link));
	free(link);
}

void link_hurry(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	if (link->hurry_at == 0)
		link->hurry_at = seconds_now();
	pthread_mutex_unlock(&link->lock);
	link_wake(link);
}

const char *link_folder(const struct link *link)
{
	return link->folder;
}

/* --- the stream */

/* Waits for room for so many bytes, and makes it; lock is held. */
static enum kioku_status reserve(struct link *link, size_t size, struct kioku_error *error)
{
	while (!link->failed && !outbox_has_room(&link->outbox, size))
		pthread_cond_wait(&link->changed, &link->lock);
	if (link->failed)
		return failure(link, error);
	return outbox_reserve(&link->outbox, size) ? KIOKU_OK : error_no_memory(error);
}

/* The end of the outbox is the caller's, whose turn it is, as long as lock is not held. */
static enum kioku_status append(struct link *link, struct bytes head, struct bytes data,
				bool is_end, struct kioku_error *error)
{
	pthread_mutex_lock(&link->lock);
	enum kioku_status status = reserve(link, head.size + data.size, error);
	uint64_t position = link->outbox.end;
	pthread_mutex_unlock(&link->lock);
	TRY(status);

	outbox_fill(&link->outbox, position, head.data, head.size);
	outbox_fill(&link->outbox, position + head.size, data.data, data.size);

	pthread_mutex_lock(&link->lock);
	link->outbox.end = position + head.size + data.size;
	link->ended |= is_end;
	bool is_idle = link->idle;
	link->idle = false;
	pthread_mutex_unlock(&link->lock);
	if (is_idle)
		link_wake(link);
	return KIOKU_OK;
}

enum kioku_status link_send(struct link *link, const struct transfer_message *message,
			    struct kioku_error *error)
{
	uint8_t head[HEAD_LIMIT];
	size_t size = transfer_encode(message, head);

	if (size == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "a name is too long");
	pthread_mutex_lock(&link->turn);
	enum kioku_status status = append(link, (struct bytes){ head, size }, message->data,
					  message->type == TRANSFER_END, error);
	pthread_mutex_unlock(&link->turn);
	return status;
}

enum kioku_status link_await_digest(struct link *link, uint32_t file, struct file_digests *out,
				    bool (*progress)(void *user), void *user,
				    struct kioku_error *error)
{
	enum kioku_status status = KIOKU_OK;

	pthread_mutex_lock(&link->lock);
	while (!(link->digests_known & 1u << file) && !link->failed && status == KIOKU_OK)
		if (!wait_for_change(link, progress, user))
			status = error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	if (link->digests_known & 1u << file)
		*out = link->digests[file];
	else if (status == KIOKU_OK)
		status = failure(link, error);
	pthread_mutex_unlock(&link->lock);
	return status;
}

enum kioku_status link_finish(struct link *link, bool complete, uint64_t lost,
			      struct kioku_error *error)
{
	const struct transfer_message end = {
		.type = TRANSFER_END,
		.flags = complete ? TRANSFER_COMPLETE : 0,
		.lost = lost,
	};

	TRY(link_send(link, &end, error));
	pthread_mutex_lock(&link->lock);
	enum kioku_status status = await(link, &link->done, NULL, NULL, error);
	pthread_mutex_unlock(&link->lock);
	return status;
}
