/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/digest.h"

#include "base/error.h"

enum kioku_status digest_init(struct digest *digest, enum kioku_digest kind,
			      struct kioku_error *error)
{
	const char *name = kind == KIOKU_DIGEST_MD5 ? "MD5" : "SHA256";

	*digest = (struct digest){ 0 };
	digest->context = EVP_MD_CTX_new();
	if (!digest->context)
		return error_no_memory(error);
	digest->method = EVP_MD_fetch(NULL, name, NULL);
	if (!digest->method || EVP_DigestInit_ex(digest->context, digest->method, NULL) != 1)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this machine's OpenSSL refuses %s", name);
	return KIOKU_OK;
}

void digest_release(struct digest *digest)
{
	EVP_MD_CTX_free(digest->context);
	EVP_MD_free(digest->method);
	*digest = (struct digest){ 0 };
}

bool digest_add(struct digest *digest, const void *data, size_t size)
{
	return EVP_DigestUpdate(digest->context, data, size) == 1;
}

bool digest_add_zeros(struct digest *digest, uint64_t size)
{
	static const uint8_t zeros[64 << 10];

	while (size > 0) {
		size_t part = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
		if (!digest_add(digest, zeros, part))
			return false;
		size -= part;
	}
	return true;
}

bool digest_finish(struct digest *digest, uint8_t out[DIGEST_SIZE])
{
	return EVP_DigestFinal_ex(digest->context, out, NULL) == 1 &&
	       EVP_DigestInit_ex(digest->context, digest->method, NULL) == 1;
}

void digest_hex(const uint8_t *hash, size_t size, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*out++ = digits[hash[i] >> 4];
		*out++ = digits[hash[i] & 15];
	}
	*out = '\0';
}

bool digest_finish_hex(struct digest *digest, char *out)
{
	uint8_t hash[DIGEST_SIZE];
	size_t size = (size_t)EVP_MD_get_size(digest->method);

	*out = '\0';
	if (!digest_finish(digest, hash))
		return false;
	digest_hex(hash, size, out);
	return true;
}
