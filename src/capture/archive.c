/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	BLOCK = 512,
	GZIP = 16, /* added to the window bits, as zlib.h has it */
	WINDOW_BITS = 15,
	MEMORY_LEVEL = 8,
};

/* A member's header: <tar.h>, and pax in POSIX.1-2008 under "ustar Interchange Format". */
struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");
_Static_assert(sizeof(((struct ustar *)NULL)->name) == ARCHIVE_NAME_LIMIT, "the name's limit");

enum kioku_status archive_create(struct archive *archive, struct destination *destination,
				 const char *name, struct kioku_error *error)
{
	*archive = (struct archive){ 0 };
	TRY(sidecar_create(&archive->sidecar, destination, name, error));
	if (deflateInit2(&archive->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS + GZIP,
			 MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return error_no_memory(error);
	archive->is_open = true;
	return KIOKU_OK;
}

static enum kioku_status put(struct archive *archive, const void *data, size_t size, int flush,
			     struct kioku_error *error)
{
	z_stream *stream = &archive->stream;

	stream->next_in = (Bytef *)(uintptr_t)data;
	stream->avail_in = (uInt)size;
	do {
		stream->next_out = archive->buffer;
		stream->avail_out = sizeof(archive->buffer);
		deflate(stream, flush);
		TRY(sidecar_write(&archive->sidecar, archive->buffer,
				  sizeof(archive->buffer) - stream->avail_out, error));
	} while (stream->avail_out == 0);
	return KIOKU_OK;
}

static void put_checksum(struct ustar *header)
{
	unsigned sum = 0;

	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += ((const uint8_t *)header)[i];
	snprintf(header->checksum, sizeof(header->checksum), "%06o", sum);
}

enum kioku_status archive_begin(struct archive *archive, const char *name, uint64_t size,
				uint64_t time, struct kioku_error *error)
{
	struct ustar header = {
		.mode = "0000600",
		.uid = "0000000",
		.gid = "0000000",
		.type = '0',
		.magic = "ustar",
		.version = { '0', '0' },
		.user = "root",
		.group = "root",
	};

	if (strlen(name) >= sizeof(header.name) || size >> 33 || time >> 33)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s does not fit into a tar archive",
				 name);
	strcpy(header.name, name);
	snprintf(header.size, sizeof(header.size), "%011" PRIo64, size);
	snprintf(header.mtime, sizeof(header.mtime), "%011" PRIo64, time);
	put_checksum(&header);
	archive->member = size;
	archive->padding = (BLOCK - size % BLOCK) % BLOCK;
	return put(archive, &header, sizeof(header), Z_NO_FLUSH, error);
}

enum kioku_status archive_write(struct archive *archive, const void *data, size_t size,
				struct kioku_error *error)
{
	static const uint8_t zeros[BLOCK];

	TRY(put(archive, data, size, Z_NO_FLUSH, error));
	archive->member -= size;
	return archive->member > 0 ? KIOKU_OK
				   : put(archive, zeros, archive->padding, Z_NO_FLUSH, error);
}

enum kioku_status archive_finish(struct archive *archive, struct manifest_file *out,
				 struct kioku_error *error)
{
	static const uint8_t end[2 * BLOCK];

	TRY(put(archive, end, sizeof(end), Z_FINISH, error));
	return sidecar_finish(&archive->sidecar, out, error);
}

void archive_release(struct archive *archive)
{
	if (archive->is_open)
		deflateEnd(&archive->stream);
	sidecar_release(&archive->sidecar);
	archive->is_open = false;
}
