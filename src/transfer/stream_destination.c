/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain TCP, as netcat speaks it: the bytes of one file, and the end of the connection. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "transfer/destination_driver.h"
#include "transfer/local_file.h"
#include "transfer/socket.h"

/* How long an end is waited for that somebody is in a hurry for. */
enum { HURRY = 10 };

struct stream {
	struct local_file file; /* its descriptor is -1 until there is a connection */
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
	stream->file.descriptor = -1;
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
	int descriptor = -1;
	TRY(socket_connect(&address, size, &wait, &descriptor, error));
	local_file_init(&stream->file, descriptor, false);
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
	int descriptor = -1;
	TRY(socket_accept(listener, &wait, &address, &descriptor, error));
	local_file_init(&stream->file, descriptor, false);
	socket_address_text(&address, peer);
	diagnose(destination->diagnostics, KIOKU_NOTE, "%s has connected", peer);
	warn(destination);
	return KIOKU_OK;
}

static void close_stream(struct destination *destination)
{
	struct stream *stream = destination->state;

	if (stream)
		local_file_release(&stream->file);
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

static enum kioku_status file_write(struct destination_file *file, uint64_t offset,
				    const void *data, size_t size, size_t *written,
				    struct kioku_error *error)
{
	struct stream *stream = file->destination->state;
	enum kioku_status status =
		local_file_write(&stream->file, file->name, offset, data, size, written, error);

	file->size = stream->file.size;
	return status;
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
static enum kioku_status file_finish(struct destination_file *file, const char *sha256,
				     struct file_digests *digests, bool (*progress)(void *user),
				     void *user, struct kioku_error *error)
{
	struct stream *stream = file->destination->state;
	const struct timespec pause = { .tv_nsec = 20000000 };
	double waited = 0;
	int left;

	shutdown(stream->file.descriptor, SHUT_WR);
	while ((left = unconfirmed(stream->file.descriptor)) > 0) {
		if (atomic_load(&stream->hurry) && waited > HURRY)
			return error_set(error, KIOKU_ERROR_OS,
					 "%s has not confirmed the last %d bytes", file->name,
					 left);
		nanosleep(&pause, NULL);
		waited += 0.02;
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
