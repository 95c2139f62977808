/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/key.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

enum { FINGERPRINT_TEXT = 43, TOKEN_TEXT = 22, FILE_LIMIT = 4096 };

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Exactly size bytes; bits that belong to none must be 0. */
static bool decode(const uint8_t *text, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t done = 0; done < size;) {
		const char *digit = *text ? strchr(digits, *text++) : NULL;
		if (!digit)
			return false;
		bits = bits << 6 | (uint32_t)(digit - digits);
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[done++] = (uint8_t)(bits >> count);
		}
	}
	return (bits & ((1u << count) - 1)) == 0;
}

static char *encode(const uint8_t *data, size_t size, char *out)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		for (count += 8; count >= 6; count -= 6)
			*out++ = digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		*out++ = digits[bits << (6 - count) & 63];
	*out = '\0';
	return out;
}

enum kioku_status key_parse(struct bytes text, struct transfer_key *out, struct kioku_error *error)
{
	bool both = text.size == FINGERPRINT_TEXT + 1 + TOKEN_TEXT;
	const uint8_t *token = text.data + (both ? FINGERPRINT_TEXT + 1 : 0);

	*out = (struct transfer_key){ .has_fingerprint = both || text.size == FINGERPRINT_TEXT,
				      .has_token = both || text.size == TOKEN_TEXT };
	if ((!out->has_fingerprint && !out->has_token) ||
	    (both && text.data[FINGERPRINT_TEXT] != '.') ||
	    (out->has_fingerprint &&
	     !decode(text.data, out->fingerprint, sizeof(out->fingerprint))) ||
	    (out->has_token && !decode(token, out->token, sizeof(out->token))))
		return error_set(
			error, KIOKU_ERROR_ARGUMENT,
			"this is no key as a receiver prints it: FINGERPRINT.TOKEN, 43 and "
			"22 letters");
	return KIOKU_OK;
}

/* What is left when blanks before and after the first line with something else are cut off. */
static struct bytes first_line(const char *text, size_t size)
{
	size_t start = 0, end;

	while (start < size && strchr(" \t\r\n", text[start]))
		start++;
	for (end = start; end < size && !strchr(" \t\r\n", text[end]);)
		end++;
	return (struct bytes){ (const uint8_t *)text + start, end - start };
}

enum kioku_status key_read(const char *path, const struct diagnostics *diagnostics,
			   struct transfer_key *out, struct kioku_error *error)
{
	AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char text[FILE_LIMIT];
	struct stat status;

	*out = (struct transfer_key){ 0 };
	if (file < 0 || fstat(file, &status))
		return error_os(error, "cannot open %s", path);
	if (S_ISREG(status.st_mode) && (status.st_mode & 077))
		diagnose(diagnostics, KIOKU_WARNING, "%s: others may read the key in it", path);
	ssize_t size = read(file, text, sizeof(text));
	if (size < 0)
		return error_os(error, "cannot read %s", path);
	enum kioku_status parsed = key_parse(first_line(text, (size_t)size), out, error);
	OPENSSL_cleanse(text, sizeof(text));
	if (parsed != KIOKU_OK)
		error_prefix(error, "%s", path);
	return parsed;
}

void key_print(const struct transfer_key *key, char out[KEY_TEXT])
{
	*out = '\0';
	if (key->has_fingerprint)
		out = encode(key->fingerprint, sizeof(key->fingerprint), out);
	if (key->has_fingerprint && key->has_token)
		*out++ = '.';
	if (key->has_token)
		encode(key->token, sizeof(key->token), out);
}

void key_wipe(struct transfer_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

bool secret_equal(const void *one, const void *other, size_t size)
{
	return CRYPTO_memcmp(one, other, size) == 0;
}
