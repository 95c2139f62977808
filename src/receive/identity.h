/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who the receiver is: an Ed25519 key, and a self-signed certificate for it. */
#ifndef RECEIVE_IDENTITY_H
#define RECEIVE_IDENTITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "receive/state_folder.h"

struct identity {
	EVP_PKEY *key;
	X509 *certificate; /* made anew at each start: senders compare the key only */
};

/*
 * Reads the key from the state folder; makes one the first time. identity_release() in any case.
 * Errors: OS, CORRUPT (the file is no such key), UNSUPPORTED (by this OpenSSL), NO_MEMORY.
 */
enum kioku_status identity_open(struct identity *identity, const struct state_folder *state,
				struct kioku_error *error);
void identity_release(struct identity *identity);

#endif
