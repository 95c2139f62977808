/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/destination_driver.h"

#include <string.h>

static const struct destination_driver *const drivers[] = {
	&tcp_destination, &tcp_listen_destination, &ssh_destination, &receiver_destination, NULL,
};

static const struct destination_driver *find_driver(const char *where, const struct url *url)
{
	const struct destination_driver *const *driver = drivers;

	if (!url->scheme)
		return strcmp(where, "-") == 0 ? &stdout_destination : &file_destination;
	while (*driver && strcmp((*driver)->scheme, url->scheme) != 0)
		driver++;
	return *driver;
}

static enum kioku_status parse(const char *where, struct url *url,
			       const struct destination_driver **driver, struct kioku_error *error)
{
	TRY(url_parse(where, url, error));
	*driver = find_driver(where, url);
	if (!*driver)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "\"%s://\" is no kind of destination: tcp, tcp-listen, ssh and "
				 "kioku are",
				 url->scheme);
	return KIOKU_OK;
}

enum kioku_status destination_outline(const char *where, struct destination_outline *out,
				      struct kioku_error *error)
{
	const struct destination_driver *driver;
	AUTO_URL struct url url = { 0 };

	TRY(parse(where, &url, &driver, error));
	out->is_local = driver == &file_destination;
	out->is_stream = driver->is_stream;
	out->name = strdup(driver->is_stream ? "" : url.path);
	return out->name ? KIOKU_OK : error_no_memory(error);
}

enum kioku_status destination_check(const char *where, const struct destination_options *options,
				    struct kioku_error *error)
{
	const struct destination_driver *driver;
	AUTO_URL struct url url = { 0 };

	TRY(parse(where, &url, &driver, error));
	return driver->check ? driver->check(&url, options, error) : KIOKU_OK;
}

static enum kioku_status open_driver(struct destination *destination, const char *where,
				     const struct destination_options *options,
				     struct kioku_error *error)
{
	AUTO_URL struct url url = { 0 };

	TRY(parse(where, &url, &destination->driver, error));
	return destination->driver->open(destination, &url, options, error);
}

enum kioku_status destination_open(const char *where, const struct destination_options *options,
				   struct destination **out, struct kioku_error *error)
{
	AUTO_DESTINATION struct destination *destination = calloc(1, sizeof(*destination));

	if (!destination)
		return error_no_memory(error);
	destination->diagnostics = options->diagnostics;
	TRY(open_driver(destination, where, options, error));
	*out = TAKE(destination);
	return KIOKU_OK;
}

void destination_close(struct destination *destination)
{
	if (!destination)
		return;
	if (destination->driver && destination->driver->close)
		destination->driver->close(destination);
	free(destination->label);
	free(destination->place);
	free(destination);
}

bool destination_can_seek(const struct destination *destination)
{
	return destination->driver->can_seek;
}

const char *destination_label(const struct destination *destination)
{
	return destination->label ? destination->label : "";
}

const char *destination_place(const struct destination *destination)
{
	return destination->place;
}

void destination_hurry(struct destination *destination)
{
	if (destination->driver->hurry)
		destination->driver->hurry(destination);
}

enum kioku_status destination_create(struct destination *destination, const char *name,
				     bool has_digest, struct destination_file **out,
				     struct kioku_error *error)
{
	AUTO_DESTINATION_FILE struct destination_file *file = calloc(1, sizeof(*file));

	if (!file)
		return error_no_memory(error);
	file->destination = destination;
	file->has_digest = has_digest;
	file->name = strdup(name);
	if (!file->name)
		return error_no_memory(error);
	TRY(destination->driver->create(file, error));
	*out = TAKE(file);
	return KIOKU_OK;
}

enum kioku_status destination_replace(struct destination *destination, const char *from,
				      const char *to, struct kioku_error *error)
{
	return destination->driver->replace(destination, from, to, error);
}

void destination_remove(struct destination *destination, const char *name)
{
	destination->driver->remove(destination, name);
}

enum kioku_status destination_finish(struct destination *destination, bool complete, uint64_t lost,
				     struct kioku_error *error)
{
	return destination->driver->finish
		       ? destination->driver->finish(destination, complete, lost, error)
		       : KIOKU_OK;
}

enum kioku_status destination_file_write(struct destination_file *file, uint64_t offset,
					 const void *data, size_t size, size_t *written,
					 struct kioku_error *error)
{
	*written = 0;
	return file->destination->driver->file_write(file, offset, data, size, written, error);
}

enum kioku_status destination_file_hole(struct destination_file *file, uint64_t offset,
					uint64_t size, struct kioku_error *error)
{
	return file->destination->driver->file_hole(file, offset, size, error);
}

const char *destination_file_name(const struct destination_file *file)
{
	return file->name;
}

uint64_t destination_file_size(const struct destination_file *file)
{
	return file->size;
}

enum kioku_status destination_file_finish(struct destination_file *file, const uint8_t *sha256,
					  struct file_digests *digests,
					  bool (*progress)(void *user), void *user,
					  struct kioku_error *error)
{
	return file->destination->driver->file_finish(file, sha256, digests, progress, user, error);
}

void destination_file_close(struct destination_file *file)
{
	if (!file)
		return;
	if (file->destination->driver->file_close)
		file->destination->driver->file_close(file);
	free(file->name);
	free(file);
}
