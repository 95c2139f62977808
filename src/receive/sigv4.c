/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/sigv4.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/cleanup.h"
#include "base/digest.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { DAY = 8 }; /* how much of a time is its date */

struct key {
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned size;
};

static void cleanup_key(struct key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

/* The text that is written by a stream; NULL: no memory. */
static char *written(FILE *stream, char **text)
{
	bool good = !ferror(stream);

	if (fclose(stream) == 0 && good)
		return *text;
	free(*text);
	return NULL;
}

static char *signed_names(const struct sigv4_request *request)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	for (size_t i = 0; i < request->header_count; i++)
		fprintf(stream, "%s%s", i ? ";" : "", request->headers[i].name);
	return written(stream, &text);
}

static char *canonical_request(const struct sigv4_request *request, const char *names)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	fprintf(stream, "%s\n%s\n%s\n", request->method, request->path, request->query);
	for (size_t i = 0; i < request->header_count; i++)
		fprintf(stream, "%s:%s\n", request->headers[i].name, request->headers[i].value);
	fprintf(stream, "\n%s\n%s", names, request->payload);
	return written(stream, &text);
}

static char *text_to_sign(const struct sigv4_request *request, const char *canonical)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char hex[DIGEST_HEX_SIZE];
	unsigned size;
	char *text;

	if (EVP_Digest(canonical, strlen(canonical), hash, &size, EVP_sha256(), NULL) != 1)
		return NULL;
	digest_hex(hash, size, hex);
	if (asprintf(&text, ALGORITHM "\n%s\n%.*s/%s/%s/aws4_request\n%s", request->time, DAY,
		     request->time, request->region, request->service, hex) < 0)
		return NULL;
	return text;
}

/* key becomes the HMAC of a text by it. */
static bool step(struct key *key, const char *text, size_t size)
{
	CLEANUP(cleanup_key) struct key before = *key;

	return HMAC(EVP_sha256(), before.bytes, (int)before.size, (const unsigned char *)text, size,
		    key->bytes, &key->size) != NULL;
}

static bool make_signature(const struct sigv4_request *request, const char *secret,
			   const char *to_sign, char out[DIGEST_HEX_SIZE])
{
	CLEANUP(cleanup_key) struct key key = { 0 };
	size_t size = strlen(secret);
	char *first = malloc(4 + size); /* "AWS4" and the secret */
	bool good;

	if (!first)
		return false;
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, secret, size);
	good = HMAC(EVP_sha256(), first, (int)(4 + size), (const unsigned char *)request->time, DAY,
		    key.bytes, &key.size) != NULL;
	OPENSSL_cleanse(first, 4 + size);
	free(first);
	good = good && step(&key, request->region, strlen(request->region)) &&
	       step(&key, request->service, strlen(request->service)) &&
	       step(&key, "aws4_request", strlen("aws4_request")) &&
	       step(&key, to_sign, strlen(to_sign));
	if (good)
		digest_hex(key.bytes, key.size, out);
	return good;
}

enum kioku_status sigv4_sign(const struct sigv4_request *request, const char *access_key,
			     const char *secret_key, char **out, struct kioku_error *error)
{
	AUTO_FREE char *names = signed_names(request);
	AUTO_FREE char *canonical = names ? canonical_request(request, names) : NULL;
	AUTO_FREE char *to_sign = canonical ? text_to_sign(request, canonical) : NULL;
	char signature[DIGEST_HEX_SIZE];

	if (!to_sign || !make_signature(request, secret_key, to_sign, signature) ||
	    asprintf(out,
		     ALGORITHM " Credential=%s/%.*s/%s/%s/aws4_request,SignedHeaders=%s,"
			       "Signature=%s",
		     access_key, DAY, request->time, request->region, request->service, names,
		     signature) < 0)
		return error_no_memory(error);
	return KIOKU_OK;
}

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

char *sigv4_encode(const char *text, bool is_path)
{
	char *encoded = malloc(3 * strlen(text) + 1);
	char *end = encoded;

	if (!encoded)
		return NULL;
	for (; *text; text++) {
		if (is_plain(*text) || (is_path && *text == '/'))
			*end++ = *text;
		else
			end += sprintf(end, "%%%02X", (unsigned)(uint8_t)*text);
	}
	*end = '\0';
	return encoded;
}
