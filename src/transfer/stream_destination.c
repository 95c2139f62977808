/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain TCP, as netcat speaks it: the bytes of one file, and the end of the connection. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>

#include "transfer/destination_driver.h"
#include "base/socket.h"

enum {
	HURRY = 10, /* seconds for which somebody who is in a hurry waits for a client that does nothing */
	PAUSE = 20, /* milliseconds */
};

struct stream {
	int descriptor; /* -1 until there is a connection */
	atomic_bool hurry;
};

static enum kioku_status prepare(struct destination *destination, const struct url *url,
				 const char *host, struct sockaddr_storage *address,
				 socklen_t *size, struct kioku_error *error)
{
	char text[SOCKET_ADDRESS_TEXT];
	struct stream *stream = calloc(1, sizeof(*stream));

	destination->state = stream;
	if (!stream)
		return error_no_memory(error);
	stream->descriptor = -1;
	if (!url->has_port || *url->user || *url->path || *url->fragment)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "%s:// takes a host and a port and nothing else", url->scheme);
	TRY(socket_address(host, url->port, address, size, error));
	socket_address_text(address, text);
	destination->label = strdup(text);
	return destination->label ? KIOKU_OK : error_no_memory(error);
}

static void warn(const struct destination *destination)
{
	diagnose(destination->diagnostics, KIOKU_WARNING,
		 "%s: the image is neither encrypted nor authenticated on its way; compare its "
		 "digest",
		 destination->label);
}

static enum kioku_status connect_tcp(struct destination *destination, const struct url *url,
				     const struct destination_options *options,
				     struct kioku_error *error)
{
	struct sockaddr_storage address;
	struct socket_wait wait = { options->goes_on, options->user };
	socklen_t size;

	TRY(prepare(destination, url, url->host, &address, &size, error));
	struct stream *stream = destination->state;
	TRY(socket_connect(&address, size, &wait, &stream->descriptor, error));
	warn(destination);
	return KIOKU_OK;
}

/* One client, and nobody after it. */
static enum kioku_status listen_tcp(struct destination *destination, const struct url *url,
				    const struct destination_options *options,
				    struct kioku_error *error)
{
	struct sockaddr_storage address;
	struct socket_wait wait = { options->goes_on, options->user };
	char peer[SOCKET_ADDRESS_TEXT];
	socklen_t size;

	TRY(prepare(destination, url, *url->host ? url->host : "127.0.0.1", &address, &size,
		    error));
	struct stream *stream = destination->state;
	AUTO_CLOSE int listener = -1;
	TRY(socket_listen(&address, size, 1, &listener, error));
	socket_address_text(&address, peer);
	diagnose(destination->diagnostics, KIOKU_NOTE, "waiting for a client at %s", peer);
	TRY(socket_accept(listener, &wait, &address, &stream->descriptor, error));
	socket_address_text(&address, peer);
	diagnose(destination->diagnostics, KIOKU_NOTE, "%s has connected", peer);
	warn(destination);
	return KIOKU_OK;
}

static void close_stream(struct destination *destination)
{
	struct stream *stream = destination->state;

	if (stream)
		cleanup_close(&stream->descriptor);
	free(stream);
}

static void hurry(struct destination *destination)
{
	struct stream *stream = destination->state;

	atomic_store(&stream->hurry, true);
}

static enum kioku_status create(struct destination_file *file, struct kioku_error *error)
{
	free(file->name);
	file->name = strdup(file->destination->label);
	return file->name ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status is_stuck(const struct destination_file *file, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_OS, "%s takes nothing any more", file->name);
}

/* Waits until something can be written, or, if somebody is in a hurry, some seconds at most. */
static enum kioku_status await_room(struct destination_file *file, struct kioku_error *error)
{
	const struct stream *stream = file->destination->state;
	struct pollfd poller = { .fd = stream->descriptor, .events = POLLOUT };

	for (double waited = 0; poll(&poller, 1, PAUSE) == 0;) {
		waited = atomic_load(&stream->hurry) ? waited + PAUSE / 1e3 : 0;
		if (waited > HURRY)
			return is_stuck(file, error);
	}
	return KIOKU_OK;
}

static enum kioku_status file_write(struct destination_file *file, uint64_t offset,
				    const void *data, size_t size, size_t *written,
				    struct kioku_error *error)
{
	const struct stream *stream = file->destination->state;

	while (*written < size) {
		ssize_t part = send(stream->descriptor, (const char *)data + *written,
				    size - *written, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (part < 0 && errno == EAGAIN)
			TRY(await_room(file, error));
		else if (part < 0 && errno != EINTR)
			return error_os(error, "cannot write to %s", file->name);
		*written += part > 0 ? (size_t)part : 0;
		file->size += part > 0 ? (uint64_t)part : 0;
	}
	return KIOKU_OK;
}

/* Bytes that the other side's kernel has not confirmed; < 0: the connection has failed. */
static int unconfirmed(int descriptor)
{
	int left = 0, failed = 0;
	socklen_t size = sizeof(failed);
	char ignored[4096];

	/* What the client says is read, because closing would tell it of a failure otherwise. */
	while (recv(descriptor, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
		;
	if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
		failed = errno;
	if (failed)
		errno = failed;
	return failed || ioctl(descriptor, SIOCOUTQ, &left) != 0 ? -1 : left;
}

/* Closing alone would not tell whether the last bytes have arrived. */
static enum kioku_status file_finish(struct destination_file *file, const uint8_t *sha256,
				     struct file_digests *digests, bool (*progress)(void *user),
				     void *user, struct kioku_error *error)
{
	struct stream *stream = file->destination->state;
	double waited = 0;
	int left;

	shutdown(stream->descriptor, SHUT_WR);
	while ((left = unconfirmed(stream->descriptor)) > 0) {
		if (atomic_load(&stream->hurry) && waited > HURRY)
			return is_stuck(file, error);
		poll(NULL, 0, PAUSE);
		waited += PAUSE / 1e3;
	}
	return left == 0 ? KIOKU_OK : error_os(error, "cannot write to %s", file->name);
}

const struct destination_driver tcp_destination = {
	.scheme = "tcp",
	.is_stream = true,
	.open = connect_tcp,
	.close = close_stream,
	.hurry = hurry,
	.create = create,
	.file_write = file_write,
	.file_finish = file_finish,
};

const struct destination_driver tcp_listen_destination = {
	.scheme = "tcp-listen",
	.is_stream = true,
	.open = listen_tcp,
	.close = close_stream,
	.hurry = hurry,
	.create = create,
	.file_write = file_write,
	.file_finish = file_finish,
};
