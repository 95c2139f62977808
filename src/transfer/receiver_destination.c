/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kioku receiver: any number of files beside an image, over a link that may break. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "transfer/destination_driver.h"
#include "transfer/link.h"

struct receiver {
	struct link *link;
	atomic_uint files;
};

struct received_file {
	uint32_t number;
};

static struct link *link_of(const struct destination *destination)
{
	struct receiver *receiver = destination->state;

	return receiver->link;
}

/* What the file says comes before what the URL says. */
static enum kioku_status find_key(const struct url *url, const struct destination_options *options,
				  struct transfer_key *key, struct kioku_error *error)
{
	struct bytes fragment = { (const uint8_t *)url->fragment, strlen(url->fragment) };
	AUTO_KEY struct transfer_key other = { 0 };

	if (fragment.size > 0)
		TRY(key_parse(fragment, key, error));
	if (options->token_file)
		TRY(key_read(options->token_file, options->diagnostics, &other, error));
	if (other.has_fingerprint)
		memcpy(key->fingerprint, other.fingerprint, sizeof(key->fingerprint));
	if (other.has_token)
		memcpy(key->token, other.token, sizeof(key->token));
	key->has_fingerprint |= other.has_fingerprint;
	key->has_token |= other.has_token;
	if (!key->has_fingerprint || !key->has_token)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the %s is missing: kioku://HOST:PORT/NAME#FINGERPRINT.TOKEN, or "
				 "a file that has it",
				 key->has_fingerprint ? "receiver's token"
						      : "receiver's fingerprint");
	return KIOKU_OK;
}

static enum kioku_status check_url(const struct url *url, struct kioku_error *error)
{
	struct bytes name = { (const uint8_t *)url->path, strlen(url->path) };

	if (*url->user)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "kioku:// takes no user");
	if (!transfer_name_is_valid(name, NULL))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "\"%s\" is no name that a receiver accepts: letters, digits, "
				 "\".\", \"_\" and \"-\", at most %u",
				 url->path, TRANSFER_NAME_LIMIT);
	return KIOKU_OK;
}

static enum kioku_status name_it(struct destination *destination, const struct link_options *link,
				 struct kioku_error *error)
{
	char address[SOCKET_ADDRESS_TEXT];

	socket_address_text(&link->address, address);
	if (asprintf(&destination->label, "kioku://%s", address) < 0) {
		destination->label = NULL;
		return error_no_memory(error);
	}
	return KIOKU_OK;
}

/* Whose key it has, and where it is. */
static enum kioku_status find_receiver(const struct url *url,
				       const struct destination_options *options,
				       struct transfer_key *key, struct link_options *link,
				       struct kioku_error *error)
{
	TRY(check_url(url, error));
	TRY(find_key(url, options, key, error));
	return socket_address(url->host, url->has_port ? url->port : TRANSFER_PORT, &link->address,
			      &link->address_size, error);
}

static enum kioku_status check_receiver(const struct url *url,
					const struct destination_options *options,
					struct kioku_error *error)
{
	AUTO_KEY struct transfer_key key = { 0 };
	struct link_options link = { 0 };

	return find_receiver(url, options, &key, &link, error);
}

static enum kioku_status open_receiver(struct destination *destination, const struct url *url,
				       const struct destination_options *options,
				       struct kioku_error *error)
{
	AUTO_KEY struct transfer_key key = { 0 };
	struct receiver *receiver = calloc(1, sizeof(*receiver));
	struct utsname machine;

	destination->state = receiver;
	if (!receiver)
		return error_no_memory(error);
	uname(&machine);
	struct link_options link = {
		.key = &key,
		.host = machine.nodename,
		.image = url->path,
		.tool = "kioku " KIOKU_VERSION,
		.expected = options->expected,
		.timing = link_timing,
		.diagnostics = options->diagnostics,
	};
	if (options->retry > 0)
		link.timing.retry = options->retry;
	TRY(find_receiver(url, options, &key, &link, error));
	TRY(name_it(destination, &link, error));
	TRY(link_open(&link, options->goes_on, options->user, &receiver->link, error));
	if (*link_folder(receiver->link))
		destination->place = strdup(link_folder(receiver->link));
	return KIOKU_OK;
}

static void close_receiver(struct destination *destination)
{
	struct receiver *receiver = destination->state;

	if (receiver)
		link_close(receiver->link);
	free(receiver);
}

static void hurry(struct destination *destination)
{
	link_hurry(link_of(destination));
}

static struct bytes text_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static enum kioku_status create(struct destination_file *file, struct kioku_error *error)
{
	struct receiver *receiver = file->destination->state;
	struct received_file *received = calloc(1, sizeof(*received));

	file->state = received;
	if (!received)
		return error_no_memory(error);
	received->number = atomic_fetch_add(&receiver->files, 1);
	if (received->number >= TRANSFER_FILES)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "%s: a receiver takes %u files and no more", file->name,
				 TRANSFER_FILES);
	const struct transfer_message message = {
		.type = TRANSFER_CREATE,
		.file = received->number,
		.flags = file->has_digest ? 0 : TRANSFER_UNDIGESTED,
		.name = text_of(file->name),
	};
	return link_send(receiver->link, &message, error);
}

static enum kioku_status replace(struct destination *destination, const char *from, const char *to,
				 struct kioku_error *error)
{
	const struct transfer_message message = {
		.type = TRANSFER_REPLACE,
		.name = text_of(from),
		.to = text_of(to),
	};
	return link_send(link_of(destination), &message, error);
}

static void remove_file(struct destination *destination, const char *name)
{
	const struct transfer_message message = {
		.type = TRANSFER_REMOVE,
		.name = text_of(name),
	};
	(void)link_send(link_of(destination), &message, NULL);
}

static enum kioku_status finish(struct destination *destination, bool complete, uint64_t lost,
				struct kioku_error *error)
{
	return link_finish(link_of(destination), complete, lost, error);
}

static void grow(struct destination_file *file, uint64_t end)
{
	if (end > file->size)
		file->size = end;
}

static enum kioku_status file_write(struct destination_file *file, uint64_t offset,
				    const void *data, size_t size, size_t *written,
				    struct kioku_error *error)
{
	const struct received_file *received = file->state;

	while (*written < size) {
		size_t left = size - *written;
		size_t piece = left < TRANSFER_DATA_LIMIT ? left : TRANSFER_DATA_LIMIT;
		const struct transfer_message message = {
			.type = TRANSFER_WRITE,
			.file = received->number,
			.offset = offset + *written,
			.data = { (const uint8_t *)data + *written, piece },
		};
		TRY(link_send(link_of(file->destination), &message, error));
		*written += piece;
		grow(file, offset + *written);
	}
	return KIOKU_OK;
}

static enum kioku_status file_hole(struct destination_file *file, uint64_t offset, uint64_t size,
				   struct kioku_error *error)
{
	const struct received_file *received = file->state;
	const struct transfer_message message = {
		.type = TRANSFER_HOLE,
		.file = received->number,
		.offset = offset,
		.size = size,
	};

	if (size == 0)
		return KIOKU_OK;
	TRY(link_send(link_of(file->destination), &message, error));
	grow(file, offset + size);
	return KIOKU_OK;
}

static enum kioku_status file_finish(struct destination_file *file, const uint8_t *sha256,
				     struct file_digests *digests, bool (*progress)(void *user),
				     void *user, struct kioku_error *error)
{
	struct link *link = link_of(file->destination);
	const struct received_file *received = file->state;
	struct transfer_message message = {
		.type = TRANSFER_CLOSE,
		.file = received->number,
		.flags = (sha256 ? TRANSFER_COMPARE : 0) | (digests ? TRANSFER_ANSWER : 0),
		.size = file->size,
	};

	if (sha256)
		memcpy(message.sha256, sha256, sizeof(message.sha256));
	TRY(link_send(link, &message, error));
	return digests ? link_await_digest(link, received->number, digests, progress, user, error)
		       : KIOKU_OK;
}

static void file_close(struct destination_file *file)
{
	free(file->state);
}

const struct destination_driver receiver_destination = {
	.scheme = "kioku",
	.can_seek = true,
	.check = check_receiver,
	.open = open_receiver,
	.close = close_receiver,
	.hurry = hurry,
	.create = create,
	.replace = replace,
	.remove = remove_file,
	.finish = finish,
	.file_write = file_write,
	.file_hole = file_hole,
	.file_finish = file_finish,
	.file_close = file_close,
};
