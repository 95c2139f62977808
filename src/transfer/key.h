/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sender has to know of a receiver: FINGERPRINT.TOKEN, in base64url without padding. */
#ifndef TRANSFER_KEY_H
#define TRANSFER_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "format/transfer_format.h"

#define KEY_TEXT (43 + 1 + 22 + 1) /* with the NUL */

struct transfer_key {
	bool has_fingerprint, has_token;
	uint8_t fingerprint[TRANSFER_SHA256_SIZE]; /* of the receiver's public key */
	uint8_t token[TRANSFER_TOKEN_SIZE];
};

/*
 * FINGERPRINT.TOKEN, FINGERPRINT or TOKEN, and nothing else: one text for one key. The text is not
 * repeated in messages. Errors: ARGUMENT. key_wipe() in any case.
 */
enum kioku_status key_parse(struct bytes text, struct transfer_key *out, struct kioku_error *error);

/* The first line of a file that is not blank. A file that others may read is worth a warning. Errors:
 * OS, ARGUMENT. key_wipe() in any case. */
enum kioku_status key_read(const char *path, const struct diagnostics *diagnostics,
			   struct transfer_key *out, struct kioku_error *error);

/* What it has of both. */
void key_print(const struct transfer_key *key, char out[KEY_TEXT]);

void key_wipe(struct transfer_key *key);
#define AUTO_KEY CLEANUP(key_wipe)

/* In a time that tells nothing of where they differ. */
bool secret_equal(const void *one, const void *other, size_t size);

#endif
