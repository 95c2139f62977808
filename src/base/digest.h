/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MD5 and SHA-256, by OpenSSL, which may refuse MD5 where FIPS 140 is enforced. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <kioku/capture.h>

#include <openssl/evp.h>

#define DIGEST_MD5_SIZE 16u
#define DIGEST_SIZE     32u /* bytes, of the larger one, SHA-256 */
#define DIGEST_HEX_SIZE (2 * DIGEST_SIZE + 1)

/* Both, of one file. */
struct file_digests {
	bool has_md5; /* OpenSSL did not refuse it */
	uint8_t md5[DIGEST_MD5_SIZE], sha256[DIGEST_SIZE];
};

struct digest {
	EVP_MD *method;
	EVP_MD_CTX *context;
};

/* Errors: UNSUPPORTED (refused), NO_MEMORY. digest_release() in any case. */
enum kioku_status digest_init(struct digest *digest, enum kioku_digest kind,
			      struct kioku_error *error);
void digest_release(struct digest *digest);

/* False: OpenSSL failed, and the digest is worth nothing. */
bool digest_add(struct digest *digest, const void *data, size_t size);
bool digest_add_zeros(struct digest *digest, uint64_t size);

/* Ends it and begins anew. */
bool digest_finish(struct digest *digest, uint8_t out[DIGEST_SIZE]);

/* Lower-case hexadecimal, with a NUL. */
void digest_hex(const uint8_t *hash, size_t size, char *out);

/* digest_finish() as text; "" if it fails. */
bool digest_finish_hex(struct digest *digest, char *out);

#endif
