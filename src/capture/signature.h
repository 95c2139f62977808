/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signatures of manifests: Ed25519 over the text itself, raw, as "openssl pkeyutl -sign -rawin"
 * makes them.
 */
#ifndef CAPTURE_SIGNATURE_H
#define CAPTURE_SIGNATURE_H

#include <kioku/error.h>

#include "base/bytes.h"

#define SIGNATURE_SIZE 64u

/*
 * Signs with a private key in PEM. Errors: OS (it cannot be opened), ARGUMENT (no Ed25519 key, or
 * one with a passphrase, which is never asked for), NO_MEMORY.
 */
enum kioku_status signature_make(const char *key_path, struct bytes text,
				 uint8_t out[SIGNATURE_SIZE], struct kioku_error *error);

/* Whether a signature fits, by a public key in PEM. Errors: as above. */
enum kioku_status signature_check(const char *key_path, struct bytes text, struct bytes signature,
				  bool *fits, struct kioku_error *error);

#endif
