/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "receive/s3_client.h"
#include "receive/sigv4.h"
#include "receive/store_place.h"

#define CHUNK        (1u << 20)
#define PART_DEFAULT (16ull << 20)
#define PART_LIMIT   10000u /* parts of an upload */
#define QUERY_SIZE   (6 * S3_TEXT_SIZE + 64)

struct store {
	struct store_place place;
	char *credentials, *ca; /* NULL: as in the options */
	uint64_t part_size;
	unsigned pause_ms, stall_seconds;
};

/* What is done in one store_upload(). */
struct upload {
	const struct store *store;
	struct s3_client *client;
	const char *name; /* of the folder */
	struct store_progress *progress;
	bool (*goes_on)(void *user);
	void *user;
};

struct part_digest {
	char hex[DIGEST_HEX_SIZE];
};

/* A file that is uploaded. */
struct item {
	int file;
	char *path; /* in the store */
	uint64_t size, part_size, parts;
	char sha256[DIGEST_HEX_SIZE];
	struct part_digest *digests; /* of the parts, if there are several */
};

static void release_item(struct item *item)
{
	cleanup_close(&item->file);
	free(item->path);
	free(item->digests);
}

#define AUTO_ITEM CLEANUP(release_item)

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

enum kioku_status store_open(const struct store_options *options, struct store **out,
			     struct kioku_error *error)
{
	AUTO_STORE struct store *store = calloc(1, sizeof(*store));
	struct s3_credentials credentials;

	*out = NULL;
	if (!store)
		return error_no_memory(error);
	TRY(store_place_parse(options->url, options->region, &store->place, error));
	enum kioku_status status = s3_credentials_load(options->credentials, &credentials, error);
	s3_credentials_wipe(&credentials);
	TRY(status);
	if (options->ca && access(options->ca, R_OK) != 0)
		return error_os(error, "cannot read %s", options->ca);
	store->credentials = copy(options->credentials);
	store->ca = copy(options->ca);
	if ((options->credentials && !store->credentials) || (options->ca && !store->ca))
		return error_no_memory(error);
	store->part_size = options->part_size ? options->part_size : PART_DEFAULT;
	store->pause_ms = options->pause_ms ? options->pause_ms : 1000;
	store->stall_seconds = options->stall_seconds ? options->stall_seconds : 60;
	*out = TAKE(store);
	return KIOKU_OK;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_place_release(&store->place);
	free(store->credentials);
	free(store->ca);
	free(store);
}

void store_url(const struct store *store, const char *folder, char *out, size_t size)
{
	AUTO_FREE char *name = store_folder_name(folder);
	AUTO_FREE char *path = name ? store_place_path(&store->place, name, "") : NULL;

	snprintf(out, size, "%s%s", store->place.origin, path ? path : "");
}

/* --- what is sent */

static void count_stored(const struct upload *upload, uint64_t bytes)
{
	atomic_fetch_add(&upload->progress->stored, bytes);
}

static bool is_wanted(const struct upload *upload)
{
	return !upload->goes_on || upload->goes_on(upload->user);
}

/* Opens a file; *is_regular: whether it is one that is uploaded. */
static enum kioku_status open_item(const struct upload *upload, int folder, const char *name,
				   struct item *item, bool *is_regular, struct kioku_error *error)
{
	struct stat status;

	*is_regular = false;
	item->file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (item->file < 0 && (errno == ELOOP || errno == ENXIO))
		return KIOKU_OK; /* a symbolic link, a socket */
	if (item->file < 0 || fstat(item->file, &status) != 0)
		return error_os(error, "cannot open it");
	if (!S_ISREG(status.st_mode))
		return KIOKU_OK;
	*is_regular = true;
	item->size = (uint64_t)status.st_size;
	item->part_size = upload->store->part_size;
	if (item->size / item->part_size >= PART_LIMIT)
		item->part_size = (item->size / PART_LIMIT / CHUNK + 1) * CHUNK;
	item->parts = item->size / item->part_size + (item->size % item->part_size > 0);
	item->path = store_place_path(&upload->store->place, upload->name, name);
	item->digests = calloc(item->parts + 1, sizeof(*item->digests));
	return item->path && item->digests ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status digest_part(const struct upload *upload, struct item *item, uint64_t part,
				     struct digest *whole, struct digest *own, uint8_t *buffer,
				     struct kioku_error *error)
{
	uint64_t start = part * item->part_size;
	uint64_t left = item->size - start < item->part_size ? item->size - start : item->part_size;

	while (left > 0) {
		if (!is_wanted(upload))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
		ssize_t got = pread(item->file, buffer, left < CHUNK ? (size_t)left : CHUNK,
				    (off_t)start);
		if (got < 0)
			return error_os(error, "cannot read it");
		if (got == 0)
			return error_set(error, KIOKU_ERROR_CORRUPT, "it became shorter meanwhile");
		if (!digest_add(whole, buffer, (size_t)got) ||
		    !digest_add(own, buffer, (size_t)got))
			return error_no_memory(error);
		start += (uint64_t)got;
		left -= (uint64_t)got;
	}
	return digest_finish_hex(own, item->digests[part].hex) ? KIOKU_OK : error_no_memory(error);
}

/* All digests by reading the file once. */
static enum kioku_status digest_item(const struct upload *upload, struct item *item,
				     struct kioku_error *error)
{
	CLEANUP(digest_release) struct digest whole = { 0 };
	CLEANUP(digest_release) struct digest own = { 0 };
	AUTO_FREE uint8_t *buffer = malloc(CHUNK);

	if (!buffer)
		return error_no_memory(error);
	TRY(digest_init(&whole, KIOKU_DIGEST_SHA256, error));
	TRY(digest_init(&own, KIOKU_DIGEST_SHA256, error));
	for (uint64_t part = 0; part < item->parts; part++)
		TRY(digest_part(upload, item, part, &whole, &own, buffer, error));
	return digest_finish_hex(&whole, item->sha256) ? KIOKU_OK : error_no_memory(error);
}

/*
 * Whether the store has it already. Who may write and not read is told nothing, and then it is sent.
 */
static enum kioku_status find(const struct upload *upload, const struct item *item, bool *found,
			      struct kioku_error *error)
{
	const struct s3_request request = { .method = "HEAD", .path = item->path, .query = "" };
	struct s3_reply reply;
	enum kioku_status status = s3_request(upload->client, &request, &reply, error);

	*found = status == KIOKU_OK && reply.size == item->size &&
		 strcmp(reply.sha256, item->sha256) == 0;
	return status == KIOKU_ERROR_REFUSED && reply.http_status >= 400 ? KIOKU_OK : status;
}

static enum kioku_status put_whole(const struct upload *upload, const struct item *item,
				   struct kioku_error *error)
{
	const struct s3_request put = {
		.method = "PUT",
		.path = item->path,
		.query = "",
		.meta_sha256 = item->sha256,
		.file = item->file,
		.size = item->size,
		.sha256 = item->sha256,
	};
	const struct s3_request delete = {
		.method = "DELETE", .path = item->path, .query = "", .is_farewell = true
	};
	struct s3_reply reply;
	enum kioku_status status = s3_request(upload->client, &put, &reply, error);

	if (status == KIOKU_OK)
		count_stored(upload, item->size);
	/* It is there under the digest that it should have: nobody must find it. */
	if (status == KIOKU_ERROR_CORRUPT && reply.http_status >= 200)
		(void)s3_request(upload->client, &delete, &reply, NULL);
	return status;
}

/* --- in parts */

/* For the list of parts: an ETag as a text of XML. */
static void write_etag(FILE *list, const char *etag)
{
	for (; *etag; etag++) {
		if (strchr("&<>\"", *etag))
			fprintf(list, "&#%d;", *etag);
		else
			fputc(*etag, list);
	}
}

static enum kioku_status put_part(const struct upload *upload, const struct item *item,
				  const char *id, uint64_t part, FILE *list,
				  struct kioku_error *error)
{
	uint64_t start = part * item->part_size, left = item->size - start;
	char query[QUERY_SIZE];
	struct s3_request request = {
		.method = "PUT",
		.path = item->path,
		.query = query,
		.file = item->file,
		.offset = start,
		.size = left < item->part_size ? left : item->part_size,
		.sha256 = item->digests[part].hex,
	};
	struct s3_reply reply;

	snprintf(query, sizeof(query), "partNumber=%llu&uploadId=%s", (unsigned long long)part + 1,
		 id);
	TRY(s3_request(upload->client, &request, &reply, error));
	count_stored(upload, request.size);
	fprintf(list, "<Part><PartNumber>%llu</PartNumber><ETag>", (unsigned long long)part + 1);
	write_etag(list, reply.etag);
	fputs("</ETag></Part>", list);
	return KIOKU_OK;
}

static enum kioku_status put_all_parts(const struct upload *upload, const struct item *item,
				       const char *id, char **list, struct kioku_error *error)
{
	size_t size;
	FILE *stream = open_memstream(list, &size);
	enum kioku_status status = KIOKU_OK;

	if (!stream)
		return error_no_memory(error);
	fputs("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
	      stream);
	for (uint64_t part = 0; part < item->parts && status == KIOKU_OK; part++)
		status = put_part(upload, item, id, part, stream, error);
	fputs("</CompleteMultipartUpload>", stream);
	bool written = !ferror(stream);
	if (fclose(stream) != 0 || !written)
		return error_no_memory(error);
	return status;
}

static enum kioku_status complete(const struct upload *upload, const struct item *item,
				  const char *id, const char *list, struct kioku_error *error)
{
	char query[QUERY_SIZE], sha256[DIGEST_HEX_SIZE];
	CLEANUP(digest_release) struct digest digest = { 0 };
	const struct s3_request request = {
		.method = "POST",
		.path = item->path,
		.query = query,
		.root = "CompleteMultipartUploadResult",
		.data = list,
		.size = strlen(list),
		.sha256 = sha256,
		.is_slow = true,
	};
	struct s3_reply reply;

	TRY(digest_init(&digest, KIOKU_DIGEST_SHA256, error));
	if (!digest_add(&digest, list, strlen(list)) || !digest_finish_hex(&digest, sha256))
		return error_no_memory(error);
	snprintf(query, sizeof(query), "uploadId=%s", id);
	enum kioku_status status = s3_request(upload->client, &request, &reply, error);
	if (status == KIOKU_OK || status == KIOKU_ERROR_STOPPED)
		return status;
	/* The answer may have been lost on its way: what is asked again is refused then. */
	bool found = false;
	return find(upload, item, &found, NULL) == KIOKU_OK && found ? KIOKU_OK : status;
}

static enum kioku_status put_parts(const struct upload *upload, const struct item *item,
				   struct kioku_error *error)
{
	const struct s3_request create = {
		.method = "POST",
		.path = item->path,
		.query = "uploads=",
		.meta_sha256 = item->sha256,
		.root = "InitiateMultipartUploadResult",
		.data = "",
	};
	char query[QUERY_SIZE];
	const struct s3_request abort = {
		.method = "DELETE", .path = item->path, .query = query, .is_farewell = true
	};
	struct s3_reply reply;

	TRY(s3_request(upload->client, &create, &reply, error));
	if (!reply.answer.upload_id[0])
		return error_set(error, KIOKU_ERROR_REFUSED, "the store gives no UploadId");
	AUTO_FREE char *id = sigv4_encode(reply.answer.upload_id, false);
	if (!id)
		return error_no_memory(error);
	AUTO_FREE char *list = NULL;
	enum kioku_status status = put_all_parts(upload, item, id, &list, error);
	if (status == KIOKU_OK)
		status = complete(upload, item, id, list, error);
	if (status == KIOKU_OK)
		return KIOKU_OK;
	snprintf(query, sizeof(query), "uploadId=%s", id);
	(void)s3_request(upload->client, &abort, &reply, NULL);
	return status;
}

/* --- a folder */

static enum kioku_status put(const struct upload *upload, int folder, const char *name,
			     struct kioku_error *error)
{
	AUTO_ITEM struct item item = { .file = -1 };
	bool is_regular, found;

	TRY(open_item(upload, folder, name, &item, &is_regular, error));
	if (!is_regular)
		return KIOKU_OK;
	TRY(digest_item(upload, &item, error));
	TRY(find(upload, &item, &found, error));
	if (found) {
		count_stored(upload, item.size);
		return KIOKU_OK;
	}
	return item.parts > 1 ? put_parts(upload, &item, error) : put_whole(upload, &item, error);
}

static bool is_manifest(const char *name)
{
	static const char suffix[] = ".manifest.json";
	size_t size = strlen(name), cut = sizeof(suffix) - 1;

	return size >= cut && strcmp(name + size - cut, suffix) == 0;
}

/* By name, manifests last. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	bool first = is_manifest((*a)->d_name), second = is_manifest((*b)->d_name);

	return first != second ? first - second : strcmp((*a)->d_name, (*b)->d_name);
}

static uint64_t file_size(int folder, const char *name)
{
	struct stat status;

	return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)
		       ? (uint64_t)status.st_size
		       : 0;
}

static enum kioku_status put_folder(const struct upload *upload, const char *folder,
				    struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	enum kioku_status status = KIOKU_OK;
	int count =
		descriptor < 0 ? -1 : scandirat(descriptor, ".", &entries, NULL, compare_entries);

	if (count < 0)
		return error_os(error, "cannot read the folder");
	for (int i = 0; i < count; i++)
		atomic_fetch_add(&upload->progress->size,
				 file_size(descriptor, entries[i]->d_name));
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		if (status == KIOKU_OK && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			status = put(upload, descriptor, name, error);
			if (status != KIOKU_OK)
				error_prefix(error, "%s", name);
		}
		free(entries[i]);
	}
	free(entries);
	return status;
}

enum kioku_status store_upload(struct store *store, const char *folder,
			       struct store_progress *progress, bool (*goes_on)(void *user),
			       void *user, struct kioku_error *error)
{
	struct store_progress own = { 0 };
	AUTO_FREE char *name = store_folder_name(folder);
	AUTO_S3_CLIENT struct s3_client *client = NULL;
	const struct s3_client_options options = {
		store->place.origin,
		store->place.host,
		store->place.region,
		store->ca,
		store->pause_ms,
		store->stall_seconds,
		goes_on,
		user,
	};

	if (!name)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s is no folder with a name",
				 folder);
	TRY(s3_client_open(&options, store->credentials, &client, error));
	const struct upload upload = { store,   client, name, progress ? progress : &own,
				       goes_on, user };
	enum kioku_status status = put_folder(&upload, folder, error);
	if (status != KIOKU_OK)
		error_prefix(error, "cannot upload %s", folder);
	return status;
}
