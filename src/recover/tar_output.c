/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tar archive: pax (POSIX.1-2008, "pax Interchange Format"); files with holes as GNU tar has them in pax
 * archives, form 1.0 ("Storing Sparse Files" in its manual), which also bsdtar and Python read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "recover/output.h"

enum { BLOCK = 512, BUFFER = 1 << 20, DIRECT = 64 << 10 };

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

static enum kioku_status write_all(struct output *output, const char *data, size_t size,
				   struct kioku_error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t written = write(output->descriptor, data + done, size - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			output->is_broken = true;
			return error_os(error, "cannot write the archive");
		}
		done += (size_t)written;
	}
	return KIOKU_OK;
}

static enum kioku_status flush(struct output *output, struct kioku_error *error)
{
	size_t size = output->buffered;

	output->buffered = 0;
	return write_all(output, output->buffer, size, error);
}

static enum kioku_status put(struct output *output, const void *data, size_t size,
			     struct kioku_error *error)
{
	/* Much at once is not worth another copy. */
	if (size >= DIRECT) {
		TRY(flush(output, error));
		return write_all(output, data, size, error);
	}
	for (const char *at = data; size > 0;) {
		size_t part = BUFFER - output->buffered;
		part = part > size ? size : part;
		memcpy(output->buffer + output->buffered, at, part);
		output->buffered += part;
		at += part;
		size -= part;
		if (output->buffered == BUFFER)
			TRY(flush(output, error));
	}
	return KIOKU_OK;
}

static enum kioku_status pad(struct output *output, uint64_t size, struct kioku_error *error)
{
	static const char zeros[BLOCK];

	return put(output, zeros, (BLOCK - size % BLOCK) % BLOCK, error);
}

/* --- headers */

/* Octal digits, as many as there is room for; what does not fit is said by pax records. */
static void put_octal(char *out, size_t room, uint64_t value)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%0*" PRIo64, (int)room - 1, value);
	memcpy(out, strlen(digits) < room ? digits : "00000000000", room - 1);
	out[room - 1] = '\0';
}

static bool fits_octal(size_t room, uint64_t value)
{
	return value >> (3 * (room - 1)) == 0;
}

static void put_text(char *out, size_t room, const char *text)
{
	size_t size = strlen(text);

	memcpy(out, text, size < room ? size : room);
}

static enum kioku_status put_header(struct output *output, char type, const char *name,
				    const char *link, const struct attributes *attributes,
				    uint64_t size, struct kioku_error *error)
{
	struct ustar header = { .type = type, .magic = "ustar", .version = { '0', '0' } };
	unsigned sum = 0;

	put_text(header.name, sizeof(header.name), name);
	put_text(header.link, sizeof(header.link), link);
	put_octal(header.mode, sizeof(header.mode), attributes->mode);
	put_octal(header.uid, sizeof(header.uid), attributes->uid);
	put_octal(header.gid, sizeof(header.gid), attributes->gid);
	put_octal(header.size, sizeof(header.size), size);
	put_octal(header.mtime, sizeof(header.mtime),
		  attributes->mtime < 0 ? 0 : (uint64_t)attributes->mtime);
	memset(header.checksum, ' ', sizeof(header.checksum));
	for (size_t i = 0; i < sizeof(header); i++)
		sum += ((const uint8_t *)&header)[i];
	snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
	return put(output, &header, sizeof(header), error);
}

/* Records of a pax header, "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
struct records {
	char *data;
	size_t size;
	FILE *stream;
};

static void records_release(struct records *records)
{
	if (records->stream)
		fclose(records->stream);
	free(records->data);
}

static void add(struct records *records, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void add(struct records *records, const char *key, const char *format, ...)
{
	char *value;
	va_list arguments;

	va_start(arguments, format);
	int size = vasprintf(&value, format, arguments);
	va_end(arguments);
	if (size < 0)
		return;
	size_t bare = strlen(key) + (size_t)size + 3, total = bare + 1;
	for (size_t limit = 10; total >= limit; limit *= 10)
		if (bare + (size_t)snprintf(NULL, 0, "%zu", total) > total)
			total++;
	fprintf(records->stream, "%zu %s=%s\n", total, key, value);
	free(value);
}

static void add_time(struct records *records, const char *key, int64_t seconds, uint32_t fraction)
{
	/* A negative time's fraction counts forwards in a struct timespec, and backwards in a number. */
	if (seconds < 0 && fraction > 0)
		add(records, key, "-%" PRId64 ".%09u", -(seconds + 1), 1000000000 - fraction);
	else
		add(records, key, "%" PRId64 ".%09u", seconds, fraction);
}

/* The header before the header, with all that the plain one has no room for. */
static enum kioku_status put_records(struct output *output, struct records *records,
				     struct kioku_error *error)
{
	static const struct attributes attributes = { .mode = 0600 };

	if (fflush(records->stream) != 0)
		return error_no_memory(error);
	TRY(put_header(output, 'x', "PaxHeaders/kioku", "", &attributes, records->size, error));
	TRY(put(output, records->data, records->size, error));
	return pad(output, records->size, error);
}

static enum kioku_status begin_records(struct records *records, const struct attributes *attributes,
				       struct kioku_error *error)
{
	records->stream = open_memstream(&records->data, &records->size);
	if (!records->stream)
		return error_no_memory(error);
	add_time(records, "mtime", attributes->mtime, attributes->mtime_fraction);
	add_time(records, "atime", attributes->atime, attributes->atime_fraction);
	if (!fits_octal(8, attributes->uid))
		add(records, "uid", "%u", attributes->uid);
	if (!fits_octal(8, attributes->gid))
		add(records, "gid", "%u", attributes->gid);
	return KIOKU_OK;
}

/* A member without content. */
static enum kioku_status put_member(struct output *output, char type, const char *path,
				    const char *link, const struct attributes *attributes,
				    struct kioku_error *error)
{
	CLEANUP(records_release) struct records records = { 0 };

	TRY(begin_records(&records, attributes, error));
	add(&records, "path", "%s%s", path, type == '5' ? "/" : "");
	if (*link)
		add(&records, "linkpath", "%s", link);
	TRY(put_records(output, &records, error));
	return put_header(output, type, path, link, attributes, 0, error);
}

/* --- files */

static bool has_holes(const struct content *content)
{
	return content->size > 0 && (content->count != 1 || content->segments[0].offset != 0 ||
				     content->segments[0].size != content->size);
}

/* The numbers in front of a sparse file's data; a file that ends in a hole ends in a segment of 0. */
static enum kioku_status make_map(struct records *map, const struct content *content,
				  uint64_t *data_size, struct kioku_error *error)
{
	const struct segment *last = content->count ? &content->segments[content->count - 1] : NULL;
	bool ends_in_hole = !last || last->offset + last->size < content->size;

	map->stream = open_memstream(&map->data, &map->size);
	if (!map->stream)
		return error_no_memory(error);
	fprintf(map->stream, "%zu\n", content->count + ends_in_hole);
	for (size_t i = 0; i < content->count; i++) {
		fprintf(map->stream, "%" PRIu64 "\n%" PRIu64 "\n", content->segments[i].offset,
			content->segments[i].size);
		*data_size += content->segments[i].size;
	}
	if (ends_in_hole)
		fprintf(map->stream, "%" PRIu64 "\n0\n", content->size);
	if (fflush(map->stream) != 0)
		return error_no_memory(error);
	return KIOKU_OK;
}

static enum kioku_status begin_file(struct output *output, const char *path,
				    const struct attributes *attributes,
				    const struct content *content, struct kioku_error *error)
{
	CLEANUP(records_release) struct records records = { 0 }, map = { 0 };
	bool is_sparse = has_holes(content);
	uint64_t data_size = 0, size = content->size;
	const char *name = path; /* of a sparse file, for those who do not know what that is */

	TRY(begin_records(&records, attributes, error));
	if (is_sparse) {
		TRY(make_map(&map, content, &data_size, error));
		size = (map.size + BLOCK - 1) / BLOCK * BLOCK + data_size;
		add(&records, "GNU.sparse.major", "1");
		add(&records, "GNU.sparse.minor", "0");
		add(&records, "GNU.sparse.name", "%s", path);
		add(&records, "GNU.sparse.realsize", "%" PRIu64, content->size);
		name = "GNUSparseFile.0/file";
	} else {
		add(&records, "path", "%s", path);
	}
	if (!fits_octal(12, size))
		add(&records, "size", "%" PRIu64, size);
	TRY(put_records(output, &records, error));
	TRY(put_header(output, '0', name, "", attributes, size, error));
	output->padding = size;
	if (!is_sparse)
		return KIOKU_OK;
	TRY(put(output, map.data, map.size, error));
	return pad(output, map.size, error);
}

static enum kioku_status write_data(struct output *output, uint64_t offset, const void *data,
				    size_t size, struct kioku_error *error)
{
	return put(output, data, size, error);
}

static enum kioku_status end_file(struct output *output, const struct attributes *attributes,
				  struct kioku_error *error)
{
	return pad(output, output->padding, error);
}

static enum kioku_status make_link(struct output *output, const char *path, const char *target,
				   struct kioku_error *error)
{
	static const struct attributes none = { .mode = 0600 };

	return put_member(output, '1', path, target, &none, error);
}

static enum kioku_status make_symlink(struct output *output, const char *path, const char *target,
				      const struct attributes *attributes,
				      struct kioku_error *error)
{
	return put_member(output, '2', path, target, attributes, error);
}

/*
 * Folders come last: who unpacks the archive makes them for what is in them, and their modes and times
 * then stay as they are.
 */
static enum kioku_status make_folder(struct output *output, const char *path,
				     const struct attributes *attributes, struct kioku_error *error)
{
	return KIOKU_OK;
}

static enum kioku_status end_folder(struct output *output, const char *path,
				    const struct attributes *attributes, struct kioku_error *error)
{
	return put_member(output, '5', path, "", attributes, error);
}

static enum kioku_status end(struct output *output, struct kioku_error *error)
{
	static const char zeros[2 * BLOCK];

	TRY(put(output, zeros, sizeof(zeros), error));
	return flush(output, error);
}

static void release(struct output *output)
{
	free(output->buffer);
}

static const struct output_driver tar_output = {
	.folder = make_folder,
	.file = begin_file,
	.data = write_data,
	.file_end = end_file,
	.link = make_link,
	.symlink = make_symlink,
	.folder_end = end_folder,
	.end = end,
	.release = release,
};

enum kioku_status tar_output_open(struct output *output, int descriptor, struct kioku_error *error)
{
	*output = (struct output){ .driver = &tar_output,
				   .root = -1,
				   .parent = -1,
				   .file = -1,
				   .descriptor = descriptor,
				   .buffer = malloc(BUFFER) };
	return output->buffer ? KIOKU_OK : error_no_memory(error);
}
