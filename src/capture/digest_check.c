/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/digest_check.h"

#define CHUNK         (1u << 20)
#define SIDECAR_LIMIT (1u << 20) /* bytes: it may list a folder's files */
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

/* By suffix of the digest file, which is the kernel's name and OpenSSL's. */
static const struct {
	const char *name;
	size_t size;
} algorithms[] = {
	{ "sha512", 64 },      { "sha384", 48 },   { "sha256", 32 },   { "sha224", 28 },
	{ "sha3-512", 64 },    { "sha3-384", 48 }, { "sha3-256", 32 }, { "sha3-224", 28 },
	{ "blake2b-512", 64 }, { "sm3", 32 },      { "rmd160", 20 },   { "sha1", 20 },
	{ "md5", 16 },
};

enum { ALGORITHMS = COUNT(algorithms) };

struct digests {
	struct known_digest *known;
	size_t count;
	EVP_MD_CTX *plain[ALGORITHMS], *inflated[ALGORITHMS];
	z_stream stream;
	bool is_inflating, stream_ended;
	uint8_t *buffer, *output;
};

static void release(struct digests *digests)
{
	for (size_t i = 0; i < ALGORITHMS; i++) {
		EVP_MD_CTX_free(digests->plain[i]);
		EVP_MD_CTX_free(digests->inflated[i]);
	}
	if (digests->is_inflating)
		inflateEnd(&digests->stream);
	free(digests->buffer);
	free(digests->output);
}

#define AUTO_DIGESTS CLEANUP(release)

static enum kioku_status prepare_one(struct digests *digests, size_t index,
				     struct kioku_error *error)
{
	struct known_digest *known = &digests->known[index];

	ERR_set_mark();
	EVP_MD *method = EVP_MD_fetch(NULL, known->algorithm, NULL);
	ERR_pop_to_mark();
	if (!method)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "no %s in this build of OpenSSL",
				 known->algorithm);
	digests->plain[index] = EVP_MD_CTX_new();
	digests->inflated[index] = EVP_MD_CTX_new();
	bool good = (size_t)EVP_MD_get_size(method) == known->size && digests->plain[index] &&
		    digests->inflated[index] &&
		    EVP_DigestInit_ex(digests->plain[index], method, NULL) == 1 &&
		    EVP_DigestInit_ex(digests->inflated[index], method, NULL) == 1;
	EVP_MD_free(method);
	return good ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status prepare(struct digests *digests, struct known_digest *known, size_t count,
				 struct kioku_error *error)
{
	digests->known = known;
	digests->count = count;
	digests->buffer = malloc(CHUNK);
	digests->output = malloc(CHUNK);
	if (!digests->buffer || !digests->output || count > ALGORITHMS)
		return error_no_memory(error);
	for (size_t i = 0; i < count; i++)
		TRY(prepare_one(digests, i, error));
	return KIOKU_OK;
}

/* A zlib header (RFC 1950): deflate, and a checksum over its two bytes. */
static bool is_zlib(const uint8_t *data, size_t size)
{
	return size >= 2 && (data[0] & 0xf) == 8 && data[0] >> 4 <= 7 &&
	       (data[0] << 8 | data[1]) % 31 == 0;
}

static bool update_inflated(struct digests *digests, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < digests->count; i++)
		if (digests->known[i].may_be_inflated &&
		    EVP_DigestUpdate(digests->inflated[i], data, size) != 1)
			return false;
	return true;
}

/* What is no zlib stream after all just fits nothing. False: no memory. */
static bool inflate_chunk(struct digests *digests, size_t size)
{
	z_stream *stream = &digests->stream;

	stream->next_in = digests->buffer;
	stream->avail_in = (uInt)size;
	do {
		stream->next_out = digests->output;
		stream->avail_out = CHUNK;
		int status = inflate(stream, Z_NO_FLUSH);
		if (!update_inflated(digests, digests->output, CHUNK - stream->avail_out))
			return false;
		digests->stream_ended = status == Z_STREAM_END;
		if (status != Z_OK && status != Z_BUF_ERROR) {
			inflateEnd(stream);
			digests->is_inflating = false;
			/* More behind the end is not LiME's. */
			digests->stream_ended &= stream->avail_in == 0;
			return status != Z_MEM_ERROR;
		}
	} while (stream->avail_in > 0 || stream->avail_out == 0);
	return true;
}

static bool update(struct digests *digests, size_t size)
{
	for (size_t i = 0; i < digests->count; i++)
		if (EVP_DigestUpdate(digests->plain[i], digests->buffer, size) != 1)
			return false;
	if (digests->is_inflating)
		return inflate_chunk(digests, size);
	digests->stream_ended = false;
	return true;
}

static bool wants_inflated(const struct digests *digests)
{
	for (size_t i = 0; i < digests->count; i++)
		if (digests->known[i].may_be_inflated)
			return true;
	return false;
}

static enum kioku_status finish(struct digests *digests, struct kioku_error *error)
{
	uint8_t value[EVP_MAX_MD_SIZE];

	for (size_t i = 0; i < digests->count; i++) {
		struct known_digest *known = &digests->known[i];
		if (EVP_DigestFinal_ex(digests->plain[i], value, NULL) != 1)
			return error_no_memory(error);
		known->fits = memcmp(value, known->value, known->size) == 0;
		if (known->fits || !known->may_be_inflated || !digests->stream_ended)
			continue;
		if (EVP_DigestFinal_ex(digests->inflated[i], value, NULL) != 1)
			return error_no_memory(error);
		known->fits = memcmp(value, known->value, known->size) == 0;
	}
	return KIOKU_OK;
}

enum kioku_status digest_check(int descriptor, struct known_digest *known, size_t count,
			       uint64_t *read, const struct kioku_verify_options *progress,
			       struct kioku_error *error)
{
	AUTO_DIGESTS struct digests digests = { 0 };
	off_t end = lseek(descriptor, 0, SEEK_END);
	uint64_t total = end > 0 ? (uint64_t)end : 0;

	*read = 0;
	TRY(prepare(&digests, known, count, error));
	for (;;) {
		ssize_t got = pread(descriptor, digests.buffer, CHUNK, (off_t)*read);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			error_os(error, "cannot read it at 0x%" PRIx64, *read);
			return KIOKU_ERROR_OS;
		}
		if (got == 0)
			break;
		if (*read == 0 && wants_inflated(&digests) && is_zlib(digests.buffer, (size_t)got))
			digests.is_inflating = inflateInit(&digests.stream) == Z_OK;
		*read += (uint64_t)got;
		if (!update(&digests, (size_t)got))
			return error_no_memory(error);
		if (progress && progress->progress &&
		    !progress->progress(progress->progress_user, *read,
					total > *read ? total : *read))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	}
	return finish(&digests, error);
}

bool known_digest_set(struct known_digest *known, const char *algorithm, const char *text)
{
	struct bytes bytes = { (const uint8_t *)text, strlen(text) };
	bool is_bare;

	*known = (struct known_digest){ .algorithm = algorithm, .size = bytes.size / 2 };
	return known->size > 0 && known->size <= DIGEST_SIZE_MAX &&
	       digest_find(bytes, "", known->size, known->value, &is_bare);
}

enum kioku_status verify_digests(struct verification *verification, struct known_digest *known,
				 size_t count, const char *what)
{
	uint64_t size;
	struct kioku_error error = { 0 };
	enum kioku_status status = digest_check(verification->descriptor, known, count, &size,
						&verification->options, &error);

	verification->result->checked = size;
	if (status == KIOKU_ERROR_OS) /* of the file, which is damage, and not of this program */
		return verification_report(verification, size, 1, "%s", error.message);
	if (status != KIOKU_OK) {
		if (verification->error)
			*verification->error = error;
		return status;
	}
	for (size_t i = 0; i < count; i++)
		if (!known[i].fits)
			TRY(verification_report(verification, 0, size,
						"the file's %s is not the one in %s",
						known[i].algorithm, what));
	return KIOKU_OK;
}

/* Takes a digest file in, if it is there. */
static enum kioku_status add_file(struct verification *verification, const char *path,
				  size_t algorithm, struct known_digest *known, size_t *count)
{
	AUTO_FREE uint8_t *data = NULL;
	struct bytes text = { 0 };
	struct kioku_error error = { 0 };
	const char *slash = strrchr(verification->path, '/');
	bool is_bare = false;

	enum kioku_status status = verification_load(path, SIDECAR_LIMIT, &text, &error);
	if (status != KIOKU_OK && is_absent(&error))
		return KIOKU_OK;
	data = (uint8_t *)text.data;
	known = &known[*count];
	*known = (struct known_digest){ .algorithm = algorithms[algorithm].name,
					.size = algorithms[algorithm].size };
	if (status == KIOKU_OK && !digest_find(text, slash ? slash + 1 : verification->path,
					       known->size, known->value, &is_bare))
		status = error_set(&error, KIOKU_ERROR_CORRUPT,
				   "%s holds no %s digest of this file", path, known->algorithm);
	if (status != KIOKU_OK) {
		if (verification->error)
			*verification->error = error;
		return status;
	}
	/* LiME writes nothing but the digest, of what it had before compressing it. */
	known->may_be_inflated = is_bare;
	if (++*count == 1)
		snprintf(verification->result->proof_path, sizeof(verification->result->proof_path),
			 "%s", path);
	return KIOKU_OK;
}

static bool ends_in(const char *path, const char *name)
{
	size_t length = strlen(path), suffix = strlen(name);

	return length > suffix && strcmp(path + length - suffix, name) == 0 &&
	       path[length - suffix - 1] == '.';
}

bool is_digest_path(const char *path)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		if (ends_in(path, algorithms[i].name))
			return true;
	return false;
}

enum kioku_status verify_by_digests(struct verification *verification, const char *path)
{
	struct known_digest known[ALGORITHMS];
	size_t count = 0;

	for (size_t i = 0; i < ALGORITHMS; i++) {
		AUTO_FREE char *beside = NULL;
		if (path && !ends_in(path, algorithms[i].name))
			continue;
		if (!path && asprintf(&beside, "%s.%s", verification->path, algorithms[i].name) < 0)
			return error_no_memory(verification->error);
		TRY(add_file(verification, path ? path : beside, i, known, &count));
	}
	if (count == 0)
		return error_set(
			verification->error, KIOKU_ERROR_NOT_FOUND,
			"there is nothing to check %s against: no manifest, no journal and "
			"no digest file",
			verification->path);
	verification->result->proof = KIOKU_PROOF_DIGEST;
	if (verification->options.range_size > 0)
		return error_set(
			verification->error, KIOKU_ERROR_ARGUMENT,
			"a range cannot be checked alone: %s is a digest of the whole file",
			verification->result->proof_path);
	return verify_digests(verification, known, count, verification->result->proof_path);
}
